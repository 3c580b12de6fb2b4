"""What keeps runs apart, calls single, removals few: leases, intents, brakes; and messages that nobody could read."""

import base64
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


_INTENT = TypeAdapter(Intent)
_BRAKE = TypeAdapter(Brake)


class SafetyRows(Table):
    """The rows of leases, intents, brakes and unreadable messages."""

    async def find_intent(self, key: Key, call: str) -> Intent | None:
        """The intent of a call that may have been made."""
        row = await self._find(f"intent:{key.row}", call)
        return None if row is None else read(_INTENT, row)

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

    async def lease(self, key: Key, holder: str, now: datetime, scale: float) -> bool:
        """Take or renew the right to write to one key for 60 s (times `scale`); False while another holds it.

        There is no fencing in Graph: every write is safe to lose the race, the lease only makes races rare.
        """
        until = now + LEASE * scale
        row = {"PartitionKey": "lease", "RowKey": key.row, "holder": holder, "until": until.isoformat()}
        found = await self._find("lease", key.row)
        try:
            if found is None:
                await self._insert(row)
            elif datetime.fromisoformat(found["until"]) + LEASE_MARGIN * scale > now and found["holder"] != holder:
                return False
            else:
                await self._replace(row, etag_of(found))
        except Changed:
            return False
        return True

    async def release(self, key: Key, holder: str) -> None:
        """Give the right back."""
        found = await self._find("lease", key.row)
        if found and found["holder"] == holder:
            await self._delete("lease", key.row, etag_of(found))
