"""HR facts: events read or refused with every reason, and facts that end the same in whatever order they come."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.decision import Held, Losing, Offered, decide, still_losing
from sso.entitlements import Person, attributes_of, entitled, parse_entitlements
from sso.errors import Refused
from sso.hr import KINDS, Fact, FactKind, Timeline, fact_from_json, fact_to_json, parse_event
from sso.model import NO_ROLE, Key, ObjectId, key_of
from tests.numbers import say

NOW = datetime(2026, 7, 1, 8, tzinfo=UTC)
SEEDS = 1000
GIVES = {"Sales": {"clicktime", "smarttrace"}, "Engineering": {"smarttrace", "hellotracks"}, "Legal": {"thoropass"}}
GRACE = {"clicktime": 14, "thoropass": 3}
RULES = parse_entitlements(
    "".join(
        f"[[rules]]\nwhen = {{ department = '{department}' }}\ngrant = [{{ vendor = '{vendor}' }}]\n"
        f"grace_days = {GRACE.get(vendor, 0)}\n"
        for department, vendors in GIVES.items()
        for vendor in sorted(vendors)
    ).encode()
)
VENDORS = sorted({vendor for vendors in GIVES.values() for vendor in vendors})
OFFERED = {key_of(vendor, "default"): Offered(key_of(vendor, "default"), ObjectId(vendor), ()) for vendor in VENDORS}


def _event(**changes: Any) -> dict[str, Any]:
    body = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "https://hr.contoso.com",
        "type": "gatehouse.person.mover",
        "subject": "b.simon@contoso.com",
        "time": "2026-06-30T22:00:00+02:00",
        "data": {"attributes": {"department": "Sales", "manager": 7}, "effective": "2026-07-02T00:00:00Z"},
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def test_event_is_read_whole() -> None:
    """What a CloudEvent says becomes a fact, in UTC; attributes that no rule asks about are left out."""
    read = parse_event(_event(), NOW)
    assert (read.source, read.id) == ("https://hr.contoso.com", "e-1")
    assert read.fact == Fact(
        "mover",
        "b.simon@contoso.com",
        datetime(2026, 6, 30, 20, tzinfo=UTC),
        datetime(2026, 7, 2, tzinfo=UTC),
        {"department": "Sales"},
    )
    assert fact_from_json(fact_to_json(read.fact)) == read.fact


def test_event_without_effective_holds_from_its_time() -> None:
    """Where nobody says otherwise, a fact is in force from when it was recorded."""
    fact = parse_event(_event(data=None), NOW).fact
    assert fact.effective == fact.time
    assert fact.attributes == {}


def _said(kind: FactKind, days: int, effective: int) -> Fact:
    return Fact(kind, "b.simon@contoso.com", NOW + timedelta(days=days), NOW + timedelta(days=effective))


@pytest.mark.parametrize(
    ("facts", "here"),
    [
        ((), True),
        ((_said("joiner", -9, -9),), True),
        ((_said("leaver", -9, -9),), False),
        ((_said("leaver", -9, 9),), True),
        ((_said("joiner", -9, 9),), False),
        ((_said("joiner", -9, 5), _said("mover", -8, 3)), True),
        ((_said("joiner", -9, -9), _said("leaver", -8, 9)), True),
        ((_said("leaver", -9, -9), _said("rehire", -8, 9)), False),
        ((_said("leaver", -9, -9), _said("rehire", -8, -8)), True),
    ],
)
def test_who_has_left_or_has_still_to_join_is_not_here(facts: tuple[Fact, ...], here: bool) -> None:
    """A day to come makes nobody leave or join before it; of whom nothing was said the directory tells."""
    timeline = Timeline()
    for fact in facts:
        timeline = timeline.record(fact)
    assert timeline.is_here(NOW) is here


CASES: dict[str, tuple[Any, set[str]]] = {
    "no object": ([], {""}),
    "nothing": ({}, {"specversion", "id", "source", "type", "subject", "time"}),
    "another version": (_event(specversion="0.3"), {"specversion"}),
    "a type of somebody else": (_event(type="com.example.person.joiner"), {"type"}),
    "a kind that is none": (_event(type="gatehouse.person.sleeper"), {"type"}),
    "a type without its prefix": (_event(type="joiner"), {"type"}),
    "a number for a type": (_event(type=7), {"type"}),
    "data in another form": (_event(datacontenttype="text/xml"), {"datacontenttype"}),
    "a subject of two lines": (_event(subject="b.simon\n@contoso.com"), {"subject"}),
    "no subject": (_event(subject=""), {"subject"}),
    "too long an id": (_event(id="x" * 201), {"id"}),
    "a time without offset": (_event(time="2026-07-01T08:00:00"), {"time"}),
    "a date without time": (_event(time="2026-07-01"), {"time"}),
    "a time that is a number": (_event(time=1782892800), {"time"}),
    "a time to come": (_event(time="2026-07-01T08:06:00Z"), {"time"}),
    "a time at the end of the calendar": (_event(time="9999-12-31T23:59:59-23:59"), {"time"}),
    "an effective of long ago": (_event(data={"effective": "1970-01-01T00:00:00Z"}), {"data.effective"}),
    "data that is a list": (_event(data=[1]), {"data"}),
    "attributes that are a list": (_event(data={"attributes": ["Sales"]}), {"data.attributes"}),
    "an attribute that is a number": (_event(data={"attributes": {"country": 7}}), {"data.attributes.country"}),
}


@pytest.mark.parametrize(("body", "fields"), CASES.values(), ids=CASES)
def test_broken_event_is_refused_with_every_reason(body: Any, fields: set[str]) -> None:
    """Each thing that is wrong is named by its field, below the event's place in its batch."""
    with pytest.raises(Refused) as refused:
        parse_event(body, NOW)
    assert {reason.field for reason in refused.value.reasons} == fields
    with pytest.raises(Refused) as refused:
        parse_event(body, NOW, "[3].")
    assert all(reason.field.startswith("[3]") for reason in refused.value.reasons)


# Facts in whatever order

DAYS = st.integers(-20, 20).map(lambda days: NOW + timedelta(days=days))
FACTS = st.builds(
    Fact,
    kind=st.sampled_from(["joiner", "mover", "leaver", "rehire"]),
    subject=st.just("b.simon@contoso.com"),
    time=DAYS,
    effective=DAYS,
    attributes=st.sampled_from([{"department": name} for name in GIVES]),
)


@given(st.lists(FACTS, min_size=1, max_size=4), DAYS)
def test_order_of_arrival_changes_nothing(facts: list[Fact], now: datetime) -> None:
    """Every order of the same facts, some of them recorded in the same moment, ends in one timeline."""
    ends = set()
    for order in permutations(facts):
        timeline = Timeline()
        for fact in (*order, order[0]):
            timeline = timeline.record(fact)
        ends.add(repr(timeline))
    assert len(ends) == 1
    expected = max((fact for fact in facts if fact.effective <= now), key=lambda fact: fact.order, default=None)
    assert timeline.at(now) == expected
    assert {timeline.standing(fact, now) for fact in timeline.facts if fact.effective > now} <= {"planned"}
    assert expected is None or timeline.standing(expected, now) == "in force"


@dataclass
class Desk:
    """The rules' way: facts are recorded as they arrive, and access follows at once and whenever a moment comes."""

    timeline: Timeline = field(default_factory=Timeline)
    access: set[Key] = field(default_factory=set)
    losing: Losing = field(default_factory=dict)

    def arrive(self, fact: Fact, now: datetime) -> None:
        """Take a fact in."""
        self.timeline = self.timeline.record(fact)
        self.follow(now)

    def follow(self, now: datetime) -> datetime | None:
        """Bring access to where it must be; when to look again."""
        current = self.timeline.at(now)
        if current is None:
            return self.timeline.next_change(now)
        person = Person(current.attributes)
        wanted = () if current.kind == "leaver" else entitled(person, RULES)
        held = [Held(key, NO_ROLE, str(key)) for key in sorted(self.access)]
        found = decide(current.kind, wanted, held, OFFERED, RULES, since=current.effective, now=now, losing=self.losing)
        self.access |= {change.key for change in found.grants}
        self.access -= {change.key for change in found.removals}
        self.losing = still_losing(found, self.losing, current.effective)
        return min(filter(None, (self.timeline.next_change(now), found.next_time)), default=None)


def _history(draw: random.Random) -> list[Fact]:
    """What an HR system knows of one person, each fact recorded at another moment."""
    kinds: list[FactKind] = draw.choices(KINDS, k=draw.randint(0, 6))
    kinds.insert(0, "joiner")
    moments = sorted(draw.sample(range(2000), len(kinds)))
    facts = []
    for kind, minutes in zip(kinds, moments, strict=True):
        time = NOW + timedelta(minutes=minutes)
        effective = time + timedelta(minutes=draw.choice([0, 0, -300, 60, 3000, 40_000]))
        attributes, _ = attributes_of({"department": draw.choice([*GIVES, "Astronomy"])})
        facts.append(Fact(kind, "b.simon@contoso.com", time, effective, attributes))
    return facts


def _arrivals(draw: random.Random, facts: list[Fact]) -> Iterator[tuple[datetime, Fact]]:
    """Shuffled, some twice, some a fortnight late."""
    several = [*facts, *draw.choices(facts, k=draw.randint(0, 4))]
    draw.shuffle(several)
    arrivals = [
        (max(fact.time, NOW + timedelta(minutes=draw.choice([10, 100, 2500, 20_000]) + place)), fact)
        for place, fact in enumerate(several)
    ]
    yield from sorted(arrivals, key=lambda arrival: arrival[0])


def _reference(facts: list[Fact]) -> set[str]:
    """What must be left when every day has come: the newest fact's department, or nothing after a leaver."""
    newest = facts[0]
    for fact in facts:
        if fact.time > newest.time:
            newest = fact
    return set() if newest.kind == "leaver" else GIVES.get(newest.attributes.get("department", ""), set())


def test_final_access_is_what_the_newest_fact_says() -> None:
    """A thousand people's events, shuffled, doubled, late and for days to come, end where a simple model ends."""
    right, wrong, events = 0, [], 0
    for seed in range(SEEDS):
        draw = random.Random(seed)
        facts = _history(draw)
        desk = Desk()
        arrivals = list(_arrivals(draw, facts))
        events += len(arrivals)
        look: datetime | None = None
        for place, (at, fact) in enumerate(arrivals):
            while look and look < at:  # the days between two arrivals pass as well
                look = desk.follow(look)
            desk.arrive(fact, at)
            so_far = [one for _, one in arrivals[: place + 1] if one.effective <= at]
            assert desk.timeline.at(at) == max(so_far, key=lambda one: one.time, default=None), f"seed {seed}"
            look = desk.follow(at)
        while look:
            look = desk.follow(look)
        if {key.vendor for key in desk.access} == _reference(facts):
            right += 1
        else:
            wrong.append(seed)
    say(f"HR events in any order: {right} of {SEEDS} seeds end at the reference model ({events} events)")
    assert wrong == []
