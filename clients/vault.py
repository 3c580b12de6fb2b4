"""Key Vault: the only place where a secret lives. Two names per key, see `sso.model.Key`."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from sso.errors import GatehouseError, NotReady, TenantError
from sso.model import ClientId, Key, KeyId, Secret, VaultVersion

# Tags of a version (at most 15, 256 characters each; graph-contract 17). Readable by whoever may list.
KEY_ID, CLIENT_ID, STAGED_VERSION = "key-id", "client-id", "staged-version"


class Vault:
    """The client secrets of every onboarded application."""

    def __init__(self, url: str, credential: AsyncTokenCredential) -> None:
        """Open the vault; nothing is sent yet. The check of the challenge's resource stays on."""
        self._client = SecretClient(url, credential)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def versions(self, key: Key, client_id: ClientId | None = None) -> tuple[VaultVersion, ...]:
        """Every version of both names, without values; raises where the vault does not answer: that decides nothing.

        With a client ID those of another application are left out: the key may have had one before, purged since.
        """
        found: list[VaultVersion] = []
        async with _explained("list the versions"):
            for name in (key.secret_name, key.staged_secret_name):
                with contextlib.suppress(ResourceNotFoundError):
                    entries = self._client.list_properties_of_secret_versions(name)
                    found += [
                        _version(name, entry)
                        async for entry in entries
                        if client_id is None or (entry.tags or {}).get(CLIENT_ID, client_id) == client_id
                    ]
        return tuple(found)

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
        async with _explained(what):
            made = await self._client.set_secret(name, secret.reveal(), tags=tags, expires_on=ends)
        return _version(name, made.properties)

    async def read(self, version: VaultVersion) -> Secret:
        """The value of one version."""
        async with _explained("read the secret"):
            found = await self._client.get_secret(version.name, version.version)
        return Secret(str(found.value))

    async def read_secret(self, key: Key, key_id: KeyId) -> Secret:
        """The value of the current name's version whose tag holds this key ID; raises `TenantError` without one."""
        for version in await self.versions(key):
            if version.name == key.secret_name and version.key_id == key_id and version.enabled:
                return await self.read(version)
        msg = f"The vault has no enabled version of {key.secret_name} for this credential; issue a new hand-off."
        raise TenantError(msg)

    async def disable(self, version: VaultVersion) -> None:
        """Disable a version; idempotent."""
        async with _explained("disable the version"):
            await self._client.update_secret_properties(version.name, version.version, enabled=False)

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
        raise NotReady(msg, retry_after=10) from None
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
        return NotReady(
            f"The vault could not {what} yet ({error.status_code}).", retry_after=10, waiting_for="throttling"
        )
    return TenantError(f"The vault refused to {what}: {error.status_code} {code}.")
