"""Key Vault's data plane for secrets, challenge first, by the service's REST reference (graph-contract section 17)."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from aiohttp import web
from aiohttp.typedefs import Middleware

from sandbox.tenant import SandboxTenant
from sandbox.unkind.middleware import gated
from sandbox.vault_input import (
    LARGEST_VALUE,
    VaultError,
    attributes_of,
    bad_parameter,
    check_version,
    content_type_of,
    json_body,
    not_found,
    secret_name,
    tags_of,
)
from sandbox.vault_secrets import RECOVERABLE_DAYS, DeletedSecret, SecretVersion

LARGEST_PAGE = 25
FAULTS = {
    429: ("Throttled", "Request was not processed because too many requests were received."),
    500: ("InternalServerError", "An unexpected error occurred."),
    503: ("ServiceUnavailable", "The service is temporarily unavailable."),
    504: ("GatewayTimeout", "The service did not answer in time."),
}

Answer = Callable[[web.Request], Awaitable[web.Response]]


def routes(tenant: SandboxTenant) -> list[web.RouteDef]:
    """Return the routes of the secrets data plane."""
    wire = VaultWire(tenant)
    one = "/secrets/{name}"
    gone = "/deletedsecrets/{name}"
    return [
        web.get("/secrets", wire.guarded(wire.list_secrets)),
        web.put(one, wire.guarded(wire.put_secret)),
        web.get(one, wire.guarded(wire.get_secret)),
        # The SDK asks for the newest version with an empty one: /secrets/{name}/
        web.get(one + "/", wire.guarded(wire.get_secret)),
        web.get(one + "/versions", wire.guarded(wire.list_versions)),
        web.get(one + "/{version}", wire.guarded(wire.get_secret)),
        web.patch(one + "/", wire.guarded(wire.patch_secret)),
        web.patch(one + "/{version}", wire.guarded(wire.patch_secret)),
        web.delete(one, wire.guarded(wire.delete_secret)),
        web.get("/deletedsecrets", wire.guarded(wire.list_deleted)),
        web.get(gone, wire.guarded(wire.get_deleted)),
        web.post(gone + "/recover", wire.guarded(wire.recover)),
        web.delete(gone, wire.guarded(wire.purge)),
    ]


def gate(tenant: SandboxTenant) -> Middleware:
    """Return the gate of the vault; what is drawn depends on the secret's name, never on its version."""

    def refuse(status: int) -> web.Response:
        code, message = FAULTS.get(status, ("Forbidden", "The caller does not have permission."))
        headers = {"x-ms-request-id": str(uuid4()), "x-ms-keyvault-region": "sandbox"}
        return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)

    return gated(
        tenant,
        "vault",
        refuse,
        key=lambda request, _: f"{request.method} {request.match_info.get('name', '')}",
        # The SDK's first call carries no token and is there to learn the challenge.
        is_random=lambda request, _: "Authorization" in request.headers,
    )


class VaultWire:
    """Reads requests, writes bundles; the secrets themselves are in `tenant.vault`."""

    def __init__(self, tenant: SandboxTenant) -> None:
        self._tenant = tenant

    def guarded(self, handler: Answer) -> Answer:
        """Put the challenge, the version check and the error envelope around a handler."""

        async def answer(request: web.Request) -> web.Response:
            """Answer one call."""
            headers = {"x-ms-request-id": str(uuid4()), "x-ms-keyvault-region": "sandbox"}
            try:
                self._authenticate(request)
                check_version(request)
                self._throttle(request)
                response = await handler(request)
            except VaultError as refusal:
                response = web.json_response(refusal.body, status=refusal.status)
                if refusal.status == 401:
                    response.headers["WWW-Authenticate"] = self._challenge()
            response.headers.update(headers)
            return response

        return answer

    def _challenge(self) -> str:
        authority = f"{self._tenant.urls.authority}/{self._tenant.directory.tenant_id}"
        return f'Bearer authorization="{authority}", resource="{self._tenant.urls.vault_resource}"'

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise VaultError(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        try:
            self._tenant.tokens.verify(token, self._tenant.urls.vault_resource)
        except ValueError as problem:
            raise VaultError(401, "Unauthorized", f"AKV10022: Invalid token: {problem}") from problem

    def _throttle(self, request: web.Request) -> None:
        """Refuse a call over the vault's limits, with 429 and no Retry-After (graph-contract section 17)."""
        limits, switches = self._tenant.unkind.limits, self._tenant.switches
        is_create = request.method == "PUT"
        waits = (
            limits.vault_creates.take(1, switches.vault_creates)
            if is_create
            else limits.vault_calls.take(1, switches.vault_calls)
        )
        if waits:
            raise VaultError(429, *FAULTS[429])

    async def put_secret(self, request: web.Request) -> web.Response:
        """Store a value: always a new version."""
        name, body = secret_name(request), await json_body(request)
        if self._tenant.vault.is_being_deleted(name):
            message = f"Secret {name} is currently being deleted and cannot be re-created; retry later."
            raise VaultError(409, "Conflict", message, "ObjectIsBeingDeleted")
        if name in self._tenant.vault.deleted:
            raise VaultError(
                409,
                "Conflict",
                f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in "
                "this state, the secret can only be recovered or purged.",
                "ObjectIsDeletedButRecoverable",
            )
        value = body.get("value")
        if not isinstance(value, str):
            raise bad_parameter("Property value is required and must be a string.")
        if len(value.encode()) > LARGEST_VALUE:
            raise bad_parameter(f"Secret value is longer than {LARGEST_VALUE} bytes.")
        attributes = attributes_of(body)
        added = self._tenant.vault.add_version(
            name,
            value,
            content_type=content_type_of(body),
            enabled=attributes.get("enabled", True),
            not_before=attributes.get("nbf"),
            expires=attributes.get("exp"),
            tags=tags_of(body),
        )
        return web.json_response(self._bundle(name, added))

    async def get_secret(self, request: web.Request) -> web.Response:
        """Return a version's value; a disabled one keeps it to itself."""
        name, found = self._version(request)
        if not found.enabled:
            raise VaultError(403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")
        return web.json_response(self._bundle(name, found))

    async def patch_secret(self, request: web.Request) -> web.Response:
        """Change what stands beside a value; tags are replaced as a whole."""
        name, found = self._version(request)
        body = await json_body(request)
        if "value" in body:
            raise bad_parameter("The value of a secret version cannot be changed.")
        attributes, tags = attributes_of(body), tags_of(body)
        found.enabled = attributes.get("enabled", found.enabled)
        found.not_before = attributes.get("nbf", found.not_before)
        found.expires = attributes.get("exp", found.expires)
        if "contentType" in body:
            found.content_type = content_type_of(body)
        if "tags" in body:
            found.tags = tags
        found.updated = self._tenant.vault.now()
        return web.json_response(self._item(name, found, versioned=True))

    async def list_secrets(self, request: web.Request) -> web.Response:
        """List the newest version of every name, without values."""
        items = [
            self._item(name, versions[-1], versioned=False)
            for name, versions in sorted(self._tenant.vault.secrets.items())
        ]
        return self._page(request, items)

    async def list_versions(self, request: web.Request) -> web.Response:
        """List all versions of a name, without values; an unknown name has none."""
        name = secret_name(request)
        versions = self._tenant.vault.secrets.get(name, [])
        return self._page(request, [self._item(name, each, versioned=True) for each in versions])

    async def delete_secret(self, request: web.Request) -> web.Response:
        """Put a name with all its versions aside."""
        name = secret_name(request)
        if name not in self._tenant.vault.secrets:
            raise not_found(name)
        longest = self._tenant.switches.vault_deletion_seconds
        seconds = self._tenant.unkind.draws.between(longest / 5, longest, "vault deletion", name)
        return web.json_response(self._deleted(name, self._tenant.vault.delete(name, seconds)))

    async def list_deleted(self, request: web.Request) -> web.Response:
        """List the deleted names."""
        gone = sorted(self._tenant.vault.deleted.items())
        return self._page(request, [self._deleted(name, each) for name, each in gone])

    async def get_deleted(self, request: web.Request) -> web.Response:
        """Return what is known of a deleted name."""
        return web.json_response(self._deleted(*self._gone(request)))

    async def recover(self, request: web.Request) -> web.Response:
        """Bring a deleted name back."""
        name, _ = self._gone(request)
        return web.json_response(self._item(name, self._tenant.vault.recover(name), versioned=True))

    async def purge(self, request: web.Request) -> web.Response:
        """Forget a deleted name."""
        name, _ = self._gone(request)
        del self._tenant.vault.deleted[name]
        return web.Response(status=204)

    def _version(self, request: web.Request) -> tuple[str, SecretVersion]:
        name, version = secret_name(request), request.match_info.get("version", "")
        found = self._tenant.vault.find(name, version)
        if found is None:
            raise not_found(f"{name}/{version}" if version else name)
        return name, found

    def _gone(self, request: web.Request) -> tuple[str, DeletedSecret]:
        name = secret_name(request)
        if name not in self._tenant.vault.deleted or self._tenant.vault.is_being_deleted(name):
            raise VaultError(404, "SecretNotFound", f"Deleted Secret not found: {name}")
        return name, self._tenant.vault.deleted[name]

    def _bundle(self, name: str, found: SecretVersion) -> dict[str, Any]:
        return {"value": found.value, **self._item(name, found, versioned=True)}

    def _item(self, name: str, found: SecretVersion, *, versioned: bool) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "enabled": found.enabled,
            "created": found.created,
            "updated": found.updated,
            "recoveryLevel": "Recoverable+Purgeable",
            "recoverableDays": RECOVERABLE_DAYS,
        }
        if found.not_before is not None:
            attributes["nbf"] = found.not_before
        if found.expires is not None:
            attributes["exp"] = found.expires
        item: dict[str, Any] = {
            "id": f"{self._tenant.urls.vault}/secrets/{name}" + (f"/{found.version}" if versioned else ""),
            "attributes": attributes,
            "tags": dict(found.tags),
        }
        if found.content_type is not None:
            item["contentType"] = found.content_type
        return item

    def _deleted(self, name: str, gone: DeletedSecret) -> dict[str, Any]:
        return {
            "recoveryId": f"{self._tenant.urls.vault}/deletedsecrets/{name}",
            "deletedDate": int(gone.deleted.timestamp()),
            "scheduledPurgeDate": int(gone.purge_date.timestamp()),
            **self._item(name, gone.versions[-1], versioned=True),
        }

    def _page(self, request: web.Request, items: list[dict[str, Any]]) -> web.Response:
        size, start = request.query.get("maxresults", str(LARGEST_PAGE)), request.query.get("$skiptoken", "0")
        if not size.isdecimal() or not 1 <= int(size) <= LARGEST_PAGE or not start.isdecimal():
            raise bad_parameter(f"maxresults must be between 1 and {LARGEST_PAGE}.")
        end = int(start) + int(size)
        next_link = None
        if end < len(items):
            query = f"api-version={quote(request.query['api-version'])}&maxresults={size}&$skiptoken={end}"
            next_link = f"{self._tenant.urls.vault}{request.path}?{query}"
        return web.json_response({"value": items[int(start) : end], "nextLink": next_link})
