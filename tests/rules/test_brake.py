"""The brake: how much a day may take away, who is stopped, who is told, and what a release lets go on."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.brake import WINDOW, Brake, Limit
from sso.model import OperationId

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
LIMIT = Limit(0.2, 10)


def asked(brake: Brake, number: int, limit: Limit, of: int, now: datetime) -> tuple[Brake, bool]:
    """One operation asks to take its own thing away."""
    operation, names = OperationId(f"operation-{number}"), frozenset({f"thing-{number}"})
    if brake.passes(operation, names, limit, of, now):
        return brake.take(names, now), True
    return brake.hold(operation), False


@pytest.mark.parametrize(
    ("count", "of", "allowed"),
    [(10, 3, True), (11, 3, False), (11, 54, False), (11, 55, True), (200, 1000, True), (201, 1000, False)],
)
def test_limit_is_share_and_floor(count: int, of: int, allowed: bool) -> None:
    """Too much is more than the floor and more than the share."""
    assert LIMIT.allows(count, of) is allowed


@given(st.integers(1, 60), st.integers(0, 20), st.floats(0, 1), st.integers(1, 100))
def test_day_takes_no_more_than_it_may(asking: int, floor: int, share: float, of: int) -> None:
    """However many ask, at most floor or share go in a day; the others are held in their order, and one tells."""
    brake, limit, went = Brake(), Limit(share, floor), 0
    for number in range(asking):
        brake, passed = asked(brake, number, limit, of, NOW)
        went += passed
    most = max(floor, int(share * of))
    assert went == min(asking, most)
    assert brake.held == tuple(OperationId(f"operation-{number}") for number in range(went, asking))
    assert sum(brake.tells(operation) for operation in brake.held) == bool(brake.held)


def test_many_at_once_go_together_or_not_at_all() -> None:
    """What is asked for together is stopped as a whole where it is too much, and counts only what is new of it."""
    limit, many = Limit(0, 3), frozenset({"a", "b", "c", "d"})
    assert not Brake().passes(OperationId("1"), many, limit, 10, NOW)
    brake = Brake().take(many - {"d"}, NOW)
    assert brake.count(NOW) == 3
    assert brake.passes(OperationId("1"), many - {"d"}, limit, 10, NOW)
    assert not brake.passes(OperationId("1"), many, limit, 10, NOW)
    assert brake.hold(OperationId("1")).release().passes(OperationId("1"), many, limit, 10, NOW)


def test_asking_twice_counts_once() -> None:
    """A run that died after it had counted, or is delivered twice, takes its place once."""
    brake, limit = Brake(), Limit(0, 1)
    for _ in range(3):
        brake, passed = asked(brake, 1, limit, 10, NOW)
        assert passed
    assert brake.count(NOW) == 1
    assert not asked(brake, 2, limit, 10, NOW)[1]


def test_next_day_counts_anew_and_what_was_stopped_waits() -> None:
    """A day later others may go; what was stopped goes only once it is released."""
    brake, limit = Brake(), Limit(0, 1)
    for number in (1, 2):
        brake, _ = asked(brake, number, limit, 10, NOW)
    later = NOW + WINDOW
    assert brake.count(later) == 0
    assert not asked(brake, 2, limit, 10, later)[1]
    assert asked(brake, 3, limit, 10, later)[1]
    assert asked(brake.release(), 2, limit, 10, later)[1]


def test_release_lets_go_what_was_stopped_and_nothing_else() -> None:
    """What comes after a release is stopped again, and told of again."""
    brake, limit = Brake(), Limit(0, 1)
    for number in (1, 2, 3):
        brake, _ = asked(brake, number, limit, 10, NOW)
    brake = brake.release()
    later = NOW + timedelta(minutes=1)
    brake, passed = asked(brake, 4, limit, 10, later)
    assert not passed
    assert brake.tells(OperationId("operation-4"))
    for number in (2, 3):
        brake, passed = asked(brake, number, limit, 10, later)
        assert passed
    assert brake.count(later) == 3


def test_everything_is_counted_once_an_hour() -> None:
    """What there is in all is counted where it is not known, is kept with what is taken, and is good for an hour."""
    assert Brake().needs_count(NOW)
    counted = Brake(of=40, counted=NOW).take(frozenset({"a"}), NOW).hold(OperationId("1"))
    assert not counted.needs_count(NOW + timedelta(hours=1))
    assert counted.needs_count(NOW + timedelta(hours=1, seconds=1))
