"""The plan of an onboarding: from profile, request and what was observed to the ordered writes that are missing.

Order (graph-contract 21, design 5): the application exists under its temporary name; SAML: the service principal's mode
comes before the identifiers, because only then does the identifier policy exempt them; then consent, certificate or
secret, people, hand-off. A second identical request finds nothing missing and yields an empty plan.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

from sso import rollover, rotation, steps
from sso.handoff import Handoff, IdentityProvider, Page, facts_of, handoff_of, secret_is_spent, state_at
from sso.model import (
    HIDE_TAG,
    INTEGRATED_TAG,
    MANAGED_TAG,
    Application,
    KeyId,
    ObjectId,
    ServicePrincipal,
    foreign_tags,
    owner_from_tags,
    owner_tag,
    parameter_tag,
)
from sso.observed import Observed
from sso.request import Onboarding
from sso.steps import ApplicationSettings, Block, Plan, ServicePrincipalSettings, Step
from vendors.addresses import names_in
from vendors.placeholders import fill
from vendors.profile import GallerySource, OidcProfile, Profile, SamlProfile


@dataclass(frozen=True)
class Deployment:
    """What the deployment adds to every plan."""

    tenant_id: str
    authority_url: str
    operators: str
    allow_plain_secrets: bool = False


def plan(
    profile: Profile,
    request: Onboarding,
    observed: Observed,
    deployment: Deployment,
    now: datetime,
    *,
    queued: frozenset[str] = frozenset(),
    operation: str | None = None,
) -> Plan:
    """The steps that are missing; `queued` are principals whose grants are already on their way."""
    planner = _Planner(profile, request, observed, deployment, now, operation)
    return Plan(tuple(planner.steps(queued)), planner.block(), planner.notes())


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
    def display_name(self) -> str:
        if self.request.display_name:
            return self.request.display_name
        key = self.request.key
        if self.application and self.application.display_name != key.marker:
            return self.application.display_name  # a name somebody gave it is never drift
        return key.display_name(self.profile.name)

    def steps(self, queued: frozenset[str]) -> Iterator[Step]:
        yield from self._create()
        yield from self._configure()
        if self._missing_urls():
            return
        if isinstance(self.profile, OidcProfile):
            yield from self._consent(self.profile)
            yield from self._secret(self.profile)
        else:
            yield from self._certificate(self.profile)
        yield from self._assign(queued)
        yield from self._tell()

    # What exists

    def _create(self) -> Iterator[Step]:
        name, key = self.profile.name, self.request.key
        if self.application is None:
            if isinstance(self.profile.source, GallerySource):
                yield steps.Instantiate(
                    sentence=f"Create the application and service principal of {name} from the gallery.",
                    template_id=next(t.id for t in self.observed.templates if self.profile.protocol in t.sign_on_modes),
                    temporary_name=key.marker,
                )
            else:
                yield steps.CreateApplication(
                    sentence=f"Register the application '{self.display_name}' with its addresses and consent scopes.",
                    settings=self._application_settings(),
                )
        if self.service_principal is None and not isinstance(self.profile.source, GallerySource):
            yield steps.CreateServicePrincipal(
                sentence=f"Create the service principal of '{self.display_name}'"
                + (", open to assigned people only." if self.profile.people.assignment_required else "."),
                settings=self._service_principal_settings(),
            )

    def _configure(self) -> Iterator[Step]:
        gallery = isinstance(self.profile.source, GallerySource)
        if gallery or self.service_principal:
            settings = self._service_principal_settings()
            missing = _difference(settings, self.service_principal) if self.service_principal else settings
            if missing != ServicePrincipalSettings():
                yield steps.ConfigureServicePrincipal(
                    sentence=f"Set sign-on, tags and access of the service principal of {self.profile.name}.",
                    settings=missing,
                    affects="people without an assignment can no longer sign in"
                    if self.service_principal and self.observed.page and missing.assignment_required
                    else steps.NOBODY,
                )
        yield from self._change_owner()
        if gallery or self.application:
            changes = self._application_changes()
            if changes != ApplicationSettings():
                moved = (
                    self.application is not None and self.observed.page is not None and changes.reply_urls is not None
                )
                yield steps.ConfigureApplication(
                    sentence=f"Set name, mark and addresses of the application '{self.display_name}'.",
                    settings=changes,
                    affects="everybody's sign-in, if the vendor still uses the old address" if moved else steps.NOBODY,
                )

    def _change_owner(self) -> Iterator[Step]:
        found = self.application
        if found and owner_from_tags(found.tags) not in (None, self.request.owner):
            old = self.observed.owner
            told = old.name if old else "nobody, because the owner so far is gone"
            yield steps.ChangeOwner(
                sentence=f"Write the new owner of '{self.display_name}' and tell {told}.",
                old=old,
                tags=_with_owner(found, self.request.owner).tags,
            )

    def _application_settings(self) -> ApplicationSettings:
        reply_urls, identifiers = self._reply_urls(), self._identifiers()
        oidc = self.profile.oidc if isinstance(self.profile, OidcProfile) else None
        saml = self.profile.saml if isinstance(self.profile, SamlProfile) else None
        key = self.request.key
        kept = foreign_tags(self.application.tags) if self.application else ()
        parameters = (parameter_tag(name, value) for name, value in sorted(self._parameters().items()))
        return ApplicationSettings(
            display_name=self.display_name,
            unique_name=key.marker,
            tags=tuple(sorted({*kept, MANAGED_TAG, key.tag, owner_tag(self.request.owner), *parameters})),
            identifiers=identifiers or None,
            reply_urls=reply_urls or None,
            logout_url=self._fill(oidc.front_channel_logout_url if oidc else saml.logout_url if saml else None),
            scopes=tuple(oidc.scopes) if oidc else None,
            rename_texts_from=key.marker if isinstance(self.profile.source, GallerySource) else None,
        )

    def _application_changes(self) -> ApplicationSettings:
        wanted = self._application_settings()
        if self.application is None:
            return wanted
        found = _with_owner(self.application, self.request.owner)
        mentioned = any(self.request.key.marker in scope.mentions for scope in found.scopes)
        return ApplicationSettings(
            display_name=wanted.display_name if wanted.display_name != found.display_name else None,
            unique_name=wanted.unique_name if found.unique_name is None else None,
            tags=wanted.tags if set(wanted.tags or ()) != set(found.tags) else None,
            identifiers=_unless_equal(wanted.identifiers, found.identifiers),
            reply_urls=_unless_equal(wanted.reply_urls, found.reply_urls),
            logout_url=wanted.logout_url if wanted.logout_url != found.logout_url else None,
            scopes=wanted.scopes if not set(wanted.scopes or ()) <= found.required_scopes else None,
            rename_texts_from=wanted.rename_texts_from if mentioned else None,
        )

    def _service_principal_settings(self) -> ServicePrincipalSettings:
        profile, key = self.profile, self.request.key
        saml = profile.saml if isinstance(profile, SamlProfile) else None
        sign_on_url = self._fill(
            saml.sign_on_url if saml else profile.oidc.sign_on_url if isinstance(profile, OidcProfile) else None
        )
        kept = foreign_tags(self.service_principal.tags) if self.service_principal else ()
        hidden = {HIDE_TAG} if isinstance(profile, OidcProfile) and sign_on_url is None else set()
        return ServicePrincipalSettings(
            sign_on_mode=profile.protocol,
            sign_on_url=sign_on_url,
            logout_url=self._fill(saml.logout_url) if saml else None,
            relay_state=self._fill(saml.relay_state) if saml else None,
            assignment_required=profile.people.assignment_required,
            notification_addresses=(self.deployment.operators,) if saml else None,
            tags=tuple(sorted({*kept, INTEGRATED_TAG, MANAGED_TAG, key.tag, *hidden})),
        )

    # Addresses

    def _parameters(self) -> Mapping[str, str]:
        return self.request.parameters

    def _fill(self, template: str | None) -> str | None:
        if template is None or self._unfilled(template):
            return None
        return fill(template, self._parameters())

    def _unfilled(self, template: str) -> bool:
        return any(name not in self._parameters() for name in names_in(template))

    def _reply_urls(self) -> tuple[str, ...]:
        wanted = (
            self.profile.oidc.redirect_uris if isinstance(self.profile, OidcProfile) else self.profile.saml.reply_urls
        )
        return self._addresses(wanted, "redirectUri", self.application.reply_urls if self.application else ())

    def _identifiers(self) -> tuple[str, ...]:
        if isinstance(self.profile, OidcProfile):
            return ()
        found = self.application.identifiers if self.application else ()
        return self._addresses(self.profile.saml.identifiers, "identifierUri", found)

    def _addresses(self, wanted: tuple[str, ...] | str, usage: str, found: tuple[str, ...]) -> tuple[str, ...]:
        """The addresses of a profile, filled; from the template's presets where the profile says so."""
        if isinstance(wanted, tuple):
            return tuple(fill(entry, self._parameters()) for entry in wanted if not self._unfilled(entry))
        if found or self.application is None:
            return found
        template = next((t for t in self.observed.templates if t.id == self.application.template_id), None)
        return template.configuration.get(usage, ()) if template else ()

    def _missing_urls(self) -> bool:
        """Whether the gallery's template gave no address, so that nothing more can be made."""
        if self.application is None:
            return False
        if isinstance(self.profile, OidcProfile):
            return self.profile.oidc.redirect_uris == "template" and not self._reply_urls()
        saml = self.profile.saml
        return (saml.identifiers == "template" and not self._identifiers()) or (
            saml.reply_urls == "template" and not self._reply_urls()
        )

    # Trust

    def _consent(self, profile: OidcProfile) -> Iterator[Step]:
        wanted = frozenset(profile.oidc.scopes)
        if self.observed.grant is None or not wanted <= self.observed.grant.scopes:
            yield steps.GrantConsent(
                sentence=f"Consent for everyone to {', '.join(profile.oidc.scopes)} of Microsoft Graph.", scopes=wanted
            )

    def _secret_facts(self) -> rotation.SecretFacts:
        page = self.observed.page
        succeed = None
        if self.request.hand_off_again and page and page.operation != self.operation and not self.observed.acknowledged:
            succeed = KeyId(page.credential) if page.credential and secret_is_spent(page) else None
        passwords = self.application.passwords if self.application else ()
        return rotation.SecretFacts(self.request.key, passwords, self.observed.versions, self.now, succeed)

    def _secret(self, profile: OidcProfile) -> Iterator[Step]:
        facts, name = self._secret_facts(), self.profile.name
        mint = steps.MintSecret(
            sentence=f"Mint a client secret of {profile.oidc.secret.lifetime_days} days and stage it in the vault.",
            display_name=f"{self.request.key.marker} {self.now:%Y-%m-%d}",
            ends=self.now + timedelta(days=profile.oidc.secret.lifetime_days),
        )
        promote = f"Prove the client secret of {name} at the token service and make it the vault's current version."
        match rotation.next_step(facts):
            case rotation.SecretStep.DISCARD:
                lost = rotation.valueless(facts)
                if lost:
                    yield steps.DiscardSecret(
                        sentence=f"Remove the client secret {lost.key_id}, whose value was lost.", key_id=lost.key_id
                    )
                if not facts.staged and (not facts.current or facts.current.key_id == facts.replace):
                    yield mint
                    yield steps.PromoteSecret(sentence=promote, staged=None)
            case rotation.SecretStep.MINT:
                yield mint
                yield steps.PromoteSecret(sentence=promote, staged=None)
            case rotation.SecretStep.PROMOTE:
                yield steps.PromoteSecret(sentence=promote, staged=facts.staged)
            case rotation.SecretStep.CLOSE_STAGED:
                if facts.staged:
                    yield steps.CloseStaged(
                        sentence=f"Disable the staged version of {name}'s client secret, which is current now.",
                        staged=facts.staged,
                    )
            case rotation.SecretStep.NOTHING:
                pass

    def _certificate(self, profile: SamlProfile) -> Iterator[Step]:
        decision = rollover.next_step(self.request.key, self.service_principal)
        if decision.step is rollover.CertificateStep.ADD:
            days = profile.saml.certificate.lifetime_days
            yield steps.AddCertificate(
                sentence=f"Add a signing certificate of {days} days, not yet active.",
                subject=rollover.subject(self.request.key),
                ends=self.now + timedelta(days=days),
            )
        if decision.step is not rollover.CertificateStep.NOTHING:
            yield steps.ActivateCertificate(
                sentence=f"Sign {profile.name}'s assertions with this certificate and see it in the metadata.",
                thumbprint=decision.thumbprint,
            )

    # People

    def _assign(self, queued: frozenset[str]) -> Iterator[Step]:
        held = {assignment.principal_id for assignment in self.observed.assignments}
        missing = tuple(p for p in self.request.principals if p.object_id not in held and p.object_id not in queued)
        if missing:
            names = ", ".join(p.name for p in missing[:3]) + (
                f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            )
            yield steps.Assign(
                sentence=f"Give {names} access to {self.profile.name}.",
                principals=missing,
                role=self.request.role or self.profile.people.role,
                affects=f"{len(missing)} {'principals' if len(missing) > 1 else 'principal'} can sign in",
            )

    def _tell(self) -> Iterator[Step]:
        page = self._live_page()
        contact = self.profile.handoff.contact or "the owner"
        if page is None or page.link_mailed is None:
            yield steps.MailHandoff(
                sentence=f"Mail the hand-off of {self.profile.name} to {contact}, with a link to its page."
            )
        if page is None or page.code_mailed is None:
            code_to = self.profile.handoff.code_to or "the owner"
            yield steps.MailCode(sentence=f"Mail the code of the hand-off's page to {code_to}.")

    def _live_page(self) -> Page | None:
        """The page that tells what is to be told, if it still can be used or has been."""
        page, told = self.observed.page, handoff(self.profile, self.request, self.observed, self.deployment, self.now)
        if page is None or told is None:
            return None
        if self.request.hand_off_again and page.operation != self.operation:
            return None
        if self.observed.acknowledged:
            told = replace(told, owner=page.owner)  # a new owner alone is no news to a vendor that is set up
        return page if page.facts == facts_of(told) and state_at(page, self.now) in LIVE else None

    def block(self) -> Block | None:
        missing = [
            name
            for name, parameter in self.profile.parameters.items()
            if parameter.source == "vendor" and name not in self._parameters()
        ]
        if self._missing_urls():
            return Block("failed", "the profile's maintainer", self._url_line())
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

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"The application '{other.display_name}' (object ID {other.object_id}) looks like {self.profile.name} and"
            f" does not carry our mark: it is left alone. To have it adopted, put the tag"
            f" 'gatehouse:adopt:{self.request.key}' on it."
            for other in self.observed.unmanaged
        )


LIVE = frozenset({"open", "collected", "acknowledged"})


def credential_of(profile: Profile, observed: Observed, now: datetime) -> str | None:
    """The key ID or thumbprint in use, which a hand-off tells and an acknowledgement is for; None before it exists."""
    if isinstance(profile, SamlProfile):
        certificate = rollover.active(observed.service_principal) if observed.service_principal else None
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
    certificate = rollover.active(observed.service_principal) if observed.service_principal else None
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
        parameters=request.parameters,
        credential=credential,
        plain_allowed=deployment.allow_plain_secrets,
    )


def _with_owner(application: Application, owner: ObjectId) -> Application:
    """The application with its owner's tag replaced, if it has one."""
    before = owner_from_tags(application.tags)
    if before is None:
        return application
    return replace(application, tags=tuple(owner_tag(owner) if t == owner_tag(before) else t for t in application.tags))


def _unless_equal(wanted: tuple[str, ...] | None, found: tuple[str, ...]) -> tuple[str, ...] | None:
    return wanted if wanted is not None and wanted != found else None


def _difference(wanted: ServicePrincipalSettings, found: ServicePrincipal) -> ServicePrincipalSettings:
    """What of the wanted settings the service principal lacks; what is wanted as None is left as it is."""
    missing = {}
    for entry in fields(wanted):
        value = getattr(wanted, entry.name)
        same = getattr(found, entry.name)
        if value is not None and (set(value) != set(same) if entry.name == "tags" else value != same):
            missing[entry.name] = value
    return ServicePrincipalSettings(**missing)
