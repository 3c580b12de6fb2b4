"""What was observed of one key: the facts that a plan is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime

from sso.app_management import Policy
from sso.model import (
    Application,
    ApplicationTemplate,
    AppRoleAssignment,
    ConsentGrant,
    Key,
    ObjectId,
    Principal,
    ServicePrincipal,
    Unmanaged,
    VaultVersion,
    offboarded_since,
)
from sso.page import Page


@dataclass(frozen=True)
class Observed:
    """Everything that tenant, vault and ledger say about one key at one moment."""

    key: Key
    application: Application | None = None
    service_principal: ServicePrincipal | None = None
    grant: ConsentGrant | None = None
    assignments: tuple[AppRoleAssignment, ...] = ()
    versions: tuple[VaultVersion, ...] = ()  # of both vault names
    templates: tuple[ApplicationTemplate, ...] = ()  # gallery entries with the profile's name (or its pinned id)
    siblings: tuple[Key, ...] = ()  # other instances of the same vendor
    unmanaged: tuple[Unmanaged, ...] = ()  # same name, template or identifier, without our marker
    adoptables: tuple[Application, ...] = ()  # those that an administrator tagged for adoption by this key
    offered_elsewhere: tuple[str, ...] = ()  # service principals tagged so, whose application is not in this tenant
    own_client_id: str | None = None  # Gatehouse's own application, which is never acted on
    twins: tuple[ObjectId, ...] = ()  # empty applications that a lost instantiate left behind
    deleted: tuple[str, ...] = ()  # object ids of soft-deleted applications of this key
    deleted_service_principal: ObjectId | None = None  # of an application that is there without one
    owner: Principal | None = None  # whom the application's tag names, before it has one whom the request does
    policy: Policy = field(default_factory=Policy)  # the app management policy that counts for the application
    page: Page | None = None  # the newest hand-off page
    acknowledgements: Mapping[str, datetime] = field(default_factory=dict)  # of credentials, and when

    def acknowledged(self, credential: str | None) -> datetime | None:
        """When somebody said that a credential is installed and tested; None where nobody has."""
        return self.acknowledgements.get(credential) if credential else None

    @property
    def offboarded(self) -> date | None:
        """The day since which sign-in is switched off by an offboarding; its tag stands on both objects."""
        both = (self.service_principal, self.application)
        return next((since for found in both if found and (since := offboarded_since(found.tags))), None)

    @property
    def adoptable(self) -> Application | None:
        """The one application that may be adopted."""
        return self.adoptables[0] if len(self.adoptables) == 1 else None


def learned(known: Observed, before: Observed, after: Observed) -> Observed:
    """What is known, with what a step has changed of what was there before it."""
    names = (entry.name for entry in fields(Observed))
    changed = {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
    return replace(known, **changed)


def remember(fresh: Observed, known: Observed) -> Observed:
    """What was read, with what answers of this run have told already and a lagging replica does not show yet."""
    return replace(
        fresh,
        application=_with_passwords(fresh.application, known.application),
        service_principal=_with_certificates(fresh.service_principal, known.service_principal),
        grant=fresh.grant or known.grant,
        assignments=fresh.assignments or known.assignments,
        versions=fresh.versions or known.versions,
        owner=fresh.owner or known.owner,
        page=fresh.page or known.page,
    )


def _with_passwords(fresh: Application | None, known: Application | None) -> Application | None:
    if fresh is None or known is None:
        return fresh or known
    missing = tuple(p for p in known.passwords if p.key_id not in {q.key_id for q in fresh.passwords})
    return replace(fresh, passwords=(*fresh.passwords, *missing))


def _with_certificates(fresh: ServicePrincipal | None, known: ServicePrincipal | None) -> ServicePrincipal | None:
    if fresh is None or known is None:
        return fresh or known
    missing = tuple(c for c in known.certificates if c.thumbprint not in {d.thumbprint for d in fresh.certificates})
    return replace(
        fresh,
        certificates=(*fresh.certificates, *missing),
        active_thumbprint=known.active_thumbprint or fresh.active_thumbprint,
    )
