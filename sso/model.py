"""The nouns of the rules: names, identifiers and what was observed in the tenant.

Every name that Gatehouse writes anywhere is built and read here, so that a key goes there and back unchanged.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NewType, NoReturn

from sso.errors import Reason, Refused
from vendors.slug import VendorSlug, parse_slug

ObjectId = NewType("ObjectId", str)  # `id` of a directory object
ClientId = NewType("ClientId", str)  # `appId` of an application: another value, another use
AppRoleId = NewType("AppRoleId", str)
KeyId = NewType("KeyId", str)  # `keyId` of a credential
Thumbprint = NewType("Thumbprint", str)  # SHA-1 of a certificate, upper-case hexadecimal
TemplateId = NewType("TemplateId", str)
OperationId = NewType("OperationId", str)

INSTANCE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
INSTANCE_LENGTH = 30
# `--` stands for the vendor's underscores and no instance holds one, so a name splits without doubt.
SECRET_NAME = re.compile(
    r"gatehouse-(?P<vendor>[a-z0-9]+(--[a-z0-9]+)*)-(?P<instance>[a-z0-9]+(-[a-z0-9]+)*)-client-secret(-staged)?"
)
MANAGED_TAG = "gatehouse"
OFFBOARDED = f"{MANAGED_TAG}:offboarded:"
ADOPTED_TAG = "gatehouse:adopted"  # on an application that was made by hand: nothing of it is removed
# Entra shows an application under Enterprise applications only with this tag; HideApp keeps it out of My Apps
# (graph-contract: learn.microsoft.com/graph/api/resources/serviceprincipal).
INTEGRATED_TAG = "WindowsAzureActiveDirectoryIntegratedApp"
HIDE_TAG = "HideApp"
NO_ROLE = AppRoleId("00000000-0000-0000-0000-000000000000")  # "default access", for applications without roles
# The template of applications that are in no gallery, in the global cloud
# (learn.microsoft.com/graph/api/applicationtemplate-instantiate).
CUSTOM_TEMPLATE = TemplateId("8adf8e6e-67b2-4cf2-a259-e3dc5476c621")
GRAPH_CLIENT_ID = ClientId("00000003-0000-0000-c000-000000000000")  # Microsoft Graph, the same in every tenant


class Secret:
    """A secret value without a printable form: it does not print, compare, hash or serialise; `reveal` opens it."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        """Close over the value."""
        self.__value = value

    def reveal(self) -> str:
        """The value itself; called at four places only: vault write, proof, the vendor's page, its envelope."""
        return self.__value

    def __repr__(self) -> str:
        """Never the value."""
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        """Secrets are not compared: a comparison leaks by its time."""
        msg = "a Secret does not compare; compare what identifies it"
        raise TypeError(msg)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        """Secrets are not pickled or copied into anything that is stored."""
        msg = "a Secret does not serialise"
        raise TypeError(msg)


@dataclass(frozen=True, order=True)
class Key:
    """The natural key of one onboarded application: vendor and instance.

    Its forms never change: they are written on applications, vault secrets and ledger rows.
    """

    vendor: VendorSlug
    instance: str

    def __str__(self) -> str:
        """`{vendor}/{instance}`, as people and tags read it."""
        return f"{self.vendor}/{self.instance}"

    @property
    def marker(self) -> str:
        """`gatehouse-{vendor}-{instance}`: the unique name, the temporary display name, the mark of credentials."""
        return f"gatehouse-{self.vendor}-{self.instance}"

    @property
    def row(self) -> str:
        """`{vendor}:{instance}`, for table keys, which may not hold a slash."""
        return f"{self.vendor}:{self.instance}"

    @property
    def tag(self) -> str:
        """`gatehouse:{vendor}/{instance}`, the tag that says whose application it is."""
        return f"{MANAGED_TAG}:{self}"

    @property
    def secret_name(self) -> str:
        """The vault name that people and applications read: its newest version is always proved."""
        return f"gatehouse-{self.vendor.replace('_', '--')}-{self.instance}-client-secret"

    @property
    def staged_secret_name(self) -> str:
        """The vault name that Gatehouse alone reads."""
        return f"{self.secret_name}-staged"

    def display_name(self, profile_name: str) -> str:
        """The application's display name, unless a request sets another."""
        return profile_name if self.instance == "default" else f"{profile_name} ({self.instance})"


def instance_name(text: object) -> str:
    """Read an instance name; raises `ValueError` with what is allowed."""
    if isinstance(text, str) and len(text) <= INSTANCE_LENGTH and INSTANCE.fullmatch(text):
        return text
    msg = f"must be lower-case letters, digits and single hyphens, at most {INSTANCE_LENGTH} characters, such as 'emea'"
    raise ValueError(msg)


def key_of(vendor: str, instance: str) -> Key:
    """Make a key of the two parts of an address; raises `Refused` (404) where either is malformed."""
    try:
        return Key(parse_slug(vendor), instance_name(instance))
    except ValueError as error:
        raise Refused(Reason("instance", f"'{vendor}/{instance}' names no application: {error}."), status=404) from None


def key_from_row(row: str) -> Key:
    """Read `{vendor}:{instance}` back; raises `ValueError`."""
    vendor, _, instance = row.partition(":")
    return Key(parse_slug(vendor), instance_name(instance))


def key_from_tags(tags: tuple[str, ...]) -> Key | None:
    """The key that the tags of an application carry, if they carry exactly one."""
    found = set()
    for tag in tags:
        prefix, _, rest = tag.partition(":")
        vendor, slash, instance = rest.partition("/")
        if prefix == MANAGED_TAG and slash and ":" not in vendor:
            try:
                found.add(Key(parse_slug(vendor), instance_name(instance)))
            except ValueError:
                continue
    return found.pop() if len(found) == 1 else None


def key_from_secret_name(name: str) -> Key | None:
    """The key that a vault name belongs to, staged or not; None where the name is not ours."""
    match = SECRET_NAME.fullmatch(name)
    if match is None:
        return None
    try:
        return Key(parse_slug(match["vendor"].replace("--", "_")), instance_name(match["instance"]))
    except ValueError:
        return None


def adoption_tag(key: Key) -> str:
    """`gatehouse:adopt:{vendor}/{instance}`, by which an administrator consents to an adoption."""
    return f"{MANAGED_TAG}:adopt:{key}"


def owner_tag(owner: ObjectId) -> str:
    """`gatehouse:owner:{object id}`."""
    return f"{MANAGED_TAG}:owner:{owner}"


def parameter_tag(name: str, value: str) -> str:
    """`gatehouse:parameter:{name}={value}`."""
    return f"{MANAGED_TAG}:parameter:{name}={value}"


def owner_from_tags(tags: tuple[str, ...]) -> ObjectId | None:
    """The owner that the tags name, if any."""
    prefix = f"{MANAGED_TAG}:owner:"
    return next((ObjectId(tag.removeprefix(prefix)) for tag in tags if tag.startswith(prefix)), None)


def parameters_from_tags(tags: tuple[str, ...]) -> dict[str, str]:
    """The parameters that the tags carry."""
    prefix = f"{MANAGED_TAG}:parameter:"
    pairs = (tag.removeprefix(prefix).partition("=") for tag in tags if tag.startswith(prefix))
    return {name: value for name, _, value in pairs}


def offboarded_tag(since: date) -> str:
    """`gatehouse:offboarded:{date}`, while sign-in is switched off and the deletion waits."""
    return f"{OFFBOARDED}{since:%Y-%m-%d}"


def offboarded_since(tags: tuple[str, ...]) -> date | None:
    """The day since which the tags say that this is offboarded, if they do."""
    for tag in tags:
        if tag.startswith(OFFBOARDED):
            try:
                return date.fromisoformat(tag.removeprefix(OFFBOARDED))
            except ValueError:
                continue
    return None


def foreign_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """The tags that are others' and therefore kept as they are."""
    return tuple(tag for tag in tags if tag != MANAGED_TAG and not tag.startswith(f"{MANAGED_TAG}:"))


def fingerprint(*parts: str) -> str:
    """SHA-256 over the parts, hexadecimal: the name of a set of facts, such as those one mail tells."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class AppRole:
    """A role that an application publishes."""

    id: AppRoleId
    value: str | None
    display_name: str
    enabled: bool
    for_users: bool  # `allowedMemberTypes` holds `User`


@dataclass(frozen=True)
class PasswordCredential:
    """A client secret as Graph lists it: never its value."""

    key_id: KeyId
    display_name: str
    starts: datetime
    ends: datetime


@dataclass(frozen=True)
class TokenSigningCertificate:
    """A signing certificate of a service principal (its Verify half)."""

    thumbprint: Thumbprint
    display_name: str
    starts: datetime
    ends: datetime
    der: bytes  # the public certificate, DER


@dataclass(frozen=True)
class Application:
    """The registration: what Entra knows of the relying party."""

    object_id: ObjectId
    client_id: ClientId
    display_name: str
    unique_name: str | None
    template_id: TemplateId | None
    created: datetime
    tags: tuple[str, ...]
    identifiers: tuple[str, ...]
    reply_urls: tuple[str, ...]
    logout_url: str | None
    scopes: tuple["PublishedScope", ...]
    required_scopes: frozenset[str]  # names of Microsoft Graph's delegated permissions it declares
    app_roles: tuple[AppRole, ...]
    passwords: tuple[PasswordCredential, ...]
    required_access: str = "[]"  # everything it declares to need, as Graph's JSON: what is not ours is kept as it is


@dataclass(frozen=True)
class PublishedScope:
    """A delegated permission that an application publishes; people read its texts on consent pages."""

    raw: str  # the whole entry as JSON, because Graph replaces collections as a whole
    mentions: str  # its texts, joined


@dataclass(frozen=True)
class ServicePrincipal:
    """The application's instance in the tenant, the "enterprise application"."""

    object_id: ObjectId
    client_id: ClientId
    enabled: bool
    tags: tuple[str, ...]
    sign_on_mode: str | None
    sign_on_url: str | None
    logout_url: str | None
    relay_state: str | None
    assignment_required: bool
    notification_addresses: tuple[str, ...]
    active_thumbprint: Thumbprint | None
    certificates: tuple[TokenSigningCertificate, ...]
    app_roles: tuple[AppRole, ...]


@dataclass(frozen=True)
class ConsentGrant:
    """A tenant-wide delegated grant to Microsoft Graph."""

    id: str
    scopes: frozenset[str]


@dataclass(frozen=True)
class AppRoleAssignment:
    """One principal that holds one role of one application; its id is Graph's."""

    id: str
    principal_id: ObjectId
    role_id: AppRoleId
    service_principal_id: ObjectId
    principal_kind: str = "user"  # "user" | "group" | "serviceprincipal"
    principal_name: str = ""


@dataclass(frozen=True)
class Principal:
    """A user or group as the directory knows it."""

    object_id: ObjectId
    kind: str  # "user" | "group"
    name: str
    address: str | None  # where mail reaches it
    guest: bool = False
    enabled: bool = True
    security_group: bool = True


@dataclass(frozen=True)
class ApplicationTemplate:
    """A gallery entry."""

    id: TemplateId
    display_name: str
    sign_on_modes: tuple[str, ...]
    configuration: dict[str, tuple[str, ...]] = field(default_factory=dict)  # beta `configurationUris`, usage -> values


@dataclass(frozen=True)
class VaultVersion:
    """One version of a vault secret: everything but its value."""

    name: str
    version: str
    enabled: bool
    key_id: KeyId | None
    created: datetime
    expires: datetime | None


@dataclass(frozen=True)
class Unmanaged:
    """An application that could be meant, without our marker: it is named, and never touched."""

    object_id: ObjectId
    client_id: ClientId
    display_name: str
    identifiers: tuple[str, ...]
    tags: tuple[str, ...] = ()
