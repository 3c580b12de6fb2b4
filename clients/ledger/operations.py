"""Operations, their batches, and which of them a repeated request belongs to."""

import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from clients.ledger.table import FAR, Changed, Table, etag_of, instant, read, row_of
from sso.assignment import Batch
from sso.model import Key, OperationId
from sso.operation import Kind, Operation, State

PAGE_OF_OPERATIONS = 50

_OPERATION = TypeAdapter(Operation)
_BATCH = TypeAdapter(Batch)


@dataclass(frozen=True)
class Repeat:
    """Which operation a repeated request belongs to."""

    operation: OperationId
    body_hash: str
    at: datetime


_REPEAT = TypeAdapter(Repeat)


class OperationRows(Table):
    """The rows of operations."""

    async def add_operation(self, operation: Operation) -> Operation:
        """Write a new operation."""
        row = row_of("operation", operation.id, _OPERATION, operation) | _index(operation)
        return replace(operation, etag=await self._insert(row))

    async def find_operation(self, operation: OperationId) -> Operation | None:
        """Read one operation."""
        row = await self._find("operation", operation)
        return None if row is None else replace(read(_OPERATION, row), etag=etag_of(row))

    async def replace_operation(self, operation: Operation) -> Operation:
        """Write an operation that was read; raises `Changed` when somebody else wrote it meanwhile."""
        row = row_of("operation", operation.id, _OPERATION, operation) | _index(operation)
        return replace(operation, etag=await self._replace(row, operation.etag))

    async def operations(
        self, *, state: State | None = None, vendor: str | None = None, after: str | None = None
    ) -> tuple[list[Operation], str | None]:
        """A page of operations, newest first, and where the next page begins."""
        query, parameters = "PartitionKey eq 'operation' and RowKey gt @after", {"after": after or ""}
        for name, value in (("state", state), ("vendor", vendor)):
            if value:
                query += f" and {name} eq @{name}"
                parameters[name] = value
        found = []
        async for row in self._query(query, parameters):
            found.append(read(_OPERATION, row))
            if len(found) > PAGE_OF_OPERATIONS:
                return found[:-1], found[-2].id
        return found, None

    async def left_over(self, before: datetime, failed_since: datetime) -> AsyncIterator[Operation]:
        """What runs that died may have left: whose time passed before this moment, or who failed and told nobody."""
        # The SDK finds a parameter between blanks only.
        query = (
            "PartitionKey eq 'operation' and ( ( unfinished eq true and not_before lt @before )"
            " or ( to_tell eq true and changed ge @since and changed lt @before ) )"
        )
        async for row in self._query(query, {"before": instant(before), "since": instant(failed_since)}):
            yield replace(read(_OPERATION, row), etag=etag_of(row))

    async def unfinished_of(self, key: Key) -> list[Operation]:
        """The unfinished operations of a key, newest first."""
        query = "PartitionKey eq 'operation' and unfinished eq true and key eq @key"
        return [read(_OPERATION, row) async for row in self._query(query, {"key": key.row})]

    async def unfinished(self) -> AsyncIterator[Operation]:
        """Every unfinished operation, newest first."""
        async for row in self._query("PartitionKey eq 'operation' and unfinished eq true", {}):
            yield read(_OPERATION, row)

    async def failed_since(self, moment: datetime) -> AsyncIterator[Operation]:
        """The operations that failed since a moment, newest first."""
        query = "PartitionKey eq 'operation' and state eq 'failed' and changed ge @since"
        async for row in self._query(query, {"since": instant(moment)}):
            yield read(_OPERATION, row)

    async def newest_of(self, key: Key | None, kind: Kind) -> Operation | None:
        """The newest operation of one kind of a key, or of none; finished or not."""
        query = "PartitionKey eq 'operation' and kind eq @kind and key eq @key"
        async for row in self._query(query, {"kind": kind, "key": key.row if key else ""}):
            found: Operation = read(_OPERATION, row)
            return replace(found, etag=etag_of(row))
        return None

    async def done_since(self, moment: datetime, kind: Kind) -> AsyncIterator[Operation]:
        """The operations of one kind that ended well since a moment, newest first."""
        query = "PartitionKey eq 'operation' and kind eq @kind and state eq 'done' and changed ge @since"
        async for row in self._query(query, {"kind": kind, "since": instant(moment)}):
            yield read(_OPERATION, row)

    async def waiting(self) -> dict[str, str]:
        """What the newest unfinished operation of each key waits for."""
        found: dict[str, str] = {}
        async for operation in self.unfinished():
            if operation.key and operation.waiting_for:
                found.setdefault(operation.key.row, operation.waiting_for.what)
        return found

    async def find_repeat(self, name: str) -> Repeat | None:
        """The operation that a header or ticket (its `repeat_name`) stands for."""
        row = await self._find("idempotency", name)
        return None if row is None else read(_REPEAT, row)

    async def claim(self, name: str, operation: OperationId, now: datetime) -> OperationId:
        """Claim that an operation is opened under this name, once; returns the id of the one that was first."""
        try:
            await self._insert(_repeat_row(name, Repeat(operation, "", now)))
        except Changed:
            first = await self.find_repeat(name)
            return first.operation if first else operation
        return operation

    async def put_repeat(self, name: str, repeat: Repeat) -> None:
        """Note which operation a header or ticket stands for."""
        await self._upsert(_repeat_row(name, repeat))

    async def claim_repeat(self, name: str, repeat: Repeat) -> Repeat:
        """Note which operation something stands for, unless somebody was first; returns what is noted."""
        try:
            await self._insert(_repeat_row(name, repeat))
        except Changed:
            return await self.find_repeat(name) or repeat
        return repeat

    async def put_batch(self, operation: OperationId, batch: Batch) -> Batch:
        """Write a batch: a new one (no ETag), or one that was read; raises `Changed`."""
        row = row_of(f"batch:{operation}", f"{batch.number:04d}", _BATCH, batch) | {"open": bool(batch.open)}
        written = await (self._replace(row, batch.etag) if batch.etag else self._insert(row))
        return replace(batch, etag=written)

    async def find_batch(self, operation: OperationId, number: int) -> Batch | None:
        """Read one batch."""
        row = await self._find(f"batch:{operation}", f"{number:04d}")
        return None if row is None else replace(read(_BATCH, row), etag=etag_of(row))

    async def has_open_batches(self, operation: OperationId) -> bool:
        """Whether anything of an operation's batches is neither made nor refused."""
        query = "PartitionKey eq @partition and open eq true"
        async for _ in self._query(query, {"partition": f"batch:{operation}"}, select=["RowKey"]):
            return True
        return False

    async def batches(self, operation: OperationId) -> tuple[Batch, ...]:
        """Every batch of an operation, in order."""
        query = "PartitionKey eq @partition"
        rows = [row async for row in self._query(query, {"partition": f"batch:{operation}"})]
        return tuple(replace(read(_BATCH, row), etag=etag_of(row)) for row in rows)


def new_operation_id(now: datetime) -> OperationId:
    """A new operation's id, smaller than every older one."""
    return OperationId(f"{FAR - int(now.timestamp() * 1000):013d}-{secrets.token_hex(4)}")


def repeat_name(*parts: str) -> str:
    """The row key under which a header or ticket is found."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def body_hash(body: object) -> str:
    """What tells two bodies apart, whatever the order of their members."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _index(operation: Operation) -> dict[str, Any]:
    """The properties that operations are looked up by."""
    return {
        "state": operation.state,
        "kind": operation.kind,
        "vendor": operation.key.vendor if operation.key else "",
        "key": operation.key.row if operation.key else "",
        "unfinished": not operation.finished,
        "not_before": instant(operation.not_before),
        "changed": instant(operation.changed),
        "to_tell": operation.state == "failed" and operation.to_tell,
    }


def _repeat_row(name: str, repeat: Repeat) -> dict[str, Any]:
    return row_of("idempotency", name, _REPEAT, repeat) | {"at": instant(repeat.at)}
