"""A tenant on paper: what each step makes of what was observed, and plans taken step by step until none is left."""

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, assert_never

from sso import steps
from sso.assignment import choose_role
from sso.codes import token_from
from sso.deployment import Deployment
from sso.handoff import Handoff, facts_of
from sso.model import (
    INTEGRATED_TAG,
    Application,
    ApplicationTemplate,
    AppRole,
    AppRoleAssignment,
    AppRoleId,
    ClientId,
    ConsentGrant,
    Key,
    KeyId,
    ObjectId,
    OperationId,
    PasswordCredential,
    Principal,
    PublishedScope,
    ServicePrincipal,
    TemplateId,
    Thumbprint,
    TokenSigningCertificate,
    VaultVersion,
    key_of,
    offboarded_tag,
    owner_from_tags,
)
from sso.observed import Observed
from sso.onboarding import plan
from sso.page import Page, as_reminder, new_page, with_link
from sso.request import Onboarding
from sso.steps import ApplicationSettings, ServicePrincipalSettings, Step
from sso.told import handoff
from vendors.catalog import Catalog
from vendors.profile import GallerySource, Profile

NOW = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)
OPERATION = OperationId("8211000000000-00000000")
CATALOG = Catalog()
VENDORS = ("clicktime", "hellotracks", "ilogon_mha", "smarttrace", "thoropass")
DEPLOYMENT = Deployment(
    tenant_id="5c0a9cc4-1ba3-4b5e-9f3f-0d1f9c4f5b11",
    authority_url="https://login.microsoftonline.com",
    operators="identity-team@contoso.com",
)
OWNER = Principal(ObjectId("owner-1"), "user", "App Owner", "app-owner@contoso.com")
NEW_OWNER = Principal(ObjectId("owner-2"), "user", "New Owner", "new-owner@contoso.com")
PEOPLE = (
    Principal(ObjectId("person-1"), "user", "B.Simon", "b.simon@contoso.com"),
    Principal(ObjectId("group-1"), "group", "Sales", None),
)
PARAMETERS = {"smarttrace": {"InstanceName": "contoso"}}
PRESETS = {
    "redirectUri": ("https://login.vendor.example/signin",),
    "identifierUri": ("https://login.vendor.example/entity",),
}
ROLES = (
    AppRole(AppRoleId("role-1"), None, "User", enabled=True, for_users=True),
    AppRole(AppRoleId("role-2"), "Editor", "Editor", enabled=True, for_users=True),
)
MANY_STEPS = 40  # no plan takes that many


def request(vendor: str, **changes: Any) -> Onboarding:
    """An onboarding of one of the five, with some fields changed."""
    key = key_of(vendor, "default")
    whole: dict[str, Any] = {
        "key": key,
        "parameters": PARAMETERS.get(vendor, {}),
        "owner": OWNER.object_id,
        "principals": PEOPLE,
        **changes,
    }
    return Onboarding(**whole)


def templates(profile: Profile) -> tuple[ApplicationTemplate, ...]:
    """What a gallery that has every entry answers to a profile's source."""
    source = profile.source
    if not isinstance(source, GallerySource):
        return ()
    identity = TemplateId(source.template_id or f"template of {source.gallery}")
    return (ApplicationTemplate(identity, source.gallery or "pinned", ("saml", "oidc"), dict(PRESETS)),)


def nothing(profile: Profile, key: Key) -> Observed:
    """A tenant in which nothing of a key exists."""
    return Observed(key=key, templates=templates(profile))


class Paper:
    """One key's part of a tenant, changed by steps alone."""

    def __init__(self, profile: Profile, wanted: Onboarding, observed: Observed | None = None) -> None:
        self.profile = profile
        self.wanted = wanted
        self.observed = observed or nothing(profile, wanted.key)
        self.deleted = self.observed  # what a deletion has put aside
        self.now = NOW
        self.operation = OPERATION
        # What is made later has a greater number, beside what an earlier paper made too.
        self._numbers = count(1000 * len(self.observed.versions))

    def planned(self) -> tuple[Step, ...]:
        """The plan as it is now."""
        return plan(self.profile, self.wanted, self.observed, DEPLOYMENT, self.now, operation=self.operation).steps

    def take_all(self) -> Iterator[Step]:
        """Take the first step of the plan, plan again, and so on until the plan is empty."""
        for _ in range(MANY_STEPS):
            rest = self.planned()
            if not rest:
                return
            self.observed = self.take(rest[0])
            yield rest[0]
        raise AssertionError(f"the plan never ends: {[step.name for step in self.planned()]}")

    def take(self, step: Step) -> Observed:  # noqa: C901, PLR0912, PLR0915  # one case for each step
        """What is there after one step."""
        observed = self.observed
        match step:
            case steps.Adopt():
                return replace(observed, application=step.application, adoptables=())
            case steps.RemoveTwin():
                return replace(observed, twins=tuple(twin for twin in observed.twins if twin != step.object_id))
            case steps.Instantiate():
                application, service_principal = self._instantiated(step)
                return replace(observed, application=application, service_principal=service_principal)
            case steps.CreateApplication():
                blank = replace(self._blank_application(""), template_id=None)
                return replace(observed, application=_configured(blank, step.settings))
            case steps.CreateServicePrincipal():
                made = _set_up(self._blank_service_principal(), step.settings)
                return replace(observed, service_principal=made)
            case steps.ConfigureServicePrincipal():
                return replace(observed, service_principal=_set_up(self._service_principal, step.settings))
            case steps.ConfigureApplication():
                return replace(observed, application=_configured(self._application, step.settings))
            case steps.ChangeOwner():
                application = replace(self._application, tags=step.tags)
                return replace(observed, application=application, owner=NEW_OWNER)
            case steps.GrantConsent():
                held = observed.grant.scopes if observed.grant else frozenset()
                return replace(observed, grant=ConsentGrant("grant", held | step.scopes))
            case steps.AddCertificate():
                found = self._service_principal
                thumbprint = Thumbprint(self._new("thumbprint"))
                added = TokenSigningCertificate(thumbprint, step.subject, self.now, step.ends, b"certificate")
                return replace(observed, service_principal=replace(found, certificates=(*found.certificates, added)))
            case steps.ActivateCertificate():
                assert step.thumbprint is not None, "the certificate is there when its activation is taken"
                found = self._service_principal
                return replace(observed, service_principal=replace(found, active_thumbprint=step.thumbprint))
            case steps.MintSecret():
                return self._minted(step)
            case steps.PromoteSecret():
                return self._promoted(step)
            case steps.CloseStaged():
                return self._closed(step.staged)
            case steps.CloseRemoved():
                return self._closed(step.version)
            case steps.DiscardSecret() | steps.RetireSecret():
                left = tuple(p for p in self._application.passwords if p.key_id != step.key_id)
                kept = tuple(replace(v, enabled=v.enabled and v.key_id != step.key_id) for v in observed.versions)
                return replace(observed, application=replace(self._application, passwords=left), versions=kept)
            case steps.RetireCertificate():
                found = self._service_principal
                stay = tuple(c for c in found.certificates if c.thumbprint != step.thumbprint)
                return replace(observed, service_principal=replace(found, certificates=stay))
            case steps.Assign():
                role = choose_role(self._service_principal.app_roles, step.role)
                resource = self._service_principal.object_id
                made_now = tuple(
                    AppRoleAssignment(self._new("assignment"), p.object_id, role, resource) for p in step.principals
                )
                return replace(observed, assignments=observed.assignments + made_now)
            case steps.MailHandoff():
                told = handoff(self.profile, self.wanted, observed, DEPLOYMENT, self.now)
                assert told is not None, "everything that is told exists when it is mailed"
                page = self._page_to_mail(told)
                return replace(observed, page=replace(page, link_mailed=self.now))
            case steps.MailCode():
                assert observed.page is not None, "the page is there when its code is mailed"
                return replace(observed, page=replace(observed.page, code_mailed=self.now))
            case steps.Remind():
                assert observed.page is not None, "the page is there when its holder is reminded"
                days = self.profile.handoff.valid_days
                page = as_reminder(observed.page, token_from(bytes(32)), days, self.now)
                return replace(observed, page=replace(page, link_mailed=self.now))
            case steps.WarnOfEnd():
                assert observed.page is not None, "the page is there when its owner is warned"
                return replace(observed, page=replace(observed.page, warned=self.now))
            case steps.EnableVersion() | steps.DisableVersion():
                on = isinstance(step, steps.EnableVersion)
                versions = tuple(replace(v, enabled=on) if v == step.version else v for v in observed.versions)
                return replace(observed, versions=versions)
            case steps.DisableSignIn():
                tag = offboarded_tag(step.since)
                application = replace(self._application, tags=(*self._application.tags, tag))
                found = self._service_principal
                disabled = replace(found, enabled=False, tags=(*found.tags, tag))
                return replace(observed, application=application, service_principal=disabled)
            case steps.TellOffboarded():
                return observed
            case steps.DeleteApplication():
                self.deleted = observed
                gone = (str(self._application.object_id),)
                return replace(observed, application=None, service_principal=None, assignments=(), deleted=gone)
            case steps.RestoreApplication():
                lost = ObjectId("service principal")
                back = replace(self.deleted, deleted=(), service_principal=None, deleted_service_principal=lost)
                return replace(back, assignments=())
            case steps.RestoreServicePrincipal():
                return replace(self.deleted, deleted=())
            case _:
                assert_never(step)

    def _page_to_mail(self, told: Handoff) -> Page:
        older, token = self.observed.page, token_from(bytes(32))
        if older and older.facts == facts_of(told) and older.state in {"open", "collected"} and not older.link_mailed:
            return with_link(older, token, self.now)
        return new_page(told, self.operation, token, self.now)

    @property
    def _application(self) -> Application:
        assert self.observed.application is not None, "no step about an application before it exists"
        return self.observed.application

    @property
    def _service_principal(self) -> ServicePrincipal:
        assert self.observed.service_principal is not None, "no step about a service principal before it exists"
        return self.observed.service_principal

    def _instantiated(self, step: steps.Instantiate) -> tuple[Application, ServicePrincipal]:
        scope = PublishedScope('{"value":"user_impersonation"}', f"Access {step.temporary_name}")
        made = self._blank_application(step.temporary_name)
        published = replace(self._blank_service_principal(), app_roles=ROLES)
        return replace(made, scopes=(scope,), template_id=step.template_id), published

    def _blank_application(self, display_name: str) -> Application:
        return Application(
            object_id=ObjectId("application"),
            client_id=ClientId("client"),
            display_name=display_name,
            unique_name=None,
            template_id=None,
            created=self.now,
            tags=(),
            identifiers=(),
            reply_urls=(),
            logout_url=None,
            scopes=(),
            required_scopes=frozenset(),
            app_roles=(),
            passwords=(),
        )

    def _blank_service_principal(self) -> ServicePrincipal:
        return ServicePrincipal(
            object_id=ObjectId("service principal"),
            client_id=ClientId("client"),
            enabled=True,
            tags=(INTEGRATED_TAG,),
            sign_on_mode=None,
            sign_on_url=None,
            logout_url=None,
            relay_state=None,
            assignment_required=False,
            notification_addresses=(),
            active_thumbprint=None,
            certificates=(),
            app_roles=(),
        )

    def _minted(self, step: steps.MintSecret) -> Observed:
        key_id = KeyId(self._new("key"))
        password = PasswordCredential(key_id, step.display_name, self.now, step.ends)
        name = self.wanted.key.staged_secret_name
        staged = VaultVersion(
            name, self._new("version"), True, key_id, self.now + timedelta(seconds=next(self._numbers)), None
        )
        return replace(
            self.observed,
            application=replace(self._application, passwords=(*self._application.passwords, password)),
            versions=(*self.observed.versions, staged),
        )

    def _promoted(self, step: steps.PromoteSecret) -> Observed:
        staged = step.staged
        assert staged is not None, "the staged version is there when it is promoted"
        ends = next(p.ends for p in self._application.passwords if p.key_id == staged.key_id)
        name, version = self.wanted.key.secret_name, self._new("version")
        created = self.now + timedelta(seconds=next(self._numbers))
        current = VaultVersion(name, version, True, staged.key_id, created, ends)
        self.observed = replace(self.observed, versions=(*self.observed.versions, current))
        return self._closed(staged)

    def _closed(self, staged: VaultVersion) -> Observed:
        versions = tuple(replace(v, enabled=False) if v == staged else v for v in self.observed.versions)
        return replace(self.observed, versions=versions)

    def _new(self, what: str) -> str:
        return f"{what} {next(self._numbers)}"


def complete(vendor: str) -> Paper:
    """One of the five, onboarded on paper."""
    profile = CATALOG.load(vendor)
    paper = Paper(profile, request(vendor))
    for _ in paper.take_all():
        pass
    assert owner_from_tags(paper.observed.application.tags if paper.observed.application else ()) == OWNER.object_id
    paper.observed = replace(paper.observed, owner=OWNER)
    return paper


def _configured(application: Application, settings: ApplicationSettings) -> Application:
    wanted = {field.name: getattr(settings, field.name) for field in fields(settings)}
    scopes, renamed = wanted.pop("scopes"), wanted.pop("rename_texts_from")
    changed = {name: value for name, value in wanted.items() if value is not None}
    if scopes is not None:
        changed["required_scopes"] = frozenset(scopes)
    if renamed is not None:
        changed["scopes"] = ()
    return replace(application, **changed)


def _set_up(service_principal: ServicePrincipal, settings: ServicePrincipalSettings) -> ServicePrincipal:
    wanted = {field.name: getattr(settings, field.name) for field in fields(settings)}
    changed: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    return replace(service_principal, **changed)
