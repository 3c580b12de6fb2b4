"""What only the directory and the deployment know of a request: their objections, and the request that is left."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sso.errors import Reason
from sso.handoff import unsealable
from sso.model import CUSTOM_TEMPLATE, MANAGED_TAG, Key, Principal, parameters_from_tags
from sso.observed import Observed
from sso.request import Draft, Onboarding
from vendors.addresses import names_in
from vendors.placeholders import FillError, fill
from vendors.profile import GallerySource, Profile, SamlProfile

# What everyone may be made to consent to; anything else is named in GATEHOUSE_CONSENT_SCOPES.
PLAIN_SCOPES = frozenset({"openid", "profile", "email", "offline_access", "User.Read"})


@dataclass(frozen=True)
class DirectoryFacts:
    """What only the directory knows about a draft."""

    observed: Observed | None  # None where vendor or instance is malformed
    owners: tuple[Principal, ...] = ()  # hits for the draft's owner
    users: Mapping[str, tuple[Principal, ...]] = field(default_factory=dict)  # text -> hits
    groups: Mapping[str, tuple[Principal, ...]] = field(default_factory=dict)
    owner_allowed: bool = True  # a member of GATEHOUSE_OWNERS_GROUP, where that is set


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


def check_sealing(profile: Profile, observed: Observed, now: datetime) -> tuple[Reason, ...]:
    """Object to an application that is still to be made, and whose secret could not be encrypted to its vendor."""
    problem = unsealable(profile, now) if observed.application is None else None
    return (Reason("vendor", problem),) if problem else ()


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
    if len(observed.deleted) > 1 and observed.application is None:
        yield Reason(
            "tenant",
            f"{len(observed.deleted)} applications of '{key}' were deleted within the last 30 days (object IDs"
            f" {', '.join(observed.deleted)}). Restore the one that is meant"
            " (POST /directory/deletedItems/{id}/restore) or purge the others (DELETE of the same), then ask again.",
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
        revives=True,
        ticket=draft.ticket,
        requested_by=draft.requested_by,
    )


def _supplied_before(profile: Profile, observed: Observed | None) -> dict[str, str]:
    """What the vendor has supplied already: a request that is repeated does not take it away."""
    application = observed.application if observed else None
    found = parameters_from_tags(application.tags) if application else {}
    return {n: v for n, v in found.items() if n in profile.parameters and profile.parameters[n].source == "vendor"}
