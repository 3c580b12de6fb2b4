"""What a request asks for: read completely at the edge, then compared with what only the directory knows.

`parse` keeps every field that is well formed and names every one that is not, so that `check` can say in the same
answer what the directory objects to.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from sso.errors import Reason, Refused
from sso.model import (
    Application,
    Key,
    ObjectId,
    Principal,
    instance_name,
    offboarded_since,
    owner_from_tags,
    parameters_from_tags,
)
from sso.rotation import Rotation
from vendors.catalog import Catalog, UnknownVendorError
from vendors.fields import unprintable
from vendors.parsing import ProfileError
from vendors.profile import Profile
from vendors.slug import parse_slug

PRINCIPALS = 200  # at most, in one onboarding
TEXT = 256  # characters, the longest UPN and display name of Entra
TICKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/#:-]{0,63}")
FIELDS = frozenset(
    {"vendor", "instance", "parameters", "owner", "assignments", "ticket", "requested_by", "display_name"}
)


@dataclass(frozen=True)
class Draft:
    """The well-formed parts of a request, not yet compared with the directory."""

    profile: Profile | None = None
    key: Key | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    role: str | None = None
    ticket: str | None = None
    requested_by: str | None = None
    display_name: str | None = None


@dataclass(frozen=True)
class Onboarding:
    """A request that has passed both checks: what an operation carries out, again after every restart."""

    key: Key
    parameters: Mapping[str, str]
    owner: ObjectId
    principals: tuple[Principal, ...] = ()
    role: str | None = None
    display_name: str | None = None
    ticket: str | None = None
    requested_by: str | None = None
    hand_off_again: bool = False  # a new hand-off is asked for, though the facts may be the same
    revives: bool = False  # an offboarded application is brought back: it was asked for by name
    rotation: Rotation | None = None  # the client secret that is to be succeeded


_ONBOARDING = TypeAdapter(Onboarding)


def to_json(request: Onboarding) -> dict[str, Any]:
    """A request as an operation's row keeps it; it holds no secret."""
    return dict(_ONBOARDING.dump_python(request, mode="json"))


def from_json(kept: Mapping[str, Any]) -> Onboarding:
    """Read a request back from an operation's row."""
    return _ONBOARDING.validate_python(kept)


def recorded(key: Key, application: Application | None) -> Onboarding | None:
    """What an application's own tags say was asked for; None where there is none."""
    owner = owner_from_tags(application.tags) if application else None
    if application is None or owner is None:
        return None
    return Onboarding(key=key, parameters=parameters_from_tags(application.tags), owner=owner)


def standing(key: Key, application: Application | None) -> Onboarding:
    """What was asked for of an application in use; raises `Refused` where there is none (404) or not any more (409)."""
    request = recorded(key, application)
    if application is None or request is None:
        raise Refused(Reason("instance", f"There is no onboarded application '{key}'. Onboard it first."), status=404)
    if since := offboarded_since(application.tags):
        detail = f"'{key}' is offboarded since {since:%Y-%m-%d}. Its onboarding request brings it back."
        raise Refused(Reason("instance", detail), status=409)
    return request


class Reader:
    """Collects reasons while fields are read."""

    def __init__(self) -> None:
        """Nothing is wrong yet."""
        self.reasons: list[Reason] = []

    def refuse(self, where: str, detail: str) -> None:
        """Blame a field."""
        self.reasons.append(Reason(where, detail))

    def only(self, source: Mapping[str, Any], fields: Iterable[str]) -> None:
        """Blame every field that there is not."""
        known = sorted(fields)
        for name in sorted(set(source) - set(known), key=str)[:20]:
            detail = f"There is no field '{str(name)[:40]}'. Fields are {', '.join(known)}."
            self.refuse(str(name)[:TEXT], detail)

    def text(
        self, source: Mapping[str, Any], name: str, where: str, rule: Callable[[str], bool] | None = None
    ) -> str | None:
        """One optional single-line text."""
        value = source.get(name)
        if value is None:
            return None
        return self.line(value, where, rule)

    def line(self, value: object, where: str, rule: Callable[[str], bool] | None = None) -> str | None:
        """One single-line text; `rule` says whether it is well formed."""
        if not isinstance(value, str) or not value.strip() or len(value) > TEXT:
            self.refuse(where, f"'{where}' must be a text of 1 to {TEXT} characters. Correct it or leave it out.")
        elif found := unprintable(value):
            self.refuse(where, f"'{where}' holds the invisible character U+{ord(found):04X}. Type it without.")
        elif rule and not rule(value):
            self.refuse(where, f"'{where}' is malformed: letters, digits and . _ / # : - are taken, 64 at most.")
        else:
            return value.strip()
        return None

    def lines(self, value: object, where: str, most: int = PRINCIPALS) -> tuple[str, ...]:
        """A list of single-line texts, without repetitions; whoever asks blames a list that is too long."""
        if value is None:
            return ()
        if not isinstance(value, list):
            self.refuse(where, f"'{where}' must be a list of names.")
            return ()
        read = [self.line(entry, f"{where}[{number}]") for number, entry in enumerate(value[:most])]
        return tuple(dict.fromkeys(name for name in read if name))


def parse(body: object, catalog: Catalog) -> tuple[Draft, tuple[Reason, ...]]:
    """Read a request; what is malformed is missing from the draft and named in the reasons."""
    reader = Reader()
    if not isinstance(body, dict):
        return Draft(), (Reason("", "The body must be one JSON object, as in the README's example."),)
    reader.only(body, FIELDS)
    profile, key = _vendor(body, catalog, reader)
    assignments = {} if body.get("assignments") is None else body["assignments"]
    if not isinstance(assignments, dict) or set(assignments) - {"users", "groups", "role"}:
        reader.refuse("assignments", "'assignments' must be an object with users, groups and role only.")
        assignments = {}
    users = reader.lines(assignments.get("users"), "assignments.users")
    groups = reader.lines(assignments.get("groups"), "assignments.groups")
    if any(len(names) > PRINCIPALS for names in assignments.values() if isinstance(names, list)) or (
        len(users) + len(groups) > PRINCIPALS
    ):
        reader.refuse(
            "assignments",
            f"A request names at most {PRINCIPALS} principals. Assign a group instead.",
        )
    draft = Draft(
        profile=profile,
        key=key,
        parameters=_parameters(body, profile, reader),
        owner=reader.text(body, "owner", "owner"),
        users=users,
        groups=groups,
        role=reader.text(assignments, "role", "assignments.role"),
        ticket=reader.text(body, "ticket", "ticket", lambda text: bool(TICKET.fullmatch(text))),
        requested_by=reader.text(body, "requested_by", "requested_by"),
        display_name=reader.text(body, "display_name", "display_name"),
    )
    return draft, tuple(reader.reasons)


def _vendor(body: Mapping[str, Any], catalog: Catalog, reader: Reader) -> tuple[Profile | None, Key | None]:
    profile = None
    vendor = body.get("vendor")
    if not isinstance(vendor, str):
        reader.refuse("vendor", "'vendor' must name a vendor of the catalogue. GET /vendors lists them.")
    else:
        try:
            profile = catalog.load(vendor)
        except UnknownVendorError as error:
            reader.refuse("vendor", str(error))
        except ProfileError as error:
            reader.refuse("vendor", f"The profile of '{vendor}' is broken; its maintainer must mend it. {error}")
    instance = body.get("instance", "default")
    try:
        instance = instance_name(instance)
    except ValueError as error:
        reader.refuse("instance", f"'instance' {error}.")
        return profile, None
    return profile, Key(parse_slug(vendor), instance) if profile and isinstance(vendor, str) else None


def _parameters(body: Mapping[str, Any], profile: Profile | None, reader: Reader) -> dict[str, str]:
    given = body.get("parameters", {})
    if not isinstance(given, dict):
        reader.refuse("parameters", "'parameters' must be an object of texts.")
        return {}
    if profile is None:
        return {}
    return parameters(given, profile, reader, who="request")


def parameters(given: Mapping[str, Any], profile: Profile, reader: Reader, *, who: str) -> dict[str, str]:
    """Read the parameters that `who` (`request` or `vendor`) supplies."""
    read: dict[str, str] = {}
    for name in sorted(set(given) - set(profile.parameters), key=str)[:20]:
        known = ", ".join(profile.parameters) or "none"
        reader.refuse(
            f"parameters.{str(name)[:40]}", f"{profile.name} has no parameter '{str(name)[:40]}'; it has {known}."
        )
    for name, parameter in profile.parameters.items():
        where, value = f"parameters.{name}", given.get(name)
        if value is None:
            if parameter.source == who:
                reader.refuse(
                    where, f"{profile.name} requires '{name}' ({parameter.title}); the request has none. Add it."
                )
        elif not isinstance(value, str):
            reader.refuse(where, f"'{where}' must be a text ({parameter.title}).")
        elif refusal := parameter.refusal(value):
            reader.refuse(where, f"'{where}': {refusal}.")
        else:
            read[name] = value
    return read


def parse_supplied(body: object, profile: Profile) -> tuple[dict[str, str], tuple[Reason, ...]]:
    """Read the body of `PUT …/parameters`: values that the vendor supplied."""
    reader = Reader()
    if not isinstance(body, dict) or not body:
        return {}, (Reason("", "The body must be a JSON object of the parameters that the vendor supplied."),)
    read = parameters(body, profile, reader, who="vendor")
    for name in read:
        if profile.parameters[name].source != "vendor":
            reader.refuse(f"parameters.{name}", f"'{name}' is supplied by the onboarding request, not by the vendor.")
    return read, tuple(reader.reasons)
