"""The plan of an onboarding: from profile, request and what was observed to the ordered writes that are missing.

Order (graph-contract 21, design 5): the application exists under its temporary name; SAML: the service principal's mode
comes before the identifiers, because only then does the identifier policy exempt them; then consent, certificate or
secret, people, hand-off. A second identical request finds nothing missing and yields an empty plan.
"""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from sso import app_management, freeze, offboarding, renewal, rollover, rotation, steps
from sso.assignment import choose_role
from sso.due import vendor_needs
from sso.handoff import Handoff, IdentityProvider, facts_of, handoff_of, unsealable
from sso.model import (
    ADOPTED_TAG,
    MANAGED_TAG,
    Application,
    KeyId,
    PasswordCredential,
    ServicePrincipal,
    Thumbprint,
    TokenSigningCertificate,
    adoption_tag,
    foreign_tags,
    owner_from_tags,
    owner_tag,
)
from sso.observed import Observed
from sso.page import Page, next_reminder, secret_is_spent, state_at
from sso.request import Onboarding
from sso.steps import ApplicationSettings, Block, Pause, Plan, ServicePrincipalSettings, Step
from sso.wanted import Wanted, with_owner
from vendors.profile import GallerySource, OidcProfile, Profile, SamlProfile
from vendors.windows import over


@dataclass(frozen=True)
class Deployment:
    """What the deployment adds to every plan."""

    tenant_id: str
    authority_url: str
    operators: str
    allow_plain_secrets: bool = False
    graph_url: str = "https://graph.microsoft.com"
    offboard_days: int = 14  # from switching sign-in off to the deletion
    freeze: tuple[str, ...] = ()  # windows, as `vendors.windows` reads them


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
    planner = _Planner(profile, request, observed, deployment, now, operation)
    if handed_off:
        cannot = planner.unsealable()
        return Plan((), cannot) if cannot else Plan(tuple(planner.succeed()), pause=planner.pause())
    differences = tuple(f"{difference} It stays." for difference in planner.wanted.differences())
    notes = (*differences, *planner.unmanaged(), *([app_management.FORBIDDEN] if planner.forbidden else []))
    missing, held_up = freeze.hold_up(
        (*first, *planner.steps(queued)), planner.freeze_over(), planner.ends(), now, vendor_needs(profile)
    )
    pause = None if planner.stopped() else planner.pause()
    return Plan(missing, planner.block(), notes, differences, held_up or pause)


def _adopted(offered: Application, request: Onboarding) -> Application:
    """The application with our mark and the tag that keeps everything else of it as it is."""
    key = request.key
    tags = {*foreign_tags(offered.tags), MANAGED_TAG, ADOPTED_TAG, key.tag, owner_tag(request.owner)}
    return replace(offered, tags=tuple(sorted(tags)), unique_name=offered.unique_name or key.marker)


@dataclass(frozen=True)
class _Planner:
    profile: Profile
    request: Onboarding
    observed: Observed
    deployment: Deployment
    now: datetime
    operation: str | None

    @property
    def application(self) -> Application | None:
        return self.observed.application

    @property
    def service_principal(self) -> ServicePrincipal | None:
        return self.observed.service_principal

    @property
    def _from_gallery(self) -> bool:
        return isinstance(self.profile.source, GallerySource)

    @cached_property
    def wanted(self) -> Wanted:
        return Wanted(self.profile, self.request, self.observed, self.deployment.operators)

    @cached_property
    def forbidden(self) -> bool:
        """Whether what is missing is a client secret that the tenant's policy does not allow: nothing else is begun."""
        mints = isinstance(self.profile, OidcProfile) and (
            rotation.next_step(self._secret_facts()) is rotation.SecretStep.MINT
        )
        return mints and app_management.forbids_secrets(self.observed.policy, self._created)

    def stopped(self) -> Block | None:
        """What stands in the way of everything: nothing is begun."""
        return Block("failed", "an administrator", app_management.FORBIDDEN) if self.forbidden else self.unsealable()

    @property
    def _created(self) -> datetime:
        return self.application.created if self.application else self.now

    def steps(self, queued: frozenset[str]) -> Iterator[Step]:
        if self.stopped():
            return
        if self.request.rotation:  # touches the credential and nothing else
            yield from self._trust()
        else:
            for twin in self.observed.twins:
                yield steps.RemoveTwin(
                    sentence=f"Delete the empty application {twin} that a lost answer left behind.", object_id=twin
                )
            yield from self._create()
            yield from self._configure()
            if self.wanted.lacks_addresses():
                return
            if isinstance(self.profile, OidcProfile):
                yield from self._consent(self.profile)
            yield from self._trust()
            yield from self._assign(queued)
        yield from self._tell()
        yield from self.succeed()

    # What exists

    def _create(self) -> Iterator[Step]:
        name, key = self.profile.name, self.request.key
        if self.application is None:
            if self._from_gallery:
                yield steps.Instantiate(
                    sentence=f"Create the application and service principal of {name} from the gallery.",
                    template_id=next(t.id for t in self.observed.templates if self.profile.protocol in t.sign_on_modes),
                    temporary_name=key.marker,
                )
            else:
                yield steps.CreateApplication(
                    sentence=f"Register the application '{self.wanted.display_name}' with its addresses and scopes.",
                    settings=self.wanted.application(),
                )
        # The gallery makes both at once; an application that was made by hand may have none.
        if self.service_principal is None and (self.wanted.adopted or not self._from_gallery):
            yield steps.CreateServicePrincipal(
                sentence=f"Create the service principal of '{self.wanted.display_name}'"
                + (", open to assigned people only." if self.profile.people.assignment_required else "."),
                settings=self.wanted.service_principal(),
            )

    def _configure(self) -> Iterator[Step]:
        gallery = self._from_gallery
        if (gallery and not self.wanted.adopted) or self.service_principal:
            missing = self.wanted.service_principal_changes()
            if missing != ServicePrincipalSettings():
                yield steps.ConfigureServicePrincipal(
                    sentence=f"Set sign-on{self._begun()}, tags and access of {self.profile.name}'s service principal.",
                    settings=missing,
                    affects="people without an assignment can no longer sign in"
                    if self.service_principal and self.observed.page and missing.assignment_required
                    else steps.NOBODY,
                )
        yield from self._change_owner()
        if gallery or self.application:
            changes = self.wanted.application_changes()
            if changes != ApplicationSettings():
                moved = (
                    self.application is not None and self.observed.page is not None and changes.reply_urls is not None
                )
                yield steps.ConfigureApplication(
                    sentence=f"Set name, mark and addresses of the application '{self.wanted.display_name}'.",
                    settings=changes,
                    affects="everybody's sign-in, if the vendor still uses the old address" if moved else steps.NOBODY,
                )

    def _begun(self) -> str:
        return BEGUN[self.profile.saml.initiated_by] if isinstance(self.profile, SamlProfile) else ""

    def _change_owner(self) -> Iterator[Step]:
        found = self.application
        if found and owner_from_tags(found.tags) not in (None, self.request.owner):
            old = self.observed.owner
            told = old.name if old else "nobody, because the owner so far is gone"
            yield steps.ChangeOwner(
                sentence=f"Write the new owner of '{self.wanted.display_name}' and tell {told}.",
                old=old,
                tags=with_owner(found, self.request.owner).tags,
            )

    # Trust

    def _trust(self) -> Iterator[Step]:
        if isinstance(self.profile, OidcProfile):
            yield from self._secret(self.profile)
        elif self.rolling and isinstance(self.profile, SamlProfile):
            life = self._certificate_life(self.profile)
            yield from renewal.roll_over(self.rolling, self.profile, self.request.key, life)
        elif isinstance(self.profile, SamlProfile):
            yield from self._certificate(self.profile)

    def _consent(self, profile: OidcProfile) -> Iterator[Step]:
        wanted = frozenset(profile.oidc.scopes)
        if self.observed.grant is None or not wanted <= self.observed.grant.scopes:
            yield steps.GrantConsent(
                sentence=f"Consent for everyone to {', '.join(profile.oidc.scopes)} of Microsoft Graph.", scopes=wanted
            )

    def _secret_facts(self) -> rotation.SecretFacts:
        page = self.observed.page
        succeed = self.request.rotation.succeeds if self.request.rotation else None
        if self.request.hand_off_again and page and page.operation != self.operation and secret_is_spent(page):
            in_vain = page.credential and not self.observed.acknowledged(page.credential)
            succeed = KeyId(page.credential) if page.credential and in_vain else None
        passwords = self.application.passwords if self.application else ()
        return rotation.SecretFacts(self.request.key, passwords, self.observed.versions, self.now, succeed)

    def _secret(self, profile: OidcProfile) -> Iterator[Step]:
        facts, name = self._secret_facts(), self.profile.name
        wanted = timedelta(days=profile.oidc.secret.lifetime_days)
        life = app_management.secret_life(wanted, self.observed.policy, self._created)
        mint = steps.MintSecret(
            sentence=f"Mint a client secret of {app_management.of_days(life, wanted)} and stage it in the vault.",
            display_name=f"{self.request.key.marker} {self.now:%Y-%m-%d}",
            ends=self.now + life,
        )
        promote = f"Prove the client secret of {name} at the token service and make it the vault's current version."
        match rotation.next_step(facts):
            case rotation.SecretStep.DISCARD:
                if facts.valueless:
                    lost = facts.valueless.key_id
                    yield steps.DiscardSecret(
                        sentence=f"Remove the client secret {lost}, whose value was lost.", key_id=lost
                    )
                if not facts.staged and (not facts.current or facts.current.key_id == facts.replace):
                    yield mint
                    yield steps.PromoteSecret(sentence=promote, staged=None)
            case rotation.SecretStep.MINT:
                yield mint
                yield steps.PromoteSecret(sentence=promote, staged=None)
            case rotation.SecretStep.PROMOTE:
                yield steps.PromoteSecret(sentence=promote, staged=facts.staged)
            case rotation.SecretStep.CLOSE_STAGED if facts.staged:
                yield steps.CloseStaged(
                    sentence=f"Disable the staged version of {name}'s client secret, which is current now.",
                    staged=facts.staged,
                )
            case rotation.SecretStep.CLOSE_REMOVED if facts.removed:
                yield steps.CloseRemoved(
                    sentence=f"Disable the vault's version of the client secret {facts.removed.key_id}, which is gone.",
                    version=facts.removed,
                )
            case _:
                return

    def _certificate_life(self, profile: SamlProfile) -> timedelta:
        wanted = timedelta(days=profile.saml.certificate.lifetime_days)
        return app_management.certificate_life(wanted, self.observed.policy, self._created)

    def _certificate(self, profile: SamlProfile) -> Iterator[Step]:
        decision = rollover.next_step(self.request.key, self.service_principal)
        if decision.step is rollover.CertificateStep.ADD:
            yield renewal.add_certificate(profile, self.request.key, self._certificate_life(profile), self.now)
        if decision.step is not rollover.CertificateStep.NOTHING:
            yield steps.ActivateCertificate(
                sentence=f"Sign {profile.name}'s assertions with this certificate and see it in the metadata.",
                thumbprint=decision.thumbprint,
            )

    # Rollover

    @cached_property
    def rolling(self) -> rollover.Rollover | None:
        """The signing certificate that is to be succeeded, and how far that has come; None where none is."""
        asked, found, page = self.request.rotation, self.service_principal, self._live_page
        if asked is None or found is None or isinstance(self.profile, OidcProfile):
            return None
        policy, key = self.profile.saml.certificate, self.request.key
        old = next((c for c in found.certificates if c.thumbprint == asked.succeeds), None)
        new = rollover.successor(key, found, Thumbprint(asked.succeeds))
        others = [c for c in found.certificates if c.display_name != rollover.subject(key) and c.ends <= self.now]
        return rollover.Rollover(
            mode=rollover.mode_of(self.profile),
            old=old,
            removable=old is not None and old.display_name == rollover.subject(key) and not others,
            new=new,
            signs=new is not None and new.thumbprint == found.active_thumbprint,
            compromised=asked.reason == "compromised",
            told=page is not None and page.link_mailed is not None and page.code_mailed is not None,
            pressed=self._pressed(old, new),
            remind_at=next_reminder(page, self.profile) if page and page.operation == self.operation else None,
            warned=page is not None and page.warned is not None,
            acknowledged=self.observed.acknowledged(new.thumbprint if new else None),
            poll=timedelta(hours=policy.poll_hours),
            overlap=timedelta(days=policy.overlap_days),
            now=self.now,
        )

    def _pressed(self, old: TokenSigningCertificate | None, new: TokenSigningCertificate | None) -> bool:
        """For the successor, or before there was one: on this operation's page, or that of one that failed."""
        page = self.observed.page
        if page is None or page.activated is None or page.operation == self.operation:
            return page is not None and page.activated is not None
        if page.credential is None:
            return old is not None and page.activated > old.starts
        return new is not None and page.credential == new.thumbprint

    # People

    def _assign(self, queued: frozenset[str]) -> Iterator[Step]:
        role = self.request.role or self.profile.people.role
        wanted = choose_role(self.service_principal.app_roles, role) if self.service_principal and role else None
        held = {a.principal_id for a in self.observed.assignments if wanted in (None, a.role_id)}
        missing = tuple(p for p in self.request.principals if p.object_id not in held and p.object_id not in queued)
        if missing:
            names = ", ".join(p.name for p in missing[:3]) + (
                f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            )
            yield steps.Assign(
                sentence=f"Give {names} access to {self.profile.name}.",
                principals=missing,
                role=role,
                affects=f"{len(missing)} {'principals' if len(missing) > 1 else 'principal'} can sign in",
            )

    def _tell(self) -> Iterator[Step]:
        page = self._live_page
        contact = self.profile.handoff.contact or "the owner"
        if page is None or page.link_mailed is None:
            sealed = ", the secret encrypted to its certificate" if self.profile.handoff.smime else ""
            yield steps.MailHandoff(
                sentence=f"Mail the hand-off of {self.profile.name} to {contact}, with a link to its page{sealed}."
            )
        if page is None or page.code_mailed is None:
            code_to = self.profile.handoff.code_to or "the owner"
            yield steps.MailCode(sentence=f"Mail the code of the hand-off's page to {code_to}.")

    def unsealable(self) -> Block | None:
        """Where a secret must be sent that cannot be encrypted now: nothing is minted or mailed."""
        problem = unsealable(self.profile, self.now)
        if problem is None:
            return None
        page, succession = self._live_page, self.succession
        told = page is not None and page.link_mailed is not None
        renews = rotation.next_step(self._secret_facts()) in {rotation.SecretStep.MINT, rotation.SecretStep.PROMOTE}
        reminds = succession and rotation.after_handoff(succession) is rotation.SuccessionStep.REMIND
        return None if told and not renews and not reminds else Block("failed", "the profile's maintainer", problem)

    # Succession

    @cached_property
    def succession(self) -> rotation.Succession | None:
        """What was handed over, beside what it succeeds; None until that has happened."""
        page, asked = self._live_page, self.request.rotation
        if page is None or page.link_mailed is None or self.rolling:
            return None
        mine = page.operation == self.operation
        if asked is None and not mine:
            return None
        old = self._predecessor(page)
        overlap = self.profile.oidc.secret.overlap_days if isinstance(self.profile, OidcProfile) else 0
        return rotation.Succession(
            old=old,
            compromised=bool(asked and old and asked.reason == "compromised" and asked.succeeds == old.key_id),
            remind_at=next_reminder(page, self.profile) if mine else None,
            warned=page.warned is not None,
            acknowledged=self.observed.acknowledged(page.credential),
            overlap=timedelta(days=overlap),
            now=self.now,
        )

    def _predecessor(self, page: Page) -> PasswordCredential | None:
        """The secret that is succeeded; once it is gone, an older one of ours that was handed over in vain."""
        asked, passwords = self.request.rotation, self.application.passwords if self.application else ()
        if asked is None:
            return None
        old = next((p for p in passwords if p.key_id == asked.succeeds), None)
        new = next((p for p in passwords if p.key_id == page.credential), None)
        if old or new is None or not self.observed.acknowledged(page.credential):
            return old
        handed_over = {v.key_id for v in self.observed.versions if v.name == self.request.key.secret_name}
        ours = (p for p in passwords if p.key_id in handed_over and rotation.carries_marker(p.display_name, page.key))
        return min((p for p in ours if p.starts < new.starts), key=lambda p: p.starts, default=None)

    def succeed(self) -> Iterator[Step]:
        """What follows the hand-off: reminders, a warning, the end of what was succeeded."""
        if self.succession:
            yield from renewal.succeed(self.succession, self.profile)

    def freeze_over(self) -> datetime | None:
        """When the freeze is over that holds up what is asked for; None where none does."""
        asked = self.request.rotation
        if asked is None or asked.reason == "compromised" or (self.rolling and self.rolling.pressed):
            return None
        return over((*self.deployment.freeze, *self.profile.handoff.freeze), self.now)

    def ends(self) -> datetime | None:
        """When the credential ends that is to be succeeded; None where that one is gone."""
        asked, passwords = self.request.rotation, self.application.passwords if self.application else ()
        if self.rolling:
            return self.rolling.old.ends if self.rolling.old else None
        return next((p.ends for p in passwords if asked and p.key_id == asked.succeeds), None)

    def pause(self) -> Pause | None:
        """What is waited for once the plan is empty; None where it is nothing."""
        if self.rolling:
            return renewal.rollover_pause(self.rolling, self.profile)
        return renewal.succession_pause(self.succession, self.profile) if self.succession else None

    @cached_property
    def _live_page(self) -> Page | None:
        """The page that tells what is to be told, if it still can be used or has been."""
        page, told = self.observed.page, handoff(self.profile, self.request, self.observed, self.deployment, self.now)
        if page is None or told is None:
            return None
        if self.request.hand_off_again and page.operation != self.operation:
            return None
        if page.activates and self.request.rotation is None and page.credential in {None, told.credential}:
            # A rotation has announced more than this request knows of.
            return page if state_at(page, self.now) in LIVE else None
        if self.observed.acknowledged(told.credential):
            told = replace(told, owner=page.owner)  # a new owner alone is no news to a vendor that is set up
        # The operation whose page has lapsed renews it by its reminder.
        live = LIVE | {"lapsed"} if page.operation == self.operation else LIVE
        return page if page.facts == facts_of(told) and state_at(page, self.now) in live else None

    def block(self) -> Block | None:
        missing = [
            name
            for name, parameter in self.profile.parameters.items()
            if parameter.source == "vendor" and name not in self.request.parameters
        ]
        if self.wanted.lacks_addresses():
            return Block("failed", "the profile's maintainer", self._url_line())
        if cannot := self.stopped():
            return cannot
        if missing:
            titles = ", ".join(f"{name} ({self.profile.parameters[name].title})" for name in missing)
            detail = f"{self.profile.name} supplies {titles} once it has our metadata. Send it to PUT …/parameters."
            return Block("parameters", self.profile.handoff.contact or "the owner", detail)
        return None

    def _url_line(self) -> str:
        field = "[oidc] redirect_uris" if isinstance(self.profile, OidcProfile) else "[saml] identifiers and reply_urls"
        example = 'redirect_uris = ["https://…"]' if isinstance(self.profile, OidcProfile) else 'identifiers = ["…"]'
        return (
            f"The gallery's template of {self.profile.name} presets no address, neither on the application nor in its"
            f" configurationUris. Ask the vendor, and put the line {example} into {field} of the profile."
        )

    def unmanaged(self) -> Iterator[str]:
        for other in self.observed.unmanaged:
            tag = adoption_tag(self.request.key)
            # Graph replaces all tags at once, so those that are there stand in the command too.
            body = json.dumps({"tags": list(dict.fromkeys((*other.tags, tag)))})
            yield (
                f"The application '{other.display_name}' (object ID {other.object_id}) looks like {self.profile.name}"
                f" and does not carry our mark: it is left alone. To have it adopted, put the tag '{tag}' on it: az"
                f" rest --method PATCH --url {self.deployment.graph_url}/v1.0/applications/{other.object_id}"
                f" --body {shlex.quote(body)}"
            )


BEGUN = {"idp": ", begun in My Apps", "sp": ", begun at the vendor", "both": ", begun in My Apps or at the vendor"}
LIVE = frozenset({"open", "collected", "acknowledged"})


def credential_of(profile: Profile, observed: Observed, now: datetime) -> str | None:
    """The key ID or thumbprint that a hand-off tells and an acknowledgement is for; None before it exists.

    The one in use, or the signing certificate that is added to succeed it.
    """
    if isinstance(profile, SamlProfile):
        found = observed.service_principal
        certificate = rollover.told(observed.key, found) if found else None
        return certificate.thumbprint if certificate else None
    passwords = observed.application.passwords if observed.application else ()
    current = rotation.SecretFacts(observed.key, passwords, observed.versions, now).current
    return current.key_id if current else None


def handoff(
    profile: Profile, request: Onboarding, observed: Observed, deployment: Deployment, now: datetime
) -> Handoff | None:
    """What this application's hand-off tells; None until everything that it tells exists."""
    credential, application = credential_of(profile, observed, now), observed.application
    if credential is None or application is None:
        return None
    certificate = rollover.told(observed.key, observed.service_principal) if observed.service_principal else None
    provider = IdentityProvider(
        tenant_id=deployment.tenant_id,
        authority_url=deployment.authority_url,
        client_id=application.client_id,
        certificate_der=certificate.der if certificate else None,
    )
    return handoff_of(
        profile,
        request.key,
        provider,
        owner=request.owner,
        parameters={  # what the vendor supplied is no news to it
            name: value
            for name, value in request.parameters.items()
            if name in profile.parameters and profile.parameters[name].source == "request"
        },
        credential=credential,
        plain_allowed=deployment.allow_plain_secrets,
        announcement=renewal.announcement_of(profile, request, observed, provider),
    )
