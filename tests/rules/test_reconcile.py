"""Reconciling: what is given, taken and only told of one application, and never what was merely not seen."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.assignment import batches
from sso.decision import Held, Losing, Offered
from sso.entitlements import Person, attributes_of, entitled, parse_entitlements
from sso.model import AppRole, AppRoleId, Key, ObjectId, Principal, key_of
from sso.reconcile import Comparison, Seen, Somebody, Team, compare, steps_of, why_not

NOW = datetime(2026, 7, 1, 3, tzinfo=UTC)
USER = AppRole(AppRoleId("u"), "User", "User", True, True)
EDITOR = AppRole(AppRoleId("e"), "Editor", "Editor", True, True)
CLICKTIME, SMARTTRACE, HELLOTRACKS = (key_of(name, "default") for name in ("clicktime", "smarttrace", "hellotracks"))
OFFERED: Mapping[Key, Offered] = {
    CLICKTIME: Offered(CLICKTIME, ObjectId("c"), (USER, EDITOR), authoritative=True),
    SMARTTRACE: Offered(SMARTTRACE, ObjectId("s"), (USER,)),
    HELLOTRACKS: Offered(HELLOTRACKS, ObjectId("h"), (USER,), authoritative=True),
}
RULES = parse_entitlements(b"""
[[rules]]
when = { department = "Sales" }
grant = [{ vendor = "clicktime", role = "User" }, { vendor = "smarttrace" }]
grace_days = 14

[[rules]]
when = { department = "Legal" }
grant = [{ vendor = "clicktime", role = "Editor" }]
""")
SALES, LEGAL, NOBODY = "Sales", "Legal", "Gardening"
LOST = {(CLICKTIME, USER.id): NOW - timedelta(days=14)}
KEEPING = {(CLICKTIME, USER.id): NOW - timedelta(days=13)}


def somebody(name: str, department: str, *, here: bool = True, losing: Losing | None = None) -> Somebody:
    """One person of a department."""
    principal = Principal(ObjectId(name), "user", name, f"{name}@contoso.com")
    return Somebody(principal, Person(attributes_of({"department": department})[0]), here, losing or {})


def seen(*people: Somebody, **holds: tuple[Key, AppRole]) -> Seen:
    """A look at these people, who hold this."""
    held = {ObjectId(name): (Held(key, role.id, f"{name}-1"),) for name, (key, role) in holds.items()}
    return Seen(RULES, (*people, somebody("ann", SALES), somebody("lea", LEGAL)), OFFERED, held)


def of(look: Seen, key: Key = CLICKTIME) -> Comparison:
    """How one application compares."""
    return next(one for one in compare(look, NOW)[0] if one.application.key == key)


def sentences(comparison: Comparison) -> tuple[list[str], list[str], list[str]]:
    """What is given, taken and told."""
    given_, taken = (
        [f"{one.principal.name}: {one.change.sentence}" for one in those]
        for those in (comparison.grants, comparison.removals)
    )
    return given_, taken, [told.sentence for told in comparison.told]


def test_what_rules_give_and_nobody_has_is_given() -> None:
    """On an authoritative application whoever lacks what a rule gives gets it, with the reason of the rule."""
    assert sentences(of(seen(ann=(CLICKTIME, USER)))) == (["lea: Legal: clicktime/Editor by rule 2."], [], [])


CASES: dict[str, tuple[Somebody, tuple[Key, AppRole], list[str], list[str]]] = {
    "no rule gives it and its grace is over": (
        somebody("bob", NOBODY, losing=LOST),
        (CLICKTIME, USER),
        ["bob: Loses clicktime/User: no rule gives it any more."],
        [],
    ),
    "a grace of an event runs": (
        somebody("bob", NOBODY, losing=KEEPING),
        (CLICKTIME, USER),
        [],
        ["clicktime/User stays until 2026-07-02 with 1 person to whom no rule gives it any more: bob."],
    ),
    "it is seen for the first time": (
        somebody("bob", NOBODY),
        (CLICKTIME, USER),
        [],
        ["clicktime/User stays until 2026-07-15 with 1 person to whom no rule gives it any more: bob."],
    ),
    "a rule gives it": (somebody("bob", SALES, losing=LOST), (CLICKTIME, USER), [], []),
    "who holds it has left": (
        somebody("bob", NOBODY, here=False, losing=LOST),
        (CLICKTIME, USER),
        [],
        ["1 person with clicktime/User left or have still to join, and their own events end it: bob."],
    ),
    "the profile is not authoritative": (
        somebody("bob", NOBODY, losing={(SMARTTRACE, USER.id): NOW - timedelta(days=99)}),
        (SMARTTRACE, USER),
        [],
        ["No rule gives smarttrace/User to 1 person with it: bob."],
    ),
    "the profile is not authoritative, and an event's grace runs": (
        somebody("bob", NOBODY, losing={(SMARTTRACE, USER.id): NOW}),
        (SMARTTRACE, USER),
        [],
        [],
    ),
    "no rule names it": (
        somebody("bob", NOBODY),
        (HELLOTRACKS, USER),
        [],
        ["No rule names hellotracks/default, so nothing of it is compared although its profile is authoritative."],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_what_no_rule_gives(case: tuple[Somebody, tuple[Key, AppRole], list[str], list[str]]) -> None:
    """It is taken where profile, rules, facts and grace all say so; else it stays, and is told where nobody ends it."""
    person, (key, role), taken, told = case
    _, found, said = sentences(of(seen(person, bob=(key, role)), key))
    assert found == taken
    assert [sentence for sentence in said if "without it" not in sentence] == told


def test_group_gives_access_that_is_neither_given_again_nor_taken() -> None:
    """Who has the role by an assigned group is given no second one; whoever has it without a rule is told."""
    look = seen(somebody("bob", NOBODY))
    team = Team("Sales", USER.id, frozenset({ObjectId("ann"), ObjectId("bob"), ObjectId("stranger")}))
    given_, taken, told = sentences(of(replace(look, teams={CLICKTIME: (team,)})))
    assert given_ == ["lea: Legal: clicktime/Editor by rule 2."]
    assert taken == []
    assert told == [
        "No rule gives clicktime/User to 1 person with it through group 'Sales', which ends with the membership: bob."
    ]


def test_role_that_changes_is_given_at_once_and_taken_after_its_grace() -> None:
    """An assignment cannot be changed: the new role comes first, and the old one is kept for the grace."""
    look = seen(ann=(CLICKTIME, USER), lea=(CLICKTIME, USER))
    given_, taken, told = sentences(of(look))
    assert (given_, taken) == (["lea: Legal: clicktime/Editor by rule 2."], [])
    assert told == ["clicktime/User stays until 2026-07-15 with 1 person to whom no rule gives it any more: lea."]


def test_role_that_is_not_there_takes_nothing() -> None:
    """A rule for a role that the application does not have is told, and whoever it is about keeps what is held."""
    look = seen(ann=(CLICKTIME, USER), lea=(CLICKTIME, USER))
    look = replace(look, offered={**OFFERED, CLICKTIME: replace(OFFERED[CLICKTIME], roles=(USER,))})
    given_, taken, (told,) = sentences(of(look))
    assert (given_, taken) == ([], [])
    assert told.startswith("Rule 2: ")
    assert "has no role 'Editor'" in told


def test_rules_that_give_an_application_to_nobody_take_nothing() -> None:
    """When a department is renamed in the directory alone, everybody keeps what they have, and it is told."""
    renamed = parse_entitlements(b"[[rules]]\nwhen = {department = 'Sale'}\ngrant = [{vendor = 'clicktime'}]")
    look = seen(somebody("bob", SALES), bob=(CLICKTIME, USER), ann=(CLICKTIME, USER))
    comparison = of(replace(look, rules=renamed))
    assert (comparison.grants, comparison.removals) == ((), ())
    assert "give it to nobody, so nothing is taken" in comparison.told[0].sentence


def test_offboarded_application_is_not_compared() -> None:
    """Nobody signs in to it, and whoever had access has it again once it is asked for."""
    look = seen(somebody("bob", NOBODY, losing=LOST), bob=(CLICKTIME, USER))
    look = replace(look, offered={**OFFERED, CLICKTIME: replace(OFFERED[CLICKTIME], offboarded=NOW.date())})
    assert {one.application.key for one in compare(look, NOW)[0]} == {SMARTTRACE, HELLOTRACKS}


@pytest.mark.parametrize(
    ("people", "why"),
    [
        ((), "no enabled member"),
        ((replace(somebody("bob", SALES), person=Person({})),), "none has department"),
        ((somebody("bob", NOBODY),), None),
    ],
)
def test_directory_that_says_nothing_is_not_believed(people: tuple[Somebody, ...], why: str | None) -> None:
    """Where nobody, or nobody with what rules ask about, is seen, there is a reason to do nothing at all."""
    found = why_not(Seen(RULES, people, OFFERED, {}))
    assert (why in found) if why and found else (found is why)


def test_same_differences_have_the_same_name() -> None:
    """What is told is new when somebody else is concerned, and not because people are listed in another order."""
    several = [somebody(name, NOBODY, losing=KEEPING) for name in ("a", "b", "c", "d", "e")]
    holds = {one.principal.name: (CLICKTIME, USER) for one in several}
    one, other = of(seen(*several, **holds)), of(seen(*reversed(several), **holds))
    assert one.told[0].sentence.endswith("a, b, c and 2 more.")
    assert one.fingerprint == other.fingerprint != of(seen(*several[:-1], somebody("f", NOBODY), **holds)).fingerprint
    assert of(seen(ann=(CLICKTIME, USER), lea=(CLICKTIME, EDITOR))).fingerprint == ""


def test_own_changes_are_not_made_again() -> None:
    """What an operation made is not made again before replicas show it, and what was refused is stuck."""
    comparison = of(seen(somebody("bob", NOBODY, losing=LOST), bob=(CLICKTIME, USER)))
    changes = [
        replace(comparison.change(comparison.removals[0], "revoke"), state="done"),
        replace(comparison.change(comparison.grants[0], "grant"), state="refused", reason="no"),
    ]
    left = comparison.without(batches(changes, NOW))
    assert [one.principal.name for one in left.grants] == ["lea"]
    assert left.removals == ()
    assert [change.name for change in comparison.stuck(changes)] == ["ann"]


def test_steps_group_people_by_reason() -> None:
    """An operation shows one step for all who are given the same by the same rule."""
    comparison = of(seen(*(somebody(name, SALES) for name in ("x", "y", "z"))))
    assert [(step.sentence, step.affects) for step in steps_of("assign", comparison.grants)] == [
        ("Sales: clicktime/User by rule 1.", "4 people: ann, x, y and 1 more"),
        ("Legal: clicktime/Editor by rule 2.", "1 person: lea"),
    ]


NAMES = ("p0", "p1", "p2", "p3", "p4", "p5")
ROLES = {CLICKTIME: (USER, EDITOR), SMARTTRACE: (USER,), HELLOTRACKS: (USER,)}
PLACES = [(key, role.id) for key, roles in ROLES.items() for role in roles]
PEOPLE = st.tuples(
    *(
        st.builds(
            somebody,
            st.just(name),
            st.sampled_from([SALES, LEGAL, NOBODY]),
            here=st.booleans(),
            losing=st.dictionaries(
                st.sampled_from(PLACES), st.integers(0, 30).map(lambda days: NOW - timedelta(days=days)), max_size=3
            ),
        )
        for name in NAMES
    )
)
HELD = st.dictionaries(
    st.sampled_from([*map(ObjectId, NAMES), ObjectId("stranger")]),
    st.lists(st.sampled_from(PLACES), unique=True, max_size=4).map(
        lambda places: tuple(Held(key, role, f"{key}{role}") for key, role in places)
    ),
)


@given(PEOPLE, HELD)
def test_nothing_is_taken_without_every_reason_and_mending_rests(
    people: tuple[Somebody, ...], held: Mapping[ObjectId, tuple[Held, ...]]
) -> None:
    """Each removal is of somebody seen, here, without a rule, after the grace; once mended nothing is left to mend."""
    look = Seen(RULES, people, OFFERED, held)
    compared, losing = compare(look, NOW)
    by_id = {one.principal.object_id: one for one in people}
    after = {name: {(one.key, one.role_id) for one in holds} for name, holds in held.items()}
    for one in compared:
        application = one.application
        assert application.authoritative or not (one.grants or one.removals)
        for difference in one.removals:
            person, place = by_id[difference.principal.object_id], (application.key, difference.change.role_id)
            rules = {(entry.key, entry.role) for entry in entitled(person.person, RULES)}
            assert person.here
            assert (application.key, "User" if place[1] == USER.id else "Editor") not in rules
            grace = RULES.grace_days[application.key]
            assert NOW - person.losing.get(place, NOW) >= timedelta(days=grace)
            after[difference.principal.object_id].remove(place)
        for difference in one.grants:
            assert by_id[difference.principal.object_id].here
            after.setdefault(difference.principal.object_id, set()).add((application.key, difference.change.role_id))
    mended = {name: tuple(Held(key, role, "x") for key, role in places) for name, places in after.items()}
    lost = tuple(replace(one, losing=losing.get(one.principal.object_id, one.losing)) for one in people)
    again, _ = compare(replace(look, people=lost, held=mended), NOW)
    assert not any(one.grants or one.removals for one in again)
