"""What was observed of one key: the facts that a plan is made from."""

from dataclasses import dataclass
from datetime import datetime

from sso.handoff import Page
from sso.model import (
    Application,
    ApplicationTemplate,
    AppRoleAssignment,
    ConsentGrant,
    Key,
    Principal,
    ServicePrincipal,
    Unmanaged,
    VaultVersion,
)


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
    deleted: tuple[str, ...] = ()  # object ids of soft-deleted applications of this key
    owner: Principal | None = None  # whom the application's tag names
    page: Page | None = None  # the newest hand-off page
    acknowledged: datetime | None = None  # when the credential in use was acknowledged
