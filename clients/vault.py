"""Key Vault: the only place where a secret lives. Two names per key, see `sso.model.Key`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from sso.errors import GatehouseError, NotReady, TenantError, pause_in
from sso.model import ClientId, Key, KeyId, Secret, VaultVersion, key_from_secret_name
from sso.webhooks import Sender, WebhookKey, secret_name

T = TypeVar("T")

KEPT = 60.0  # seconds that the keys of webhooks are kept
PATIENCE = 20.0  # seconds that one call may spend on repeating itself
# Tags of a version (at most 15, 256 characters each; graph-contract 17). Readable by whoever may list.
KEY_ID, CLIENT_ID, STAGED_VERSION = "key-id", "client-id", "staged-version"


class Vault:
    """The client secrets of every onboarded application."""

    def __init__(self, url: str, credential: AsyncTokenCredential, wait_scale: float = 1.0, **options: Any) -> None:
        """Open the vault; nothing is sent yet. The check of the challenge's resource stays on.

        The SDK's own retries are off: their pauses know neither our patience nor the deployment's measure of
        time. `options` are the SDK's own.
        """
        self._client = SecretClient(url, credential, retry_total=0, **options)
        self._wait_scale = wait_scale
        self._webhook_keys: dict[Sender, tuple[float, tuple[WebhookKey, ...]]] = {}  # with the loop's time they end at

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def versions(self, key: Key, client_id: ClientId | None = None) -> tuple[VaultVersion, ...]:
        """Every version of both names, without values; raises where the vault does not answer: that decides nothing.

        With a client ID those of another application are left out: the key may have had one before, purged since.
        """
        found = [
            await self._patiently("list the versions", partial(self._versions_of, name, client_id))
            for name in (key.secret_name, key.staged_secret_name)
        ]
        return tuple(version for versions in found for version in versions)

    async def _versions_of(self, name: str, client_id: ClientId | None) -> list[VaultVersion]:
        with contextlib.suppress(ResourceNotFoundError):
            return [
                _version(name, entry)
                async for entry in self._client.list_properties_of_secret_versions(name)
                if client_id is None or (entry.tags or {}).get(CLIENT_ID, client_id) == client_id
            ]
        return []

    async def newest_key_ids(self) -> frozenset[KeyId]:
        """The key IDs that the newest version of each name of ours carries, read by pages for all applications."""
        return await self._patiently("list the secrets", self._newest_key_ids)

    async def _newest_key_ids(self) -> frozenset[KeyId]:
        return frozenset(
            [
                KeyId(entry.tags[KEY_ID])
                async for entry in self._client.list_properties_of_secrets()
                if entry.tags and KEY_ID in entry.tags and key_from_secret_name(entry.name or "")
            ]
        )

    async def stage(self, key: Key, secret: Secret, *, key_id: KeyId, client_id: ClientId) -> VaultVersion:
        """Put a fresh secret under the staged name: without `exp`, so that it raises no event."""
        tags = {KEY_ID: key_id, CLIENT_ID: client_id}
        return await self._write("stage the secret", key.staged_secret_name, secret, tags)

    async def promote(
        self, key: Key, staged: VaultVersion, secret: Secret, *, client_id: ClientId, ends: datetime
    ) -> VaultVersion:
        """Make a proved secret the newest version of the name that people read."""
        tags = {KEY_ID: str(staged.key_id), CLIENT_ID: client_id, STAGED_VERSION: staged.version}
        return await self._write("promote the secret", key.secret_name, secret, tags, ends)

    async def _write(
        self, what: str, name: str, secret: Secret, tags: dict[str, str], ends: datetime | None = None
    ) -> VaultVersion:
        """Make a version: the one place where a value is opened to be kept."""
        made = await self._patiently(
            what, lambda: self._client.set_secret(name, secret.reveal(), tags=tags, expires_on=ends)
        )
        return _version(name, made.properties)

    async def read(self, version: VaultVersion) -> Secret:
        """The value of one version."""
        found = await self._patiently("read the secret", lambda: self._client.get_secret(version.name, version.version))
        return Secret(str(found.value))

    async def read_secret(self, key: Key, key_id: KeyId) -> Secret:
        """The value of the current name's version whose tag holds this key ID; raises `TenantError` without one."""
        for version in await self.versions(key):
            if version.name == key.secret_name and version.key_id == key_id and version.enabled:
                return await self.read(version)
        msg = f"The vault has no enabled version of {key.secret_name} for this credential; issue a new hand-off."
        raise TenantError(msg)

    async def webhook_keys(self, sender: Sender) -> tuple[WebhookKey, ...]:
        """The newest and the previous enabled key of a sender, kept for a minute; raises `TenantError` without one.

        Strangers may ask as often as they like, so that the vault is not asked for each of them.
        """
        now = asyncio.get_running_loop().time()
        kept = self._webhook_keys.get(sender)
        if kept and kept[0] > now:
            return kept[1]
        name = secret_name(sender)
        listed = await self._patiently("list the versions", partial(self._versions_of, name, None))
        enabled = sorted((entry for entry in listed if entry.enabled), key=lambda entry: entry.created, reverse=True)
        if not enabled:
            msg = f"The vault has no enabled secret {name}; write one, and give it to the HR system."
            raise TenantError(msg)
        values = await asyncio.gather(
            *(
                self._patiently("read the secret", partial(self._client.get_secret, name, entry.version))
                for entry in enabled[:2]
            )
        )
        keys = tuple(WebhookKey.of(sender, str(found.value)) for found in values)
        self._webhook_keys[sender] = (now + KEPT * self._wait_scale, keys)
        return keys

    async def disable(self, version: VaultVersion) -> None:
        """Disable a version; idempotent."""
        await self._patiently(
            "disable the version",
            lambda: self._client.update_secret_properties(version.name, version.version, enabled=False),
        )

    async def enable(self, version: VaultVersion) -> None:
        """Enable a version again; idempotent."""
        await self._patiently(
            "enable the version",
            lambda: self._client.update_secret_properties(version.name, version.version, enabled=True),
        )

    async def _patiently(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Call, and again for a while where the vault is busy; every call of ours may be made twice."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + PATIENCE * self._wait_scale
        while True:
            try:
                async with _explained(what):
                    return await call()
            except NotReady as error:
                wait = error.retry_after * self._wait_scale
                if loop.time() + wait > give_up:
                    raise
                await asyncio.sleep(wait)

    async def probe(self) -> None:
        """Read one page of names, to see that the vault answers us."""
        async with _explained("list the secrets"):
            async for _ in self._client.list_properties_of_secrets(max_page_size=1):
                break


def _version(name: str, properties: SecretProperties) -> VaultVersion:
    tags = properties.tags or {}
    if properties.version is None or properties.created_on is None:
        msg = f"The vault described {name} without version or date; look at the service's health."
        raise TenantError(msg)
    return VaultVersion(
        name=name,
        version=properties.version,
        enabled=bool(properties.enabled),
        key_id=KeyId(tags[KEY_ID]) if KEY_ID in tags else None,
        created=properties.created_on,
        expires=properties.expires_on,
    )


@asynccontextmanager
async def _explained(what: str) -> AsyncIterator[None]:
    """Turn the vault's failures into ours; the SDK's own text is not repeated: it may quote a request."""
    try:
        yield
    except HttpResponseError as error:
        raise _refusal(what, error) from None
    except AzureError as error:
        msg = f"The vault did not answer when asked to {what} ({type(error).__name__})."
        # Not replication, which is given up after half an hour: a vault that is away may come back later than that.
        raise NotReady(msg, retry_after=2, waiting_for="throttling") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The SDK stumbled over an answer, and its text quotes what it stumbled over.
        msg = f"The vault answered oddly when asked to {what} ({type(error).__name__}); look at the service's health."
        raise NotReady(msg, retry_after=10) from None


def _refusal(what: str, error: HttpResponseError) -> GatehouseError:
    code = getattr(getattr(error, "error", None), "code", "") or ""
    if error.status_code in {401, 403}:
        return TenantError(
            f"The vault refused to {what} ({error.status_code} {code}). Give Gatehouse's identity the role Key Vault"
            " Secrets Officer on it, and look at its firewall.",
            missing="Key Vault Secrets Officer",
        )
    if error.status_code == 404:  # what we address was listed or just written
        return NotReady(f"The vault could not {what} yet (404).", retry_after=10)
    if error.status_code == 409:  # a deleted name cannot be reused until it is recovered or purged
        return TenantError(
            f"The vault could not {what}: the secret's name is deleted but recoverable. Recover it"
            " (az keyvault secret recover), then replay the operation."
        )
    if error.status_code == 429 or (error.status_code or 0) >= 500:
        headers = getattr(error.response, "headers", {})
        pause = pause_in(headers.get("Retry-After"), datetime.now(UTC))
        return NotReady(
            f"The vault could not {what} yet ({error.status_code}).",
            retry_after=3 if pause is None else pause,
            waiting_for="throttling",
        )
    return TenantError(f"The vault refused to {what}: {error.status_code} {code}.")
