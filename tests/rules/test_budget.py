"""The write budget: never more than Graph takes, nearly all of it for bulk, and what is urgent first."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.budget import AHEAD, BURST, LONGEST_LINE, PACE, WINDOW, WRITES, Budget, ask, cost
from sso.steps import GrantConsent, MailCode, MailHandoff

NOW = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)


@dataclass
class Simulation:
    """Requests that arrive at their time and come again when they are told to, on a clock of its own."""

    late: Sequence[float] = (0.0,)
    """How much later than told a message comes, in turn."""
    scale: float = 1.0
    budget: Budget | None = None
    written: list[tuple[float, int]] = field(default_factory=list)
    """When writes were made, and how many, in seconds of the simulation."""
    urgent_waits: list[float] = field(default_factory=list)
    asked: int = 0

    def run(self, bulk: Sequence[float], urgent: Sequence[tuple[float, int]]) -> None:
        """Let batches of twenty and urgent writes come at these times, until all are through."""
        coming: list[tuple[float, int, int, bool, float, bool]] = []
        for number, (at, writes) in enumerate([*((at, 20) for at in bulk), *urgent]):
            heappush(coming, (at, number, writes, number >= len(bulk), at, False))
        while coming:
            at, number, writes, first, began, in_line = heappop(coming)
            self.asked += 1
            now = NOW + timedelta(seconds=at * self.scale)
            place = ask(self.budget, writes, now, urgent=first, in_line=in_line, scale=self.scale)
            self.budget = place.budget
            if not place.granted:
                late = self.late[self.asked % len(self.late)]
                pause = max(place.wait, 1.0)  # a queue knows whole seconds
                heappush(coming, (at + pause + late, number, writes, first, began, True))
                continue
            self.written.append((at + place.wait, writes))
            if first:
                self.urgent_waits.append(at + place.wait - began)

    def most(self) -> int:
        """The most writes of any 150 seconds."""
        self.written.sort()
        times, before = [at for at, _ in self.written], [0]
        for _, writes in self.written:
            before.append(before[-1] + writes)
        return max(before[bisect_left(times, at + WINDOW)] - before[place] for place, at in enumerate(times))


@given(
    st.integers(1, 400),
    st.lists(st.tuples(st.floats(0, 300), st.integers(1, 20)), max_size=300),
    st.lists(st.floats(0, 8), min_size=1, max_size=7),
)
def test_no_window_holds_more_than_graph_takes(
    batches: int, urgent: list[tuple[float, int]], late: list[float]
) -> None:
    """Whatever comes when, no 150 seconds see more than 3,000 writes, and everything is through in the end."""
    simulation = Simulation(late)
    simulation.run([0.0] * batches, urgent)
    assert simulation.most() <= WRITES
    assert len(simulation.written) == batches + len(urgent)


def test_bulk_uses_nearly_all_of_it() -> None:
    """20,000 writes by messages that come up to two seconds late take no longer than 95 % of the budget allows."""
    simulation = Simulation(late=(0.0, 0.4, 2.0, 1.1))
    simulation.run([0.0] * 1000, [])
    took = max(at for at, _ in simulation.written)
    assert 20_000 / (WRITES / WINDOW) / took >= 0.95
    assert simulation.asked <= 4 * 1000  # each batch asks a few times, not once a second


@pytest.mark.parametrize("scale", [1.0, 0.05])
def test_urgent_writes_pass_whatever_waits(scale: float) -> None:
    """While thousands of writes wait, an onboarding every five seconds writes at once, and bulk makes up for it."""
    simulation = Simulation(late=(0.0, 1.0), scale=scale)
    simulation.run([0.0] * 300, [(5.0 * turn, 12) for turn in range(1, 60)])
    assert max(simulation.urgent_waits) == 0.0
    assert simulation.most() <= WRITES
    took = max(at for at, _ in simulation.written)
    assert sum(writes for _, writes in simulation.written) / (WRITES / WINDOW) / took >= 0.95


def test_too_much_of_what_is_urgent_waits_as_well() -> None:
    """A flood of onboardings takes the whole pace and no more, and none waits longer than it must."""
    simulation = Simulation()
    simulation.run([], [(0.0, 12)] * 200)
    took = max(at for at, _ in simulation.written)
    assert simulation.most() <= WRITES
    assert took == pytest.approx(200 * 12 / PACE - BURST, abs=1.0)


def test_row_of_a_clock_that_was_wrong_counts_as_none() -> None:
    """A reservation of next year, or a line of days, stops nobody."""
    wrong = Budget(NOW + timedelta(days=365), NOW + timedelta(days=365))
    place = ask(wrong, 20, NOW)
    assert (place.granted, place.wait) == (True, 0.0)
    assert place.budget.line == NOW
    long_ago = Budget(NOW - timedelta(days=1), NOW - timedelta(days=1))
    assert ask(long_ago, 20, NOW).budget.reserved > NOW
    assert LONGEST_LINE > 5 * WINDOW


def test_one_place_is_waited_for_by_one() -> None:
    """Two that ask at the same moment get one place after the other."""
    first = ask(None, 20, NOW)
    second = ask(first.budget, 20, NOW)
    assert first.wait == 0.0
    assert second.wait == pytest.approx(20 / PACE, abs=0.001)
    assert second.wait <= AHEAD


def test_mails_cost_nothing_of_it() -> None:
    """Mails have limits of their own; every other step counts as one write."""
    consent = GrantConsent(sentence="Consent.", scopes=frozenset({"openid"}))
    assert cost((consent, MailHandoff(sentence="Mail."), MailCode(sentence="Mail the code."))) == 1
