"""What keeps runs apart, calls single, removals few: leases, intents, brakes; and messages that nobody could read."""

import base64
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from clients.ledger.table import CHUNK, FAR, Changed, Table, etag_of, read, row_of
from sso.brake import Brake, Kind
from sso.model import Key, OperationId

LEASE = timedelta(seconds=60)
LEASE_MARGIN = timedelta(seconds=5)  # a lease that is nearly over is not taken from a slow clock's holder


@dataclass(frozen=True)
class Intent:
    """A call that may have been made: how often it was tried, and how many looks found nothing of it."""

    call: str
    operation: OperationId
    at: datetime
    attempts: int = 1
    empty_reads: int = 0
    last_read: datetime | None = None
    answer: str | None = None  # the id of what the call made, once it was answered


@dataclass(frozen=True)
class Lease:
    """The right to carry something on, until it is over or given back."""

    name: str
    holder: str
    etag: str


_INTENT = TypeAdapter(Intent)
_BRAKE = TypeAdapter(Brake)


class SafetyRows(Table):
    """The rows of leases, intents, brakes and unreadable messages."""

    async def find_intent(self, key: Key, call: str) -> Intent | None:
        """The intent of a call that may have been made."""
        row = await self._find(f"intent:{key.row}", call)
        return None if row is None else read(_INTENT, row)

    async def add_intent(self, key: Key, intent: Intent) -> None:
        """Note the first attempt of a call; raises `Changed` where one was noted before."""
        await self._insert(row_of(f"intent:{key.row}", intent.call, _INTENT, intent))

    async def put_intent(self, key: Key, intent: Intent) -> None:
        """Note that a call is about to be made, or what became of looking for it."""
        await self._upsert(row_of(f"intent:{key.row}", intent.call, _INTENT, intent))

    async def close_intent(self, key: Key, call: str) -> None:
        """The call was answered; gone already is success."""
        await self._delete(f"intent:{key.row}", call)

    async def brake(self, kind: Kind) -> Brake:
        """What a kind of removal has taken, and whom it stopped."""
        row = await self._find("brake", kind)
        return Brake() if row is None else replace(read(_BRAKE, row), etag=etag_of(row))

    async def put_brake(self, kind: Kind, changed: Brake) -> Brake:
        """Write a brake that was read; raises `Changed`."""
        row = row_of("brake", kind, _BRAKE, changed)
        written = await (self._replace(row, changed.etag) if changed.etag else self._insert(row))
        return replace(changed, etag=written)

    async def keep_unreadable(self, queue: str, message: bytes, reason: str, dequeue_count: int, now: datetime) -> None:
        """Keep a message of a poison queue with its reason."""
        name = f"{FAR - int(now.timestamp() * 1000):013d}-{hashlib.sha256(message).hexdigest()[:16]}"
        entry = {
            "PartitionKey": "unreadable",
            "RowKey": name,
            "queue": queue,
            "reason": reason,
            "dequeue_count": dequeue_count,
            "bytes": base64.b64encode(message[:CHUNK]).decode(),
            "at": now.isoformat(),
        }
        await self._upsert(entry)

    async def unreadable(self) -> list[Mapping[str, Any]]:
        """The messages kept, newest first."""
        return [row async for row in self._query("PartitionKey eq 'unreadable'", {})]

    async def take_lease(self, name: str, holder: str, now: datetime, scale: float) -> Lease | None:
        """Take the right to what has this name for 60 s (times `scale`); None while another holds it.

        There is no fencing in Graph: every write is safe to lose the race, the lease only makes races rare.
        """
        row = _lease_row(name, holder, now + LEASE * scale)
        with contextlib.suppress(Changed):
            return Lease(name, holder, await self._insert(row))
        found = await self._find("lease", name)
        if found is not None and datetime.fromisoformat(found["until"]) + LEASE_MARGIN * scale > now:
            return None
        with contextlib.suppress(Changed):
            etag = await (self._insert(row) if found is None else self._replace(row, etag_of(found)))
            return Lease(name, holder, etag)
        return None

    async def renew_lease(self, lease: Lease, now: datetime, scale: float) -> Lease:
        """Hold it for another 60 s (times `scale`); raises `Changed` where another has taken it."""
        row = _lease_row(lease.name, lease.holder, now + LEASE * scale)
        return replace(lease, etag=await self._replace(row, lease.etag))

    async def release_lease(self, lease: Lease) -> None:
        """Give the right back; one that another has taken stays."""
        await self._delete("lease", lease.name, lease.etag)


def _lease_row(name: str, holder: str, until: datetime) -> dict[str, Any]:
    return {"PartitionKey": "lease", "RowKey": name, "holder": holder, "until": until.isoformat()}
