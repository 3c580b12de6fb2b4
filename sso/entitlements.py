"""Entitlements: which rules of a company give whom access to which application, as `entitlements.toml` says.

A rule has conditions on a person's attributes and grants; all of its conditions must hold, each by any of its values.
For one application the first rule in the file that matches counts, so that nobody holds two roles by accident.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from sso.errors import Reason
from sso.model import Key, instance_name
from vendors.fields import Name, Role
from vendors.reading import Path, Problem, instead_of, problems_of, read_toml
from vendors.slug import parse_slug

RULES = 500  # at most, in one file
LONGEST_GRACE = 365  # days

# What a rule can ask about a person, by Graph's names; `country` and `location` are read from usageLocation and
# officeLocation where a person's own `country` is empty.
AttributeName = Literal["department", "jobTitle", "employeeType", "country", "location"]
ATTRIBUTES: tuple[AttributeName, ...] = get_args(AttributeName)


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _slug(text: object) -> object:
    try:
        return parse_slug(text) if isinstance(text, str) else text
    except ValueError:
        raise PydanticCustomError("rule", "must name a vendor's file without .toml; GET /vendors lists them") from None


def _instance(text: object) -> object:
    try:
        return instance_name(text)
    except ValueError as error:
        raise PydanticCustomError("rule", "{why}", {"why": str(error)}) from None


Values = Annotated[tuple[Name, ...], BeforeValidator(_one_or_many), Field(strict=False, min_length=1, max_length=200)]


class _Table(BaseModel):
    """One table of the file: read exactly, unknown keys refused, never changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ignored_types=(cached_property,))


class When(_Table):
    """The conditions of a rule: all of them must hold, each by any of its values, whatever their case."""

    everyone: Literal[True] | None = None
    department: Values | None = None
    jobTitle: Values | None = None  # noqa: N815  # Graph's name, as people write it in the file
    employeeType: Values | None = None  # noqa: N815  # the same
    country: Values | None = None
    location: Values | None = None
    groups: Values | None = None  # by name or object ID; direct members only

    @model_validator(mode="after")
    def _says_whom(self) -> "When":
        given = set(self.model_fields_set)
        if not given:
            raise PydanticCustomError("rule", "must name a condition, or say everyone = true")
        if "everyone" in given and len(given) > 1:
            raise PydanticCustomError("rule", "cannot say everyone beside a condition; remove one of them")
        return self

    @cached_property
    def conditions(self) -> Mapping[str, frozenset[str]]:
        """Attribute to the values that satisfy it, in one case."""
        named = {name: getattr(self, name) for name in (*ATTRIBUTES, "groups")}
        return {name: frozenset(map(str.casefold, values)) for name, values in named.items() if values is not None}


class Grant(_Table):
    """What a rule gives: a role of one application; without a role the one that an onboarding would give."""

    vendor: Annotated[str, BeforeValidator(_slug)]
    instance: Annotated[str, BeforeValidator(_instance)] = "default"
    role: Role | None = None

    @property
    def key(self) -> Key:
        """The application."""
        return Key(parse_slug(self.vendor), self.instance)

    def __str__(self) -> str:
        """`clicktime/User`, with the instance where it is not the default one."""
        parts = (self.vendor, self.instance if self.instance != "default" else None, self.role)
        return "/".join(part for part in parts if part)


class Rule(_Table):
    """Whoever meets the conditions gets the grants, and keeps them `grace_days` after meeting them no more."""

    name: Name | None = None
    when: When
    grant: Annotated[tuple[Grant, ...], Field(strict=False, min_length=1, max_length=100)]
    grace_days: Annotated[int, Field(ge=0, le=LONGEST_GRACE)] = 0


class Leaver(_Table):
    """What happens to the account of somebody who has left."""

    disable_account: bool = False


class Entitlements(_Table):
    """The whole file."""

    rules: Annotated[tuple[Rule, ...], Field(strict=False, min_length=1, max_length=RULES)]
    leaver: Leaver = Leaver()

    @cached_property
    def groups(self) -> frozenset[str]:
        """Every group that a rule names, as it is written."""
        return frozenset(name for rule in self.rules for name in rule.when.groups or ())

    @cached_property
    def grace_days(self) -> Mapping[Key, int]:
        """Each application that a rule names, and the longest grace that any of these gives."""
        found: dict[Key, int] = {}
        for rule in self.rules:
            for grant in rule.grant:
                found[grant.key] = max(rule.grace_days, found.get(grant.key, 0))
        return found


@dataclass(frozen=True)
class Person:
    """What rules look at: attributes as somebody said them, and the rules' groups of which somebody is a member."""

    attributes: Mapping[AttributeName, str]
    groups: frozenset[str] = frozenset()  # as the rules write them

    def values(self, name: str) -> frozenset[str]:
        """What a condition on this attribute compares with."""
        if name == "groups":
            return frozenset(map(str.casefold, self.groups))
        return frozenset(value.casefold() for attribute, value in self.attributes.items() if attribute == name)


@dataclass(frozen=True)
class Entitled:
    """One application that a person has by rule, and why."""

    key: Key
    role: str | None
    rule: int  # counted from 1, as people count them in the file
    sentence: str


class EntitlementsError(ValueError):
    """The file is broken; `problems` holds every reason, and the text lists them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Compose the message from all problems."""
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n- ".join([f"the entitlements have {count}:", *map(str, problems)]))

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The problems as a refusal names them."""
        return tuple(Reason(f"entitlements.{problem.path}", str(problem)) for problem in self.problems)


_TABLES: Mapping[str, type[BaseModel]] = {"when": When, "grant": Grant, "rules": Rule, "leaver": Leaver}


def parse_entitlements(source: bytes) -> Entitlements:
    """Return the rules that the bytes of a TOML file describe; raises `EntitlementsError` with all problems."""
    tables = read_toml(source, "a file of entitlements")
    if isinstance(tables, Problem):
        raise EntitlementsError((tables,))
    try:
        return Entitlements.model_validate(tables)
    except ValidationError as error:
        raise EntitlementsError(problems_of(error, _explain)) from None


def _explain(kind: str, path: Path) -> str | None:
    if kind == "extra_forbidden":
        tables = [_TABLES[str(part)] for part in path[:-1] if part in _TABLES]
        return f"is no key of the schema; {instead_of(str(path[-1]), tables[-1:] or [Entitlements])}"
    if kind in ("missing", "tuple_type") and path == ["rules"]:
        return "is required; write one [[rules]] for each rule"
    if kind == "literal_error" and path[-1] == "everyone":
        return "can only be true; remove it, or name conditions"
    return None


def matches(rule: Rule, person: Person) -> bool:
    """Whether a person meets every condition of a rule."""
    return all(person.values(name) & wanted for name, wanted in rule.when.conditions.items())


def entitled(person: Person, entitlements: Entitlements) -> tuple[Entitled, ...]:
    """What a person has by the rules, by application: of several rules for one the first in the file counts."""
    found: dict[Key, Entitled] = {}
    for number, rule in enumerate(entitlements.rules, start=1):
        if matches(rule, person):
            for grant in rule.grant:
                sentence = f"{_who(rule, person)}: {grant} by rule {number}"
                found.setdefault(grant.key, Entitled(grant.key, grant.role, number, sentence))
    return tuple(found.values())


def _who(rule: Rule, person: Person) -> str:
    """Why a rule matches: "Sales in DE", the person's own words in the order of the conditions."""
    if rule.when.everyone:
        return "Everyone"
    said: dict[str, str] = {str(name): value for name, value in person.attributes.items()}
    about = [said[name] for name in ("department", "jobTitle", "employeeType") if name in rule.when.conditions]
    where = [said[name] for name in ("country", "location") if name in rule.when.conditions]
    wanted = rule.when.conditions.get("groups", frozenset())
    teams = sorted(group for group in person.groups if group.casefold() in wanted)
    what = ", ".join([*about, *([f"member of {', '.join(teams)}"] if teams else [])])
    return f"{what or 'Somebody'} in {', '.join(where)}" if where else what


def attributes_of(given: Mapping[str, Any]) -> tuple[dict[AttributeName, str], tuple[Reason, ...]]:
    """Read the attributes that an event carries; names that no rule can ask about are left out."""
    read: dict[AttributeName, str] = {}
    reasons = []
    for name in ATTRIBUTES:
        value = given.get(name)
        if value is None:
            continue
        if isinstance(value, str) and 0 < len(value.strip()) <= 256 and value.isprintable():
            read[name] = value.strip()
        else:
            detail = f"'{name}' must be a text of 1 to 256 printable characters. Correct it or leave it out."
            reasons.append(Reason(f"data.attributes.{name}", detail))
    return read, tuple(reasons)


def numbers(rules: Iterable[int]) -> str:
    """Name rules by their numbers: "rule 3", "rules 1 and 3"."""
    listed = [str(number) for number in sorted(set(rules))]
    return f"rule {listed[0]}" if len(listed) == 1 else f"rules {', '.join(listed[:-1])} and {listed[-1]}"
