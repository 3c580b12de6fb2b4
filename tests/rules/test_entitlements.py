"""Entitlements: read whole or refused whole, and evaluated with reasons."""

from pathlib import Path
from typing import Any

import pytest

from sso.entitlements import Entitlements, EntitlementsError, Person, attributes_of, entitled, parse_entitlements
from sso.model import key_of
from tests.docs.reading import CLONE

RULES = b"""
[[rules]]
name = "Engineers"
when = { department = "Engineering" }
grant = [{ vendor = "smarttrace", instance = "emea", role = "Editor" }, { vendor = "hellotracks" }]

[[rules]]
when = { everyone = true }
grant = [{ vendor = "hellotracks", role = "User" }]

[[rules]]
when = { department = ["Sales", "Marketing"], country = ["DE", "AT"] }
grant = [{ vendor = "clicktime", role = "User" }]
grace_days = 14

[[rules]]
when = { groups = "Identity Team", jobTitle = "Lead", location = "Zurich" }
grant = [{ vendor = "thoropass" }]

[leaver]
disable_account = true
"""


@pytest.fixture(scope="module")
def rules() -> Entitlements:
    """A file of four rules."""
    return parse_entitlements(RULES)


def _sentences(rules: Entitlements, *groups: str, **attributes: str) -> list[str]:
    read, _ = attributes_of(attributes)
    return [entry.sentence for entry in entitled(Person(read, frozenset(groups)), rules)]


def test_every_rule_says_whom_what_and_which(rules: Entitlements) -> None:
    """The sentence is the person's own words, the grant, and the rule's number in the file."""
    assert _sentences(rules, department="Sales", country="DE")[1:] == ["Sales in DE: clicktime/User by rule 3"]
    assert _sentences(rules, department="Engineering") == [
        "Engineering: smarttrace/emea/Editor by rule 1",
        "Engineering: hellotracks by rule 1",
    ]
    assert _sentences(rules) == ["Everyone: hellotracks/User by rule 2"]
    assert _sentences(rules, "Identity Team", jobTitle="Lead", location="Zurich")[1:] == [
        "Lead, member of Identity Team in Zurich: thoropass by rule 4"
    ]


def test_every_condition_must_hold(rules: Entitlements) -> None:
    """One condition that does not hold, or an attribute that is not there, keeps the rule from giving anything."""
    for attributes in ({"department": "Sales"}, {"country": "DE"}, {"department": "Sales", "country": "CH"}):
        assert len(_sentences(rules, **attributes)) == 1
    assert len(_sentences(rules, "Other Team", jobTitle="Lead", location="Zurich")) == 1


def test_case_does_not_matter(rules: Entitlements) -> None:
    """HR systems write Sales, sales and SALES, and mean the same."""
    assert _sentences(rules, department="sALES", country="de")[1:] == ["sALES in de: clicktime/User by rule 3"]


def test_first_rule_counts_for_one_application(rules: Entitlements) -> None:
    """Nobody gets two roles of one application: an engineer has hellotracks by rule 1, not by rule 2."""
    read, _ = attributes_of({"department": "Engineering"})
    found = {entry.key: (entry.rule, entry.role) for entry in entitled(Person(read), rules)}
    assert found[key_of("hellotracks", "default")] == (1, None)


def test_grace_is_the_longest_of_an_applications_rules() -> None:
    """Where two rules name one application the longer grace holds."""
    text = RULES.replace(b'{ vendor = "hellotracks" }', b'{ vendor = "clicktime" }')
    assert parse_entitlements(text).grace_days[key_of("clicktime", "default")] == 14


CASES: dict[str, tuple[str, str, str]] = {
    "no rules": ("[leaver]\ndisable_account = true", "rules", "[[rules]]"),
    "an unknown table": ("[[rule]]\nname = 'x'", "rule", "write rules"),
    "no condition": ("[[rules]]\nwhen = {}\ngrant = [{vendor='clicktime'}]", "rules[0].when", "everyone = true"),
    "no grant": ("[[rules]]\nwhen = {everyone=true}", "rules[0].grant", "required"),
    "an empty grant": ("[[rules]]\nwhen = {everyone=true}\ngrant=[]", "rules[0].grant", "empty"),
    "everyone and somebody": (
        "[[rules]]\nwhen = {everyone=true, country='DE'}\ngrant=[{vendor='a'}]",
        "rules[0].when",
        "remove one",
    ),
    "nobody at all": (
        "[[rules]]\nwhen = {everyone=false}\ngrant=[{vendor='a'}]",
        "rules[0].when.everyone",
        "only be true",
    ),
    "a misspelt condition": (
        "[[rules]]\nwhen = {departement='Sales'}\ngrant=[{vendor='a'}]",
        "rules[0].when.departement",
        "write department",
    ),
    "a misspelt key of a grant": (
        "[[rules]]\nwhen = {country='DE'}\ngrant=[{vendor='a', rolle='x'}]",
        "rules[0].grant[0].rolle",
        "write role",
    ),
    "an empty list of values": (
        "[[rules]]\nwhen = {country=[]}\ngrant=[{vendor='a'}]",
        "rules[0].when.country",
        "empty",
    ),
    "a number for a text": ("[[rules]]\nwhen = {country=7}\ngrant=[{vendor='a'}]", "rules[0].when.country", "list"),
    "no vendor's name": (
        "[[rules]]\nwhen = {country='DE'}\ngrant=[{vendor='A B'}]",
        "rules[0].grant[0].vendor",
        "file",
    ),
    "no instance's name": (
        "[[rules]]\nwhen = {country='DE'}\ngrant=[{vendor='a', instance='X'}]",
        "rules[0].grant[0].instance",
        "lower-case",
    ),
    "too long a grace": (
        "[[rules]]\nwhen = {country='DE'}\ngrant=[{vendor='a'}]\ngrace_days=366",
        "rules[0].grace_days",
        "at most 365",
    ),
    "a word for a switch": ("[leaver]\ndisable_account='yes'", "leaver.disable_account", "true or false"),
    "no TOML": ("[[rules", "at", "not TOML"),
}


@pytest.mark.parametrize(("text", "path", "word"), CASES.values(), ids=CASES)
def test_broken_file_says_where_and_what_to_do(text: str, path: str, word: str) -> None:
    """Each problem has its key path and the repair."""
    with pytest.raises(EntitlementsError) as broken:
        parse_entitlements(text.encode())
    lines = {problem.path: str(problem) for problem in broken.value.problems}
    if path != "at":
        assert path in lines, lines
    assert any(word in line for line in lines.values()), lines
    assert all(line in str(broken.value) for line in lines.values())
    assert all(reason.field.startswith("entitlements.") for reason in broken.value.reasons)


def test_all_problems_are_told_together() -> None:
    """A file with a problem in each rule names them all at once."""
    text = "\n".join(case[0] for case in list(CASES.values())[2:11])
    with pytest.raises(EntitlementsError) as broken:
        parse_entitlements(text.encode())
    assert {problem.path.partition(".")[0] for problem in broken.value.problems} == {f"rules[{n}]" for n in range(9)}
    assert str(broken.value).startswith("the entitlements have ")


def test_the_example_is_read() -> None:
    """The file in docs/ that people copy is one."""
    rules = parse_entitlements((CLONE / Path("docs") / "entitlements.toml").read_bytes())
    assert rules.leaver.disable_account
    assert rules.groups == {"Identity Team"}


@pytest.mark.parametrize("value", [7, "", " ", "x" * 257, "a\nb", ["Sales"], "turned\u202etext"])
def test_attribute_that_is_no_text_is_refused(value: Any) -> None:
    """An attribute of an event must be a short printable text; it is blamed by its place."""
    read, reasons = attributes_of({"department": value, "country": "DE", "manager": 7})
    assert read == {"country": "DE"}
    assert [reason.field for reason in reasons] == ["data.attributes.department"]
