"""The linter: dead rules, overlapping ones, unknown targets; and silence where nothing is wrong."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from clients.entitlements import catalogued
from sso.entitlement_lint import Catalogued, lint
from sso.entitlements import Person, parse_entitlements
from sso.model import key_of
from tests.docs.reading import CLONE
from vendors.catalog import Catalog

VENDORS: Mapping[str, Catalogued] = {
    "clicktime": Catalogued(single=True),
    "smarttrace": Catalogued(single=False),
}


def _rule(when: str, grant: str) -> str:
    return f"[[rules]]\nwhen = {{ {when} }}\ngrant = [{grant}]\n"


CLICKTIME, EDITOR = "{vendor='clicktime', role='User'}", "{vendor='clicktime', role='Editor'}"
CASES: dict[str, tuple[list[tuple[str, str]], list[tuple[str, int]]]] = {
    "a rule after everyone's": ([("everyone=true", CLICKTIME), ("country='DE'", CLICKTIME)], [("dead", 2)]),
    "a rule after a wider one": (
        [("country=['DE','AT']", CLICKTIME), ("country='DE', department='Sales'", EDITOR)],
        [("dead", 2)],
    ),
    "a wider rule after a narrower one": (
        [("country='DE', department='Sales'", CLICKTIME), ("country='DE'", CLICKTIME)],
        [],
    ),
    "two roles for whoever meets both": (
        [("department='Sales'", CLICKTIME), ("country='DE'", EDITOR)],
        [("overlap", 2)],
    ),
    "two roles and nobody who meets both": ([("country='AT'", CLICKTIME), ("country='DE'", EDITOR)], []),
    "two groups may have one member": ([("groups='A'", CLICKTIME), ("groups='B'", EDITOR)], [("overlap", 2)]),
    "one role by two rules": ([("department='Sales'", CLICKTIME), ("country='DE'", CLICKTIME)], []),
    "a vendor that is none": ([("country='DE'", "{vendor='zoom'}")], [("unknown", 1)]),
    "an instance of a single vendor": ([("country='DE'", "{vendor='clicktime', instance='emea'}")], [("unknown", 1)]),
    "an instance of another": ([("country='DE'", "{vendor='smarttrace', instance='emea'}")], []),
    "one application twice in a rule": ([("country='DE'", f"{CLICKTIME}, {EDITOR}")], [("dead", 1)]),
}


@pytest.mark.parametrize(("rules", "expected"), CASES.values(), ids=CASES)
def test_each_mistake_is_found_at_its_rule(rules: list[tuple[str, str]], expected: list[tuple[str, int]]) -> None:
    """What is wrong is found with its kind and rule, and nothing else is."""
    found = lint(parse_entitlements("".join(_rule(*rule) for rule in rules).encode()), VENDORS)
    assert [(finding.kind, finding.rule) for finding in found] == expected
    assert all(
        finding.path.startswith(f"rules[{finding.rule - 1}]") and finding.sentence[-1] == "." for finding in found
    )


def test_people_and_roles_of_the_tenant_are_compared() -> None:
    """With the directory at hand: rules that match nobody, applications not onboarded, roles not offered."""
    text = _rule("country='DE'", EDITOR) + _rule("country='CH'", "{vendor='smarttrace'}")
    people = [Person({"country": "ch"})]
    found = lint(
        parse_entitlements(text.encode()), VENDORS, roles={key_of("clicktime", "default"): ["User"]}, people=people
    )
    assert [(finding.kind, finding.path) for finding in found] == [
        ("unknown", "rules[0].grant[0].role"),
        ("dead", "rules[0].when"),
        ("unknown", "rules[1].grant[0]"),
    ]


def test_the_example_is_clean() -> None:
    """Nothing is wrong with the file that people copy, against the catalogue that is deployed."""
    text = (CLONE / "docs" / "entitlements.toml").read_bytes()
    assert lint(parse_entitlements(text), catalogued(Catalog())) == ()


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        (_rule("country='DE'", CLICKTIME), 0, "1 rules, nothing to say"),
        (_rule("country='DE'", "{vendor='zoom'}"), 1, "unknown  rules[0].grant[0].vendor"),
        ("[[rules]]", 1, "the entitlements have 2 problems"),
    ],
)
def test_linter_at_the_command_line(tmp_path: Path, text: str, code: int, word: str) -> None:
    """`python -m clients.entitlements FILE` prints findings and problems, and exits with 1 where there are any."""
    path = tmp_path / "entitlements.toml"
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "clients.entitlements", str(path)]
    ran = subprocess.run(command, cwd=CLONE, capture_output=True, text=True, check=False)
    assert (ran.returncode, word in ran.stdout) == (code, True), ran.stdout + ran.stderr
