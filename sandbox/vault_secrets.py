"""What a Key Vault holds: secrets by name, each with all its versions, and those deleted but recoverable."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from sandbox.clock import Clock

RECOVERABLE_DAYS = 90
"""Key Vault's default (about-secrets, learn.microsoft.com/azure/key-vault)."""


@dataclass
class SecretVersion:
    """One value with its attributes; a PATCH changes all but the value."""

    version: str
    value: str = field(repr=False)
    content_type: str | None
    enabled: bool
    not_before: int | None
    expires: int | None
    created: int
    updated: int
    tags: dict[str, str]

    def facts(self) -> dict[str, Any]:
        """Return everything but the value, as `GET /dump` shows it."""
        return {
            "version": self.version,
            "enabled": self.enabled,
            "nbf": self.not_before,
            "exp": self.expires,
            "created": self.created,
            "updated": self.updated,
            "content_type": self.content_type,
            "tags": dict(self.tags),
        }


@dataclass
class DeletedSecret:
    """A name with all its versions, until it is recovered or purged."""

    versions: list[SecretVersion]
    deleted: datetime
    settled: datetime
    """When the deletion is over: until then the name can be neither read as deleted nor used."""

    @property
    def purge_date(self) -> datetime:
        """Return when the vault forgets it by itself."""
        return self.deleted + timedelta(days=RECOVERABLE_DAYS)


class VaultSecrets:
    """The vault's content; the last version of a name is the newest."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.secrets: dict[str, list[SecretVersion]] = {}
        self.deleted: dict[str, DeletedSecret] = {}

    def add_version(
        self,
        name: str,
        value: str,
        *,
        content_type: str | None = None,
        enabled: bool = True,
        not_before: int | None = None,
        expires: int | None = None,
        tags: dict[str, str] | None = None,
    ) -> SecretVersion:
        """Store a value as the name's newest version."""
        now = self.now()
        added = SecretVersion(token_hex(16), value, content_type, enabled, not_before, expires, now, now, tags or {})
        self.secrets.setdefault(name, []).append(added)
        return added

    def find(self, name: str, version: str = "") -> SecretVersion | None:
        """Return one version, or the newest where none is named."""
        versions = self.secrets.get(name, [])
        if not version:
            return versions[-1] if versions else None
        return next((found for found in versions if found.version == version), None)

    def delete(self, name: str, seconds: float = 0.0) -> DeletedSecret:
        """Put a name with all its versions aside, which takes a while."""
        now = self._clock.now()
        self.deleted[name] = DeletedSecret(self.secrets.pop(name), now, now + timedelta(seconds=seconds))
        return self.deleted[name]

    def is_being_deleted(self, name: str) -> bool:
        """Tell whether the deletion of a name is still under way."""
        gone = self.deleted.get(name)
        return gone is not None and self._clock.now() < gone.settled

    def recover(self, name: str) -> SecretVersion:
        """Take a deleted name back and return its newest version."""
        self.secrets[name] = self.deleted.pop(name).versions
        return self.secrets[name][-1]

    def now(self) -> int:
        """Return the sandbox's time in the vault's unit, whole Unix seconds."""
        return int(self._clock.now().timestamp())

    def dump(self) -> dict[str, Any]:
        """Return every name with its versions and tags, no values."""
        return {
            **{name: {"versions": [each.facts() for each in versions]} for name, versions in self.secrets.items()},
            **{
                name: {"versions": [each.facts() for each in gone.versions], "deleted": True}
                for name, gone in self.deleted.items()
            },
        }
