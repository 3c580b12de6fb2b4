"""What is wrong with entitlements that can be read: dead rules, overlapping ones, unknown targets.

A rule is dead where an earlier one takes all it would give, or where nobody meets its conditions. Two rules overlap
where somebody may meet both and they give one application with different roles: the first counts, which may surprise.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sso.entitlements import Entitlements, Grant, Person, Rule, matches
from sso.model import Key


@dataclass(frozen=True)
class Finding:
    """One thing that a reader of the file should look at."""

    kind: Literal["dead", "overlap", "unknown"]
    rule: int
    path: str
    sentence: str


@dataclass(frozen=True)
class Catalogued:
    """What the catalogue says of a vendor, as far as a target can be wrong."""

    single: bool  # instances = "one"


def lint(
    entitlements: Entitlements,
    vendors: Mapping[str, Catalogued],
    *,
    roles: Mapping[Key, Collection[str]] | None = None,
    people: Collection[Person] | None = None,
) -> tuple[Finding, ...]:
    """Every finding, in the order of the rules; with the tenant's roles and people those are compared as well."""
    found: list[Finding] = []
    for number, rule in enumerate(entitlements.rules, start=1):
        found += _unknown(number, rule, vendors, roles)
        found += _shadowed(number, rule, entitlements.rules)
        if people is not None and not any(matches(rule, person) for person in people):
            sentence = f"Rule {number} matches nobody of the {len(people)} people in the directory."
            found.append(Finding("dead", number, f"rules[{number - 1}].when", sentence))
    return tuple(found)


def _unknown(
    number: int, rule: Rule, vendors: Mapping[str, Catalogued], roles: Mapping[Key, Collection[str]] | None
) -> Iterator[Finding]:
    seen: set[Key] = set()
    for place, grant in enumerate(rule.grant):
        path = f"rules[{number - 1}].grant[{place}]"
        vendor = vendors.get(grant.vendor)
        if vendor is None:
            sentence = f"There is no vendor '{grant.vendor}' in the catalogue; correct the name or add its profile."
            yield Finding("unknown", number, f"{path}.vendor", sentence)
        elif vendor.single and grant.instance != "default":
            sentence = f"'{grant.vendor}' has one instance, named default; remove instance = \"{grant.instance}\"."
            yield Finding("unknown", number, f"{path}.instance", sentence)
        elif roles is not None and grant.key not in roles:
            sentence = f"'{grant.key}' is not onboarded; onboard it, or nobody can be given it."
            yield Finding("unknown", number, path, sentence)
        elif roles is not None and grant.role and grant.role not in roles[grant.key]:
            names = ", ".join(f"'{name}'" for name in roles[grant.key]) or "none"
            sentence = f"'{grant.key}' has no role '{grant.role}'; it has {names}. Name one of these."
            yield Finding("unknown", number, f"{path}.role", sentence)
        if grant.key in seen:
            yield Finding("dead", number, path, f"Rule {number} grants '{grant.key}' twice; the first counts.")
        seen.add(grant.key)


def _shadowed(number: int, rule: Rule, rules: Iterable[Rule]) -> Iterator[Finding]:
    """What earlier rules leave of this one."""
    earlier = [(place, other) for place, other in enumerate(rules, start=1) if place < number]
    for place, grant in enumerate(rule.grant):
        path = f"rules[{number - 1}].grant[{place}]"
        for before, other in earlier:
            theirs = next((given for given in other.grant if given.key == grant.key), None)
            if theirs is None:
                continue
            if covers(other, rule):
                sentence = (
                    f"Rule {number} never gives {grant}: whoever meets it meets rule {before}, which gives {theirs}."
                )
                yield Finding("dead", number, path, sentence)
                break
            if theirs.role != grant.role and _may_meet_both(other, rule):
                yield Finding("overlap", number, path, _overlap(before, number, theirs, grant))


def covers(first: Rule, second: Rule) -> bool:
    """Whether everybody who meets the second rule meets the first."""
    return all(
        name in second.when.conditions and second.when.conditions[name] <= values
        for name, values in first.when.conditions.items()
    )


def _may_meet_both(first: Rule, second: Rule) -> bool:
    """Whether one person can meet both rules; a person may be in any number of groups."""
    return all(
        name == "groups" or values & second.when.conditions.get(name, values)
        for name, values in first.when.conditions.items()
    )


def _overlap(before: int, number: int, theirs: Grant, grant: Grant) -> str:
    return (
        f"Somebody may meet rules {before} and {number}, which give {theirs} and {grant}: rule {before} counts,"
        " because it comes first. Narrow one of them, or put them in the order you mean."
    )
