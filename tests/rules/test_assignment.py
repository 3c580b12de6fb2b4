"""Which role a person gets, and how people are cut into batches."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.assignment import (
    BATCH_SIZE,
    EMPTY_READS,
    LONGEST_PAUSE,
    OVERDUE,
    Change,
    Direction,
    NothingFound,
    batches,
    choose_role,
)
from sso.errors import NotReady, Reason, Refused
from sso.model import NO_ROLE, AppRole, AppRoleId, ObjectId

NOW = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)
PATIENCE = timedelta(minutes=30)


def role(name: str, value: str | None = None, *, enabled: bool = True, for_users: bool = True) -> AppRole:
    """A published role whose id is its name in small letters."""
    return AppRole(AppRoleId(name.lower()), value, name, enabled, for_users)


def change(name: str, direction: Direction = "grant") -> Change:
    """Somebody who gets or loses the default access of one application."""
    return Change(ObjectId(name), "user", name, ObjectId("service principal"), NO_ROLE, direction)


ADMIN, USER, MSIAM = role("Admin", "admin"), role("User"), role("msiam_access")


@dataclass(frozen=True)
class Case:
    """What an application publishes, what is wanted, and the id of the chosen role; None where it is refused."""

    roles: tuple[AppRole, ...]
    wanted: str | None
    chosen: str | None


CASES: Mapping[str, Case] = {
    "no roles, none wanted: default access": Case((), None, NO_ROLE),
    "no roles, 'User' wanted: default access, for that is what it means there": Case((), "User", NO_ROLE),
    "no roles, another wanted: refused": Case((), "Admin", None),
    "the wanted one by its value": Case((USER, ADMIN), "admin", "admin"),
    "the wanted one by its display name": Case((USER, ADMIN), "Admin", "admin"),
    "the wanted one is not there: refused, and not replaced by another": Case((USER, MSIAM), "Owner", None),
    "the wanted one is disabled: refused": Case((USER, role("Owner", enabled=False)), "Owner", None),
    "the wanted one is for applications: refused": Case(
        (USER, role("Reader.All", for_users=False)), "Reader.All", None
    ),
    "none wanted: 'User' before any other": Case((ADMIN, MSIAM, USER), None, "user"),
    "none wanted and no 'User': msiam_access": Case((ADMIN, MSIAM), None, "msiam_access"),
    "none wanted and neither: the first one for people": Case(
        (role("Daemon", for_users=False), role("Old", enabled=False), ADMIN), None, "admin"
    ),
    "none wanted and 'User' is disabled: msiam_access": Case(
        (role("User", enabled=False), MSIAM), None, "msiam_access"
    ),
    "none wanted and none for people: default access": Case((role("Daemon", for_users=False),), None, NO_ROLE),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_role_is_chosen_in_one_order(case: Case) -> None:
    """The wanted value or name, `User`, `msiam_access`, then default access."""
    if case.chosen is None:
        with pytest.raises(Refused) as refused:
            choose_role(case.roles, case.wanted)
        assert refused.value.reasons[0].field == "assignments.role"
        assert repr(case.wanted) in str(refused.value)
    else:
        assert choose_role(case.roles, case.wanted) == case.chosen


@given(st.integers(0, 205), st.integers(1, 30))
def test_batches_hold_everybody_once_and_twenty_at_most(count: int, first: int) -> None:
    """Everybody stands in exactly one batch, in order; batches are full but the last, and numbered without a gap."""
    wanted = [change(f"person {n}") for n in range(count)]
    made = batches(wanted, NOW, first=first)
    assert [each for batch in made for each in batch.changes] == wanted
    assert all(len(each.changes) == BATCH_SIZE for each in made[:-1])
    assert all(0 < len(each.changes) <= BATCH_SIZE for each in made)
    assert [each.number for each in made] == list(range(first, first + len(made)))
    assert all(each.open == each.changes for each in made)


def test_outcome_is_recorded_for_one_change_alone() -> None:
    """What holds is done, what is refused keeps its reason, what must wait stays open for its time."""
    (batch,) = batches([change("a"), change("b"), change("c"), change("d")], NOW)
    throttled = NotReady("Throttled.", retry_after=7, waiting_for="throttling")
    replicating = NotReady("Not there yet.", retry_after=5)
    after, delay = batch.took([None, throttled, Reason("tenant", "no such person"), replicating], NOW, PATIENCE)
    assert [(each.name, each.state, each.reason) for each in after.changes] == [
        ("a", "done", None),
        ("b", "queued", None),
        ("c", "refused", "no such person"),
        ("d", "queued", None),
    ]
    assert [each.name for each in after.open] == ["b", "d"]
    assert delay == 7
    assert after.since == NOW


def test_replication_is_waited_for_a_bounded_time_and_throttling_is_not() -> None:
    """What no replica shows is refused once the patience is over; what is throttled is tried again however long."""
    (batch,) = batches([change("a"), change("b")], NOW)
    replicating, throttled = (
        NotReady("Not there yet.", retry_after=5),
        NotReady("Throttled.", retry_after=1, waiting_for="throttling"),
    )
    now, pauses = NOW, []
    while len(batch.open) == 2:
        batch, pause = batch.took([replicating, throttled], now, PATIENCE)
        pauses.append(pause)
        now += timedelta(seconds=pause)
    assert now - NOW >= PATIENCE
    assert pauses[:3] == [5, 5, 5]
    assert sorted(pauses[:-1]) == pauses[:-1]  # ever longer
    assert max(pauses) == LONGEST_PAUSE
    assert len(pauses) < 70
    assert [each.state for each in batch.changes] == ["refused", "queued"]
    assert [each.state for each in batch.reopened(NOW).changes] == ["queued", "queued"]


def test_already_gone_is_believed_after_several_looks() -> None:
    """A removal that finds nothing is done after five looks in a row: an assignment may be in no replica yet."""
    (batch,) = batches([change("a", "revoke")], NOW)
    batch, _ = batch.took([NothingFound()], NOW, PATIENCE)
    batch, _ = batch.took([NotReady("Throttled.", retry_after=7, waiting_for="throttling")], NOW, PATIENCE)
    assert batch.writes == 1
    looks = 0
    while batch.open:
        batch, delay = batch.took([NothingFound()], NOW, PATIENCE)
        looks += 1
        assert batch.writes == 0
        assert delay == (5.0 if batch.open else 0.0)
    assert looks == EMPTY_READS
    assert [each.state for each in batch.changes] == ["done"]


def test_message_that_comes_before_its_time_is_another_delivery() -> None:
    """A batch that was sent for later is early until then, and overdue some time after."""
    (batch,) = batches([change("a")], NOW)
    waiting = replace(batch, not_before=NOW + timedelta(seconds=60))
    assert waiting.is_early(NOW, 1.0)
    assert not waiting.is_early(NOW + timedelta(seconds=57), 1.0)
    assert not batch.is_early(NOW, 1.0)
    assert not waiting.is_overdue(NOW + timedelta(seconds=61), OVERDUE)
    assert waiting.is_overdue(NOW + timedelta(seconds=181), OVERDUE)
    assert not waiting.took([None], NOW, PATIENCE)[0].is_overdue(NOW + timedelta(hours=1), OVERDUE)
