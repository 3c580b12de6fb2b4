"""From rules and holdings to changes: what each cause grants, takes, keeps and reports."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sso.decision import Cause, Held, Offered, decide, still_losing
from sso.entitlements import Person, attributes_of, entitled, parse_entitlements
from sso.model import NO_ROLE, AppRole, AppRoleId, Key, ObjectId, key_of

NOW = datetime(2026, 7, 1, 8, tzinfo=UTC)
USER, EDITOR = (
    AppRole(AppRoleId("u"), "User", "User", True, True),
    AppRole(AppRoleId("e"), "Editor", "Editor", True, True),
)
CLICKTIME, SMARTTRACE = key_of("clicktime", "default"), key_of("smarttrace", "emea")
HELLOTRACKS, THOROPASS = key_of("hellotracks", "default"), key_of("thoropass", "default")
OFFERED: Mapping[Key, Offered] = {
    CLICKTIME: Offered(CLICKTIME, ObjectId("c"), (USER, EDITOR)),
    SMARTTRACE: Offered(SMARTTRACE, ObjectId("s"), (USER,), authoritative=True),
    HELLOTRACKS: Offered(HELLOTRACKS, ObjectId("h"), ()),
}
RULES = parse_entitlements(b"""
[[rules]]
when = { department = "Sales" }
grant = [{ vendor = "clicktime", role = "User" }, { vendor = "thoropass" }]
grace_days = 14

[[rules]]
when = { department = "Engineering" }
grant = [{ vendor = "smarttrace", instance = "emea" }, { vendor = "clicktime", role = "Editor" }]
""")
HOLDS_ALL = (
    Held(CLICKTIME, USER.id, "1"),
    Held(SMARTTRACE, USER.id, "2"),
    Held(HELLOTRACKS, NO_ROLE, "3"),
    Held(THOROPASS, USER.id, "4"),  # an application that is not ours any more
)


def _decide(
    cause: Cause, department: str, held: tuple[Held, ...], now: datetime = NOW
) -> tuple[list[str], list[str], list[str]]:

    person = Person(attributes_of({"department": department})[0])
    found = decide(cause, entitled(person, RULES), held, OFFERED, RULES, since=NOW, now=now)
    return (
        [change.sentence for change in found.grants],
        [change.sentence for change in (*found.removals, *found.later)],
        list(found.notes),
    )


def _told(department: str, held: tuple[Held, ...]) -> tuple[str, ...]:
    """What a reconcile only tells."""
    person = Person(attributes_of({"department": department})[0])
    return decide("reconcile", entitled(person, RULES), held, OFFERED, RULES, since=NOW, now=NOW).told


@pytest.mark.parametrize("cause", ["joiner", "mover", "rehire"])
def test_what_rules_give_is_granted_once(cause: Cause) -> None:
    """A person without access gets what the rules give, with the reason; who has it already gets nothing."""
    grants, taken, notes = _decide(cause, "Sales", ())
    assert grants == ["Sales: clicktime/User by rule 1."]
    assert taken == []
    assert notes == ["Sales: thoropass by rule 1; thoropass/default is not onboarded, so nobody can be given it."]
    assert _decide(cause, "Sales", (Held(CLICKTIME, USER.id, "1"),))[0] == []


def test_mover_loses_what_no_rule_gives_when_its_grace_is_over() -> None:
    """With a grace it is named with its day and stays; without one it goes at once; what no rule names is reported."""
    grants, taken, notes = _decide("mover", "Legal", HOLDS_ALL)
    assert grants == []
    assert taken == [
        "Loses smarttrace/emea/User: no rule gives it any more.",
        "Loses clicktime/User on 2026-07-15: no rule gives it any more.",
    ]
    assert notes == ["Keeps hellotracks: no rule names hellotracks/default."]
    later = _decide("mover", "Legal", HOLDS_ALL, now=NOW + timedelta(days=14))
    assert "Loses clicktime/User: no rule gives it any more." in later[1]


def test_change_of_role_is_a_grant_and_a_loss() -> None:
    """An assignment cannot be changed: the new role is granted, and the old one goes after its grace."""
    grants, taken, _ = _decide("mover", "Engineering", (Held(CLICKTIME, USER.id, "1"),))
    assert grants == ["Engineering: smarttrace/emea by rule 2.", "Engineering: clicktime/Editor by rule 2."]
    assert taken == ["Loses clicktime/User on 2026-07-15: no rule gives it any more."]


def test_leaver_loses_everything_of_ours_at_once() -> None:
    """Whatever the rules say, each assignment on an application of ours goes, and others are not touched."""
    grants, taken, notes = _decide("leaver", "Sales", HOLDS_ALL)
    assert (grants, notes) == ([], [])
    assert taken == [
        "Loses clicktime/User: has left.",
        "Loses smarttrace/emea/User: has left.",
        "Loses hellotracks: has left.",
    ]


def test_reconcile_gives_and_takes_only_where_the_profile_is_authoritative() -> None:
    """SmartTrace's profile says so and ClickTime's does not: what differs there is told."""
    _, taken, _ = _decide("reconcile", "Legal", HOLDS_ALL)
    assert taken == ["Loses smarttrace/emea/User: no rule gives it any more."]
    (told,) = _told("Legal", HOLDS_ALL)
    assert told == "Keeps clicktime/User, which no rule gives: the profile of clicktime is not authoritative."
    grants, _, _ = _decide("reconcile", "Engineering", ())
    assert grants == ["Engineering: smarttrace/emea by rule 2."]
    (told,) = _told("Engineering", ())
    assert told.startswith("Engineering: clicktime/Editor by rule 2; the profile of clicktime is not authoritative")


def test_role_that_is_not_offered_takes_nothing_away() -> None:
    """A rule that names a role the application lacks is reported, and access that is there stays until it is mended."""
    offered = {**OFFERED, CLICKTIME: replace(OFFERED[CLICKTIME], roles=(USER,))}
    person = Person(attributes_of({"department": "Engineering"})[0])
    held = (Held(CLICKTIME, USER.id, "1"),)
    found = decide("mover", entitled(person, RULES), held, offered, RULES, since=NOW, now=NOW + timedelta(days=99))
    assert found.removals == ()
    assert any("has no role 'Editor'" in note for note in found.notes)


def test_offboarded_application_is_given_to_nobody_and_left_by_leavers() -> None:
    """While one is offboarded nothing is granted there, what is held by rule stays; a leaver loses it."""
    offered = {**OFFERED, CLICKTIME: replace(OFFERED[CLICKTIME], offboarded=NOW.date())}
    wanted = entitled(Person(attributes_of({"department": "Sales"})[0]), RULES)
    held = (Held(CLICKTIME, USER.id, "1"),)
    causes: tuple[Cause, ...] = ("joiner", "rehire", "mover", "reconcile")
    for cause in causes:
        for mine in ((), held, (Held(CLICKTIME, EDITOR.id, "2"),)):
            found = decide(cause, wanted, mine, offered, RULES, since=NOW, now=NOW + timedelta(days=99))
            assert (found.grants, found.removals, found.later) == ((), (), ())
            assert "clicktime/default is offboarded since 2026-07-01, so nobody is given it." in found.notes[0]
    left = decide("leaver", (), held, offered, RULES, since=NOW, now=NOW)
    assert [change.sentence for change in left.removals] == ["Loses clicktime/User: has left."]


def test_grace_is_not_begun_anew_while_something_holds_the_removal_up() -> None:
    """A grace that is over stays known until the access is gone; then it is forgotten."""
    person, held = Person(attributes_of({"department": "Legal"})[0]), (Held(CLICKTIME, USER.id, "1"),)
    first = decide("mover", entitled(person, RULES), held, OFFERED, RULES, since=NOW, now=NOW)
    losing = still_losing(first, None, NOW)
    after = NOW + timedelta(days=20)
    over = decide("mover", entitled(person, RULES), held, OFFERED, RULES, since=after, now=after, losing=losing)
    assert [change.sentence for change in over.removals] == ["Loses clicktime/User: no rule gives it any more."]
    assert still_losing(over, losing, after) == losing
    gone = decide("mover", entitled(person, RULES), (), OFFERED, RULES, since=after, now=after, losing=losing)
    assert still_losing(gone, losing, after) == {}


def test_grace_is_not_begun_anew_by_the_next_event() -> None:
    """Who moves twice loses the first department's access when the first grace is over."""
    person, held = Person(attributes_of({"department": "Legal"})[0]), (Held(CLICKTIME, USER.id, "1"),)
    first = decide("mover", entitled(person, RULES), held, OFFERED, RULES, since=NOW, now=NOW)
    losing = still_losing(first, None, NOW)
    after = NOW + timedelta(days=10)
    second = decide("mover", entitled(person, RULES), held, OFFERED, RULES, since=after, now=after, losing=losing)
    assert second.next_time == first.next_time == NOW + timedelta(days=14)
    assert still_losing(second, losing, after) == losing
