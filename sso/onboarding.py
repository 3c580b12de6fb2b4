"""The plan of an onboarding: from profile, request and what was observed to the ordered writes that are missing.

Order (graph-contract 21, design 5): the application exists under its temporary name; SAML: the service principal's mode
comes before the identifiers, because only then does the identifier policy exempt them; then consent, certificate or
secret, people, hand-off. A second identical request finds nothing missing and yields an empty plan.
"""

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from sso import app_management, freeze, offboarding, rotation, steps, trust
from sso.assignment import choose_role
from sso.deployment import Deployment
from sso.due import vendor_needs
from sso.handoff import unsealable
from sso.model import (
    ADOPTED_TAG,
    MANAGED_TAG,
    Application,
    adoption_tag,
    foreign_tags,
    owner_from_tags,
    owner_tag,
)
from sso.observed import Observed
from sso.request import Onboarding
from sso.situation import Situation
from sso.steps import ApplicationSettings, Block, Plan, ServicePrincipalSettings, Step
from sso.wanted import with_owner
from vendors.profile import OidcProfile, Profile, SamlProfile


def plan(
    profile: Profile,
    request: Onboarding,
    observed: Observed,
    deployment: Deployment,
    now: datetime,
    *,
    queued: frozenset[str] = frozenset(),
    operation: str | None = None,
    handed_off: bool = False,
) -> Plan:
    """The steps that are missing; `queued` are principals whose grants are already on their way.

    Of what is `handed_off` already nothing is written again weeks later: only reminders are left.
    """
    if restoring := tuple(offboarding.restore(profile.name, request, observed)):
        return Plan(restoring, notes=("What is missing then is planned once they are back.",))
    first: tuple[Step, ...] = tuple(offboarding.reopen(profile.name, request, observed))
    observed = offboarding.reopened(observed, first)
    if observed.application is None and observed.adoptable:
        offered = observed.adoptable
        adopt = steps.Adopt(
            sentence=f"Adopt the application '{offered.display_name}', which an administrator offered, by our mark.",
            application=_adopted(offered, request),
        )
        first, observed = (*first, adopt), replace(observed, application=adopt.application)
    situation = Situation(profile, request, observed, deployment, now, operation)
    if handed_off:
        cannot = _unsealable(situation)
        return Plan((), cannot) if cannot else Plan(tuple(trust.succeed(situation)), pause=trust.pause(situation))
    stopped = _stopped(situation)
    differences = tuple(f"{difference} It stays." for difference in situation.wanted.differences())
    notes = (*differences, *_unmanaged(situation), *([app_management.FORBIDDEN] if situation.forbidden else []))
    missing, held_up = freeze.hold_up(
        (*first, *(() if stopped else _steps(situation, queued))),
        situation.freeze_over,
        situation.ends,
        now,
        vendor_needs(profile),
    )
    pause = None if stopped else trust.pause(situation)
    return Plan(missing, _block(situation, stopped), notes, differences, held_up or pause)


def _adopted(offered: Application, request: Onboarding) -> Application:
    """The application with our mark and the tag that keeps everything else of it as it is."""
    key = request.key
    tags = {*foreign_tags(offered.tags), MANAGED_TAG, ADOPTED_TAG, key.tag, owner_tag(request.owner)}
    return replace(offered, tags=tuple(sorted(tags)), unique_name=offered.unique_name or key.marker)


def _steps(situation: Situation, queued: frozenset[str]) -> Iterator[Step]:
    if situation.request.rotation:  # touches the credential and nothing else
        yield from trust.make(situation)
    else:
        for twin in situation.observed.twins:
            yield steps.RemoveTwin(
                sentence=f"Delete the empty application {twin} that a lost answer left behind.", object_id=twin
            )
        yield from _create(situation)
        yield from _configure(situation)
        if situation.wanted.lacks_addresses():
            return
        yield from _consent(situation)
        yield from trust.make(situation)
        yield from _assign(situation, queued)
    yield from _tell(situation)
    yield from trust.succeed(situation)


# What exists


def _create(situation: Situation) -> Iterator[Step]:
    profile, wanted, key = situation.profile, situation.wanted, situation.request.key
    if situation.application is None:
        if situation.from_gallery:
            templates = situation.observed.templates
            yield steps.Instantiate(
                sentence=f"Create the application and service principal of {profile.name} from the gallery.",
                template_id=next(t.id for t in templates if profile.protocol in t.sign_on_modes),
                temporary_name=key.marker,
            )
        else:
            yield steps.CreateApplication(
                sentence=f"Register the application '{wanted.display_name}' with its addresses and scopes.",
                settings=wanted.application(),
            )
    # The gallery makes both at once; an application that was made by hand may have none.
    if situation.service_principal is None and (wanted.adopted or not situation.from_gallery):
        yield steps.CreateServicePrincipal(
            sentence=f"Create the service principal of '{wanted.display_name}'"
            + (", open to assigned people only." if profile.people.assignment_required else "."),
            settings=wanted.service_principal(),
        )


def _configure(situation: Situation) -> Iterator[Step]:
    profile, wanted, page = situation.profile, situation.wanted, situation.observed.page
    if (situation.from_gallery and not wanted.adopted) or situation.service_principal:
        missing = wanted.service_principal_changes()
        if missing != ServicePrincipalSettings():
            begun = BEGUN[profile.saml.initiated_by] if isinstance(profile, SamlProfile) else ""
            yield steps.ConfigureServicePrincipal(
                sentence=f"Set sign-on{begun}, tags and access of {profile.name}'s service principal.",
                settings=missing,
                affects="people without an assignment can no longer sign in"
                if situation.service_principal and page and missing.assignment_required
                else steps.NOBODY,
            )
    yield from _change_owner(situation)
    if situation.from_gallery or situation.application:
        changes = wanted.application_changes()
        if changes != ApplicationSettings():
            moved = situation.application is not None and page is not None and changes.reply_urls is not None
            yield steps.ConfigureApplication(
                sentence=f"Set name, mark and addresses of the application '{wanted.display_name}'.",
                settings=changes,
                affects="everybody's sign-in, if the vendor still uses the old address" if moved else steps.NOBODY,
            )


def _change_owner(situation: Situation) -> Iterator[Step]:
    found, owner = situation.application, situation.request.owner
    if found and owner_from_tags(found.tags) not in (None, owner):
        old = situation.observed.owner
        told = old.name if old else "nobody, because the owner so far is gone"
        yield steps.ChangeOwner(
            sentence=f"Write the new owner of '{situation.wanted.display_name}' and tell {told}.",
            old=old,
            tags=with_owner(found, owner).tags,
        )


def _consent(situation: Situation) -> Iterator[Step]:
    profile, grant = situation.profile, situation.observed.grant
    if not isinstance(profile, OidcProfile):
        return
    wanted = frozenset(profile.oidc.scopes)
    if grant is None or not wanted <= grant.scopes:
        yield steps.GrantConsent(
            sentence=f"Consent for everyone to {', '.join(profile.oidc.scopes)} of Microsoft Graph.", scopes=wanted
        )


# People


def _assign(situation: Situation, queued: frozenset[str]) -> Iterator[Step]:
    found, profile, request = situation.service_principal, situation.profile, situation.request
    role = request.role or profile.people.role
    wanted = choose_role(found.app_roles, role) if found and role else None
    held = {a.principal_id for a in situation.observed.assignments if wanted in (None, a.role_id)}
    missing = tuple(p for p in request.principals if p.object_id not in held and p.object_id not in queued)
    if missing:
        names = ", ".join(p.name for p in missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        yield steps.Assign(
            sentence=f"Give {names} access to {profile.name}.",
            principals=missing,
            role=role,
            affects=f"{len(missing)} {'principals' if len(missing) > 1 else 'principal'} can sign in",
        )


def _tell(situation: Situation) -> Iterator[Step]:
    page, name, told = situation.live_page, situation.profile.name, situation.profile.handoff
    if page is None or page.link_mailed is None:
        sealed = ", the secret encrypted to its certificate" if told.smime else ""
        yield steps.MailHandoff(
            sentence=f"Mail the hand-off of {name} to {told.contact or 'the owner'}, with a link to its page{sealed}."
        )
    if page is None or page.code_mailed is None:
        yield steps.MailCode(sentence=f"Mail the code of the hand-off's page to {told.code_to or 'the owner'}.")


# What stands in the way


def _stopped(situation: Situation) -> Block | None:
    """What stands in the way of everything: nothing is begun."""
    if situation.forbidden:
        return Block("failed", "an administrator", app_management.FORBIDDEN)
    return _unsealable(situation)


def _unsealable(situation: Situation) -> Block | None:
    """Where a secret must be sent that cannot be encrypted now: nothing is minted or mailed."""
    problem = unsealable(situation.profile, situation.now)
    if problem is None:
        return None
    page, succession = situation.live_page, situation.succession
    told = page is not None and page.link_mailed is not None
    renews = rotation.next_step(situation.secrets) in {rotation.SecretStep.MINT, rotation.SecretStep.PROMOTE}
    reminds = succession and rotation.after_handoff(succession) is rotation.SuccessionStep.REMIND
    return None if told and not renews and not reminds else Block("failed", "the profile's maintainer", problem)


def _block(situation: Situation, stopped: Block | None) -> Block | None:
    profile, given = situation.profile, situation.request.parameters
    if situation.wanted.lacks_addresses():
        return Block("failed", "the profile's maintainer", _url_line(profile))
    if stopped:
        return stopped
    wanted = (name for name, parameter in profile.parameters.items() if parameter.source == "vendor")
    if missing := [name for name in wanted if name not in given]:
        titles = ", ".join(f"{name} ({profile.parameters[name].title})" for name in missing)
        detail = f"{profile.name} supplies {titles} once it has our metadata. Send it to PUT …/parameters."
        return Block("parameters", profile.handoff.contact or "the owner", detail)
    return None


def _url_line(profile: Profile) -> str:
    field = "[oidc] redirect_uris" if isinstance(profile, OidcProfile) else "[saml] identifiers and reply_urls"
    example = 'redirect_uris = ["https://…"]' if isinstance(profile, OidcProfile) else 'identifiers = ["…"]'
    return (
        f"The gallery's template of {profile.name} presets no address, neither on the application nor in its"
        f" configurationUris. Ask the vendor, and put the line {example} into {field} of the profile."
    )


def _unmanaged(situation: Situation) -> Iterator[str]:
    """What looks like this vendor's and is not ours, and how it is adopted."""
    tag = adoption_tag(situation.request.key)
    for other in situation.observed.unmanaged:
        # Graph replaces all tags at once, so those that are there stand in the command too.
        body = json.dumps({"tags": list(dict.fromkeys((*other.tags, tag)))})
        yield (
            f"The application '{other.display_name}' (object ID {other.object_id}) looks like {situation.profile.name}"
            f" and does not carry our mark: it is left alone. To have it adopted, put the tag '{tag}' on it: az"
            f" rest --method PATCH --url {situation.deployment.graph_url}/v1.0/applications/{other.object_id}"
            f" --body {shlex.quote(body)}"
        )


BEGUN = {"idp": ", begun in My Apps", "sp": ", begun at the vendor", "both": ", begun in My Apps or at the vendor"}
