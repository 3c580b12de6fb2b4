"""What a request asks for: read completely at the edge, then compared with what only the directory knows.

`parse` keeps every field that is well formed and names every one that is not, so that `check` can say in the same
answer what the directory objects to.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from sso.errors import Reason
from sso.model import CUSTOM_TEMPLATE, MANAGED_TAG, Key, ObjectId, Principal, instance_name, parameters_from_tags
from sso.observed import Observed
from vendors.addresses import names_in
from vendors.catalog import Catalog, UnknownVendorError
from vendors.fields import unprintable
from vendors.parsing import ProfileError
from vendors.placeholders import FillError, fill
from vendors.profile import GallerySource, Profile, SamlProfile
from vendors.slug import parse_slug

PRINCIPALS = 200  # at most, in one onboarding
TEXT = 256  # characters, the longest UPN and display name of Entra
TICKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/#:-]{0,63}")
# What everyone may be made to consent to; anything else is named in GATEHOUSE_CONSENT_SCOPES.
PLAIN_SCOPES = frozenset({"openid", "profile", "email", "offline_access", "User.Read"})
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


_ONBOARDING = TypeAdapter(Onboarding)


def to_json(request: Onboarding) -> dict[str, Any]:
    """A request as an operation's row keeps it; it holds no secret."""
    return dict(_ONBOARDING.dump_python(request, mode="json"))


def from_json(kept: Mapping[str, Any]) -> Onboarding:
    """Read a request back from an operation's row."""
    return _ONBOARDING.validate_python(kept)


@dataclass(frozen=True)
class DirectoryFacts:
    """What only the directory knows about a draft."""

    observed: Observed | None  # None where vendor or instance is malformed
    owners: tuple[Principal, ...] = ()  # hits for the draft's owner
    users: Mapping[str, tuple[Principal, ...]] = field(default_factory=dict)  # text -> hits
    groups: Mapping[str, tuple[Principal, ...]] = field(default_factory=dict)
    owner_allowed: bool = True  # a member of GATEHOUSE_OWNERS_GROUP, where that is set


class _Reader:
    """Collects reasons while fields are read."""

    def __init__(self) -> None:
        self.reasons: list[Reason] = []

    def refuse(self, where: str, detail: str) -> None:
        self.reasons.append(Reason(where, detail))

    def text(
        self, source: Mapping[str, Any], name: str, where: str, rule: Callable[[str], bool] | None = None
    ) -> str | None:
        """One optional single-line text."""
        value = source.get(name)
        if value is None:
            return None
        return self.line(value, where, rule)

    def line(self, value: object, where: str, rule: Callable[[str], bool] | None = None) -> str | None:
        if not isinstance(value, str) or not value.strip() or len(value) > TEXT:
            self.refuse(where, f"'{where}' must be a text of 1 to {TEXT} characters. Correct it or leave it out.")
        elif found := unprintable(value):
            self.refuse(where, f"'{where}' holds the invisible character U+{ord(found):04X}. Type it without.")
        elif rule and not rule(value):
            self.refuse(where, f"'{where}' is malformed: letters, digits and . _ / # : - are taken, 64 at most.")
        else:
            return value.strip()
        return None

    def lines(self, value: object, where: str) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self.refuse(where, f"'{where}' must be a list of names.")
            return ()
        read = [self.line(entry, f"{where}[{number}]") for number, entry in enumerate(value[: PRINCIPALS + 1])]
        return tuple(dict.fromkeys(name for name in read if name))


def parse(body: object, catalog: Catalog) -> tuple[Draft, tuple[Reason, ...]]:
    """Read a request; what is malformed is missing from the draft and named in the reasons."""
    reader = _Reader()
    if not isinstance(body, dict):
        return Draft(), (Reason("", "The body must be one JSON object, as in the README's example."),)
    for name in sorted(set(body) - FIELDS, key=str)[:20]:
        reader.refuse(
            str(name)[:TEXT], f"There is no field '{str(name)[:40]}'. Fields are {', '.join(sorted(FIELDS))}."
        )
    profile, key = _vendor(body, catalog, reader)
    assignments = body.get("assignments") or {}
    if not isinstance(assignments, dict) or set(assignments) - {"users", "groups", "role"}:
        reader.refuse("assignments", "'assignments' must be an object with users, groups and role only.")
        assignments = {}
    users = reader.lines(assignments.get("users"), "assignments.users")
    groups = reader.lines(assignments.get("groups"), "assignments.groups")
    if len(users) + len(groups) > PRINCIPALS:
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


def _vendor(body: Mapping[str, Any], catalog: Catalog, reader: _Reader) -> tuple[Profile | None, Key | None]:
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


def _parameters(body: Mapping[str, Any], profile: Profile | None, reader: _Reader) -> dict[str, str]:
    given = body.get("parameters", {})
    if not isinstance(given, dict):
        reader.refuse("parameters", "'parameters' must be an object of texts.")
        return {}
    if profile is None:
        return {}
    return parameters(given, profile, reader, who="request")


def parameters(given: Mapping[str, Any], profile: Profile, reader: _Reader, *, who: str) -> dict[str, str]:
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
    reader = _Reader()
    if not isinstance(body, dict) or not body:
        return {}, (Reason("", "The body must be a JSON object of the parameters that the vendor supplied."),)
    read = parameters(body, profile, reader, who="vendor")
    for name in read:
        if profile.parameters[name].source != "vendor":
            reader.refuse(f"parameters.{name}", f"'{name}' is supplied by the onboarding request, not by the vendor.")
    return read, tuple(reader.reasons)


def check(draft: Draft, facts: DirectoryFacts, consent_scopes: frozenset[str], cloud: str) -> tuple[Reason, ...]:
    """Say everything that the directory and the deployment object to."""
    reasons = [
        *_check_owner(draft, facts),
        *_check_principals("users", draft.users, facts.users),
        *_check_principals("groups", draft.groups, facts.groups),
    ]
    if draft.profile and draft.key and facts.observed:
        reasons += check_addresses(draft.profile, draft.parameters)
        reasons += _check_tenant(draft.profile, draft.key, facts.observed)
        reasons += _check_deployment(draft.profile, consent_scopes, cloud)
    return tuple(reasons)


def check_addresses(profile: Profile, given: Mapping[str, str]) -> tuple[Reason, ...]:
    """Fill every address whose parameters are there: no value may make one lead elsewhere or grow too long."""
    if isinstance(profile, SamlProfile):
        saml = profile.saml
        lists = [saml.identifiers, saml.reply_urls]
        singles = [saml.sign_on_url, saml.logout_url, saml.relay_state]
    else:
        oidc = profile.oidc
        lists = [oidc.redirect_uris]
        singles = [oidc.sign_on_url, oidc.front_channel_logout_url]
    templates = [entry for entries in lists if isinstance(entries, tuple) for entry in entries]
    found: dict[str, Reason] = {}
    for template in [*templates, *filter(None, singles)]:
        if all(name in given for name in names_in(template)):
            try:
                fill(template, given)
            except FillError as error:
                where = f"parameters.{error.parameter}" if error.parameter else "parameters"
                found.setdefault(where, Reason(where, str(error)))
    return tuple(found.values())


def _check_owner(draft: Draft, facts: DirectoryFacts) -> Iterable[Reason]:
    if draft.owner is None:
        if facts.observed is None or facts.observed.owner is None:
            yield Reason(
                "owner", "'owner' is missing: name the person or mail-enabled security group that answers for it."
            )
        return
    if len(facts.owners) != 1:
        yield Reason("owner", _hits("owner", draft.owner, facts.owners))
        return
    owner = facts.owners[0]
    if owner.kind == "user" and owner.guest:
        yield Reason("owner", f"'{owner.name}' is a guest and cannot own an application. Name a member of the tenant.")
    elif owner.kind == "user" and not owner.enabled:
        yield Reason("owner", f"The account of '{owner.name}' is disabled. Name somebody who is here.")
    elif owner.kind == "group" and not (owner.security_group and owner.address):
        yield Reason("owner", f"The group '{owner.name}' is not a mail-enabled security group, so it cannot own.")
    elif not owner.address:
        yield Reason("owner", f"'{owner.name}' has no mail address in the directory, so hand-offs would reach nobody.")
    elif not facts.owner_allowed:
        yield Reason("owner", f"'{owner.name}' is not in the group that may own applications (GATEHOUSE_OWNERS_GROUP).")


def _check_principals(kind: str, names: tuple[str, ...], hits: Mapping[str, tuple[Principal, ...]]) -> Iterable[Reason]:
    for number, name in enumerate(names):
        where, found = f"assignments.{kind}[{number}]", hits.get(name, ())
        if len(found) != 1:
            yield Reason(where, _hits(kind.removesuffix("s"), name, found))
        elif found[0].kind == "group" and not found[0].security_group:
            yield Reason(where, f"The group '{name}' is not security-enabled, and only such groups can be assigned.")


def _hits(what: str, name: str, found: tuple[Principal, ...]) -> str:
    if found:
        ids = ", ".join(sorted(principal.object_id for principal in found)[:5])
        return f"'{name}' is ambiguous: {len(found)} entries of the directory have it ({ids}). Use an object ID."
    by = (
        "name, mail address or object ID"
        if what == "group"
        else "user principal name, mail address, alias or object ID"
    )
    return f"The directory has no {what} with the {by} '{name}'. Correct it."


def _check_tenant(profile: Profile, key: Key, observed: Observed) -> Iterable[Reason]:
    if profile.instances == "one" and observed.siblings:
        others = ", ".join(f"'{sibling}'" for sibling in observed.siblings)
        yield Reason(
            "instance",
            f"{profile.name} can exist once per tenant, because its identifier is a fixed string; {others} is there"
            " already. Use that instance.",
        )
    if observed.deleted and observed.application is None:
        yield Reason(
            "tenant",
            f"An application of '{key}' was deleted within the last 30 days (object ID {', '.join(observed.deleted)})."
            " Restore it (POST /directory/deletedItems/{id}/restore) or purge it (DELETE of the same), then ask again.",
        )
    for name in observed.offered_elsewhere:
        yield Reason(
            "tenant",
            f"The service principal '{name}' carries the tag of adoption, but its application is registered elsewhere:"
            " Microsoft's own and other tenants' applications are never acted on. Remove the tag from it.",
        )
    source = profile.source
    if observed.application is None and observed.adoptables:
        yield from _check_adoption(profile, key, observed)
    elif isinstance(source, GallerySource) and observed.application is None:
        fitting = [t for t in observed.templates if profile.protocol in t.sign_on_modes]
        if len(fitting) != 1:
            named = source.template_id or source.gallery
            hits = (
                ", ".join(f"'{t.display_name}' {t.id} {'/'.join(t.sign_on_modes)}" for t in observed.templates)
                or "none"
            )
            yield Reason(
                "vendor",
                f"The gallery has {len(fitting)} entries '{named}' with {profile.protocol} sign-on (found: {hits})."
                " Pin the right one with template_id in the profile.",
            )
    if isinstance(profile, SamlProfile) and observed.application is None and profile.saml.identifiers != "template":
        for other in observed.unmanaged:
            if held := set(other.identifiers) & set(profile.saml.identifiers):
                yield Reason(
                    "tenant",
                    f"The application '{other.display_name}' (object ID {other.object_id}) holds the identifier"
                    f" {', '.join(sorted(held))} that {profile.name} needs, and Gatehouse did not make it. Remove the"
                    f" identifier there, or put the tag 'gatehouse:adopt:{key}' on it to allow adoption.",
                )


def _check_adoption(profile: Profile, key: Key, observed: Observed) -> Iterable[Reason]:
    """What forbids adopting the application that an administrator tagged for it."""
    found = observed.adoptables
    if len(found) > 1:
        ids = ", ".join(application.object_id for application in found)
        yield Reason("tenant", f"{len(found)} applications ({ids}) are tagged for adoption by '{key}'. Leave one tag.")
        return
    name = f"The application '{found[0].display_name}' (object ID {found[0].object_id})"
    templates = {template.id for template in observed.templates}
    if found[0].client_id == observed.own_client_id:
        yield Reason("tenant", f"{name} is Gatehouse's own and is never acted on. Remove the tag from it.")
    elif MANAGED_TAG in found[0].tags:
        yield Reason("tenant", f"{name} is managed under another key already. Remove the tag from it.")
    elif found[0].template_id and found[0].template_id != CUSTOM_TEMPLATE and found[0].template_id not in templates:
        yield Reason("tenant", f"{name} was made from another template than that of {profile.name}. Remove the tag.")


def _check_deployment(profile: Profile, consent_scopes: frozenset[str], cloud: str) -> Iterable[Reason]:
    if isinstance(profile, SamlProfile):
        if cloud != "global":
            yield Reason(
                "vendor",
                f"{profile.name} signs in by SAML, and signing certificates can be added through Graph in the global"
                f" cloud only, not in '{cloud}'. Configure it by hand there.",
            )
    elif extra := set(profile.oidc.scopes) - PLAIN_SCOPES - consent_scopes:
        yield Reason(
            "vendor",
            f"{profile.name} wants everyone's consent to {', '.join(sorted(extra))}. Add these to"
            " GATEHOUSE_CONSENT_SCOPES if that is meant.",
        )
    if cloud == "china" and isinstance(profile.source, GallerySource) and not profile.source.template_id:
        yield Reason("vendor", "The gallery cannot be searched in China; pin template_id in the vendor's profile.")


def accept(draft: Draft, facts: DirectoryFacts) -> Onboarding:
    """Make the operation's request of a draft without reasons."""
    observed = facts.observed
    owner = facts.owners[0] if facts.owners else observed.owner if observed else None
    if draft.key is None or draft.profile is None or owner is None:
        msg = "a draft with reasons cannot be accepted"
        raise ValueError(msg)
    hits = [facts.users[name][0] for name in draft.users] + [facts.groups[name][0] for name in draft.groups]
    unique = {principal.object_id: principal for principal in hits}
    return Onboarding(
        key=draft.key,
        parameters={**_supplied_before(draft.profile, observed), **draft.parameters},
        owner=owner.object_id,
        principals=tuple(unique.values()),
        role=draft.role,
        display_name=draft.display_name,
        ticket=draft.ticket,
        requested_by=draft.requested_by,
    )


def _supplied_before(profile: Profile, observed: Observed | None) -> dict[str, str]:
    """What the vendor has supplied already: a request that is repeated does not take it away."""
    application = observed.application if observed else None
    found = parameters_from_tags(application.tags) if application else {}
    return {n: v for n, v in found.items() if n in profile.parameters and profile.parameters[n].source == "vendor"}
