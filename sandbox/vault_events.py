"""What a Key Vault tells Event Grid of its secrets, and when (graph-contract section 18).

Only versions with an end are told of: each once when it is made, the newest of a name 30 days before its end, and again
at its end. A changed end is told of anew.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sandbox.clock import Clock, graph_time
from sandbox.vault_secrets import SecretVersion, VaultSecrets

NEAR = timedelta(days=30)
"""Fixed by the service (learn.microsoft.com/azure/event-grid/event-schema-key-vault)."""
VAULT_NAME = "gatehouse"
TOPIC = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/sandbox/providers/Microsoft.KeyVault"
    f"/vaults/{VAULT_NAME}"
)


@dataclass
class VaultEvent:
    """One event, and how its delivery goes."""

    kind: str
    name: str
    version: str
    not_before: int | None
    expires: int | None
    raised: datetime
    due: datetime
    """When it is delivered, or delivered again."""
    id: str = field(default_factory=lambda: str(uuid4()))
    attempts: int = 0
    delivered: datetime | None = None
    settled: bool = False
    """Whether nothing more is tried: it was accepted, given up, or there is nobody to deliver to."""
    repeated: bool = False
    """Whether it was delivered once more after it had been accepted."""

    def facts(self) -> dict[str, Any]:
        """Return how it stands, as `GET /events` shows it."""
        return {
            "id": self.id,
            "type": f"Microsoft.KeyVault.{self.kind}",
            "subject": self.name,
            "version": self.version,
            "raised": graph_time(self.raised),
            "attempts": self.attempts,
            "delivered": graph_time(self.delivered) if self.delivered else None,
            "settled": self.settled,
        }

    def data(self, vault: str) -> dict[str, Any]:
        """Return what both schemas carry."""
        return {
            "Id": f"{vault}/secrets/{self.name}/{self.version}",
            "VaultName": VAULT_NAME,
            "ObjectType": "Secret",
            "ObjectName": self.name,
            "Version": self.version,
            "NBF": self.not_before,
            "EXP": self.expires,
        }

    def in_event_grid_schema(self, vault: str) -> dict[str, Any]:
        """Return it in Event Grid's own schema."""
        return {
            "id": self.id,
            "topic": TOPIC,
            "subject": self.name,
            "eventType": f"Microsoft.KeyVault.{self.kind}",
            "eventTime": graph_time(self.raised),
            "data": self.data(vault),
            "dataVersion": "1",
            "metadataVersion": "1",
        }

    def in_cloud_events_schema(self, vault: str) -> dict[str, Any]:
        """Return it as a CloudEvent."""
        return {
            "id": self.id,
            "source": TOPIC,
            "subject": self.name,
            "type": f"Microsoft.KeyVault.{self.kind}",
            "time": graph_time(self.raised),
            "data": self.data(vault),
            "specversion": "1.0",
        }


class VaultEvents:
    """Everything that a vault has raised since it was made, the oldest first."""

    def __init__(self, vault: VaultSecrets, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock
        self._told: set[tuple[str, ...]] = set()
        self.raised: list[VaultEvent] = []

    def look(self) -> None:
        """Raise whatever has come due."""
        now = self._clock.now()
        for name, versions in self._vault.secrets.items():
            for version in versions:
                if version.expires is None:
                    continue
                self._raise("SecretNewVersionCreated", name, version, (), now)
                if version is versions[-1]:
                    ends = datetime.fromtimestamp(version.expires, UTC)
                    if ends - NEAR <= now:
                        self._raise("SecretNearExpiry", name, version, (str(version.expires),), now)
                    if ends <= now:
                        self._raise("SecretExpired", name, version, (str(version.expires),), now)

    def _raise(self, kind: str, name: str, version: SecretVersion, what: tuple[str, ...], now: datetime) -> None:
        told = (kind, version.version, *what)
        if told in self._told:
            return
        self._told.add(told)
        self.raised.append(VaultEvent(kind, name, version.version, version.not_before, version.expires, now, now))
