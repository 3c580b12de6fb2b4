"""The tenant's objects, as plain dictionaries under Graph's property names, and what Graph never serves beside them."""

from base64 import urlsafe_b64encode
from collections import Counter
from hashlib import sha256
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.certificates import SigningPair

GraphObject = dict[str, Any]

MICROSOFT_GRAPH_CLIENT_ID = "00000003-0000-0000-c000-000000000000"


class Assignments(dict[str, GraphObject]):
    """App role assignments by ID, found by their principal too: each new one asks what its principal has."""

    def __init__(self) -> None:
        super().__init__()
        self._by_principal: dict[str, dict[str, None]] = {}

    def __setitem__(self, object_id: str, assignment: GraphObject) -> None:
        """Keep an assignment, whose principal never changes."""
        super().__setitem__(object_id, assignment)
        self._by_principal.setdefault(assignment["principalId"], {})[object_id] = None

    def pop(self, object_id: str, *default: Any) -> Any:
        """Take one out."""
        found = super().pop(object_id, *default)
        if found and (held := self._by_principal.get(found["principalId"])):
            held.pop(object_id, None)
        return found

    def of(self, principal_id: str) -> list[GraphObject]:
        """Return those of one principal."""
        return [self[object_id] for object_id in self._by_principal.get(principal_id, ()) if object_id in self]


class Directory:
    """One tenant's objects; everything that reads or writes them lives elsewhere."""

    def __init__(self, seed: int, tenant_signing_pair: SigningPair) -> None:
        self.seed = seed
        self._drawn: Counter[tuple[str, ...]] = Counter()
        self.tenant_id = self.fixed_id("tenant", "contoso")
        self.graph_service_principal_id = self.fixed_id("servicePrincipal", "Microsoft Graph")
        self.identity_service_principal_id = self.fixed_id("servicePrincipal", "gatehouse")
        self.identity_client_id = self.fixed_id("clientId", "gatehouse")
        self.applications: dict[str, GraphObject] = {}
        self.service_principals: dict[str, GraphObject] = {}
        self.users: dict[str, GraphObject] = {}
        self.groups: dict[str, GraphObject] = {}
        self.members: dict[str, set[str]] = {}
        self.grants: dict[str, GraphObject] = {}
        self.assignments = Assignments()
        self.deleted: dict[str, GraphObject] = {}
        self.deleted_with: dict[str, tuple[list[GraphObject], list[GraphObject]]] = {}
        """Assignments and grants that went with a deleted service principal and come back with it."""
        self.app_management_policies: dict[str, GraphObject] = {}
        """The tenant's own default, as `default`, and those assigned to single objects, by the object's ID."""
        self.owners: dict[str, list[str]] = {}
        self.secret_values: dict[str, str] = {}
        """The text of each client secret by its keyId."""
        self.signing_keys: dict[str, tuple[rsa.RSAPrivateKey, x509.Certificate]] = {}
        """Private key and certificate by SHA-1 thumbprint in upper-case hex."""
        self.tenant_signing_certificate = (tenant_signing_pair.private_key, tenant_signing_pair.certificate)

    def fixed_id(self, *key: str) -> str:
        """Return the GUID that this seed gives to a name: always the same one."""
        return self._guid(*key)

    def next_id(self, *key: str) -> str:
        """Return the n-th GUID for a natural key, so that interleaved calls do not change what each one gets."""
        self._drawn[key] += 1
        return self._guid(*key, f"#{self._drawn[key]}")

    def opaque_id(self, *key: str) -> str:
        """Return the n-th URL-safe identifier for a natural key, of the kind that assignments and grants have."""
        self._drawn[key] += 1
        digest = sha256("\x1f".join((str(self.seed), *key, f"#{self._drawn[key]}")).encode()).digest()
        return urlsafe_b64encode(digest).decode().rstrip("=")

    def _guid(self, *key: str) -> str:
        digest = sha256("\x1f".join((str(self.seed), *key)).encode()).digest()
        return str(UUID(bytes=digest[:16], version=4))

    def application_by_client_id(self, app_id: str) -> GraphObject | None:
        """Find the application with this client ID."""
        return _find(self.applications, "appId", app_id)

    def service_principal_by_client_id(self, app_id: str) -> GraphObject | None:
        """Find the service principal with this client ID."""
        return _find(self.service_principals, "appId", app_id)

    def user_by_upn(self, upn: str) -> GraphObject | None:
        """Find the user with this user principal name, whatever its case."""
        return _find(self.users, "userPrincipalName", upn)


def _find(objects: dict[str, GraphObject], name: str, value: str) -> GraphObject | None:
    wanted = value.casefold()
    return next((found for found in objects.values() if str(found.get(name) or "").casefold() == wanted), None)
