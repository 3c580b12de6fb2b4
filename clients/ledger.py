"""The ledger: what the tenant has no place for, in one Azure table.

    partition           row key                          what
    operation           inverted time and a random part  one operation; newest first by itself
    batch:{operation}   0001                             up to 20 principals and what became of each
    idempotency         hash of header or ticket         which operation a repeat belongs to
    intent:{key}        call                             a non-idempotent call that may have been made
    page                SHA-256 of the link's token      a hand-off's page
    acknowledgement     key and credential               who said that a credential is in use
    unreadable          queue and message id             a message that no operation could be made of
    lease               key                              one writer per application at a time

Losing it may make Gatehouse wait, ask again or mail again; it never makes it retire or remove anything. Rows change by
ETag only; `Changed` says that somebody else was first. No row holds a secret.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableEntity, UpdateMode
from azure.data.tables.aio import TableServiceClient
from pydantic import TypeAdapter

from sso.assignment import Batch
from sso.errors import NotReady
from sso.handoff import Page
from sso.model import Key, OperationId
from sso.operation import Operation, State

TABLE = "gatehouse"
# Characters of one property: 64 KiB of UTF-16
# (learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model).
CHUNK = 30_000
CHUNKS = 12  # a row holds 1 MiB
FAR = 10**13  # milliseconds; operations sort newest first until the year 2286
LEASE = timedelta(seconds=60)
LEASE_MARGIN = timedelta(seconds=5)
PAGE_OF_OPERATIONS = 50

_OPERATION = TypeAdapter(Operation)
_BATCH = TypeAdapter(Batch)
_PAGE = TypeAdapter(Page)


class Changed(Exception):  # it says what happened, not that something is wrong
    """The row changed since it was read, or is there already: read again and decide again."""


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


@dataclass(frozen=True)
class Acknowledgement:
    """Who said that a credential is installed and tested."""

    by: str
    note: str
    at: datetime


@dataclass(frozen=True)
class Repeat:
    """Which operation a repeated request belongs to."""

    operation: OperationId
    body_hash: str
    at: datetime


def new_operation_id(now: datetime) -> OperationId:
    """A new operation's id, smaller than every older one."""
    return OperationId(f"{FAR - int(now.timestamp() * 1000):013d}-{secrets.token_hex(4)}")


class Ledger:
    """The table of one storage account."""

    def __init__(self, service: TableServiceClient) -> None:
        """Use this account; the table is made with the first write."""
        self._service = service
        self._table = service.get_table_client(TABLE)

    @classmethod
    def connect(cls, connection: str | None, endpoint: str, credential: AsyncTokenCredential) -> "Ledger":
        """Open the table by connection string, or by the identity."""
        if connection:
            return cls(TableServiceClient.from_connection_string(connection))
        return cls(TableServiceClient(endpoint, credential=credential))

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()

    async def probe(self) -> None:
        """Make the table if it is not there, to see that the storage answers us."""
        async with _explained():
            await self._service.create_table_if_not_exists(TABLE)

    # Operations

    async def add_operation(self, operation: Operation) -> Operation:
        """Write a new operation."""
        row = _row("operation", operation.id, _OPERATION, operation) | _index(operation)
        return replace(operation, etag=await self._insert(row))

    async def find_operation(self, operation: OperationId) -> Operation | None:
        """Read one operation."""
        row = await self._find("operation", operation)
        return None if row is None else replace(_read(_OPERATION, row), etag=_etag(row))

    async def replace_operation(self, operation: Operation) -> Operation:
        """Write an operation that was read; raises `Changed` when somebody else wrote it meanwhile."""
        row = _row("operation", operation.id, _OPERATION, operation) | _index(operation)
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
            found.append(_read(_OPERATION, row))
            if len(found) > PAGE_OF_OPERATIONS:
                return found[:-1], found[-2].id
        return found, None

    async def due_operations(self, before: datetime) -> AsyncIterator[Operation]:
        """Unfinished operations whose `not_before` passed before this moment."""
        query = "PartitionKey eq 'operation' and unfinished eq true and not_before lt @before"
        async for row in self._query(query, {"before": before.astimezone(UTC).isoformat()}):
            yield replace(_read(_OPERATION, row), etag=_etag(row))

    async def unfinished_of(self, key: Key) -> list[Operation]:
        """The unfinished operations of a key, newest first."""
        query = "PartitionKey eq 'operation' and unfinished eq true and key eq @key"
        return [_read(_OPERATION, row) async for row in self._query(query, {"key": key.row})]

    async def waiting(self) -> dict[str, str]:
        """What the newest unfinished operation of each key waits for."""
        found: dict[str, str] = {}
        async for row in self._query("PartitionKey eq 'operation' and unfinished eq true", {}):
            operation = _read(_OPERATION, row)
            if operation.key and operation.waiting_for:
                found.setdefault(operation.key.row, operation.waiting_for.what)
        return found

    # Which operation a repeat belongs to

    async def find_repeat(self, name: str) -> Repeat | None:
        """The operation that a header or ticket (its `repeat_name`) stands for."""
        row = await self._find("idempotency", name)
        return None if row is None else _read(TypeAdapter(Repeat), row)

    async def put_repeat(self, name: str, repeat: Repeat) -> None:
        """Note which operation a header or ticket stands for."""
        await self._upsert(_row("idempotency", name, TypeAdapter(Repeat), repeat))

    # Batches

    async def put_batch(self, operation: OperationId, batch: Batch) -> Batch:
        """Write a batch: a new one (no ETag), or one that was read; raises `Changed`."""
        row = _row(f"batch:{operation}", f"{batch.number:04d}", _BATCH, batch)
        written = await (self._replace(row, batch.etag) if batch.etag else self._insert(row))
        return replace(batch, etag=written)

    async def batches(self, operation: OperationId) -> tuple[Batch, ...]:
        """Every batch of an operation, in order."""
        query = "PartitionKey eq @partition"
        rows = [row async for row in self._query(query, {"partition": f"batch:{operation}"})]
        return tuple(replace(_read(_BATCH, row), etag=_etag(row)) for row in rows)

    # Intents

    async def find_intent(self, key: Key, call: str) -> Intent | None:
        """The intent of a call that may have been made."""
        row = await self._find(f"intent:{key.row}", call)
        return None if row is None else _read(_INTENT, row)

    async def put_intent(self, key: Key, intent: Intent) -> None:
        """Note that a call is about to be made, or what became of looking for it."""
        await self._upsert(_row(f"intent:{key.row}", intent.call, _INTENT, intent))

    async def close_intent(self, key: Key, call: str) -> None:
        """The call was answered; gone already is success."""
        async with _explained():
            try:
                await self._table.delete_entity(f"intent:{key.row}", call)
            except ResourceNotFoundError:
                return

    # Pages and acknowledgements

    async def add_page(self, page: Page) -> Page:
        """Write a new page."""
        return replace(page, etag=await self._insert(_row("page", page.token_hash, _PAGE, page) | _page_index(page)))

    async def find_page(self, token_hash: str) -> Page | None:
        """Read the page of a link."""
        row = await self._find("page", token_hash)
        return None if row is None else replace(_read(_PAGE, row), etag=_etag(row))

    async def replace_page(self, page: Page) -> Page:
        """Write a page that was read; raises `Changed` when somebody else wrote it meanwhile."""
        row = _row("page", page.token_hash, _PAGE, page) | _page_index(page)
        return replace(page, etag=await self._replace(row, page.etag))

    async def pages(self, key: Key) -> list[Page]:
        """The pages of a key, newest first."""
        query = "PartitionKey eq 'page' and key eq @key"
        rows = [row async for row in self._query(query, {"key": key.row})]
        pages = [replace(_read(_PAGE, row), etag=_etag(row)) for row in rows]
        return sorted(pages, key=lambda page: (page.state != "replaced", page.created), reverse=True)

    async def pages_with_untold_lock(self) -> AsyncIterator[Page]:
        """The locked pages whose owner was not told of it."""
        async for row in self._query("PartitionKey eq 'page' and lock_untold eq true", {}):
            yield replace(_read(_PAGE, row), etag=_etag(row))

    async def acknowledge(self, key: Key, credential: str, by: str, note: str, now: datetime) -> None:
        """Record that a credential is installed and tested; repeating it changes nothing."""
        row = _row(
            "acknowledgement", f"{key.row}:{credential}", TypeAdapter(Acknowledgement), Acknowledgement(by, note, now)
        )
        try:
            await self._insert(row)
        except Changed:
            return

    async def acknowledgement(self, key: Key, credential: str) -> Acknowledgement | None:
        """Who acknowledged a credential."""
        row = await self._find("acknowledgement", f"{key.row}:{credential}")
        return None if row is None else _read(TypeAdapter(Acknowledgement), row)

    # Messages that no operation could be made of

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

    # Leases

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
                await self._replace(row, _etag(found))
        except Changed:
            return False
        return True

    async def release(self, key: Key, holder: str) -> None:
        """Give the right back."""
        found = await self._find("lease", key.row)
        if found and found["holder"] == holder:
            async with _explained():
                try:
                    await self._table.delete_entity(
                        "lease", key.row, etag=_etag(found), match_condition=MatchConditions.IfNotModified
                    )
                except (ResourceNotFoundError, ResourceModifiedError):
                    return

    # How

    async def _find(self, partition: str, name: str) -> TableEntity | None:
        async with _explained():
            try:
                return await self._table.get_entity(partition, name)
            except ResourceNotFoundError:
                return None

    async def _query(self, query: str, parameters: Mapping[str, Any]) -> AsyncIterator[TableEntity]:
        async with _explained():
            try:
                async for row in self._table.query_entities(query, parameters=dict(parameters)):
                    yield row
            except ResourceNotFoundError:  # the table is made with the first write
                return

    async def _insert(self, row: Mapping[str, Any]) -> str:
        async with _explained():
            try:
                answer = await self._table.create_entity(row)
            except ResourceExistsError:
                raise Changed from None
            except ResourceNotFoundError:
                await self._service.create_table_if_not_exists(TABLE)
                answer = await self._table.create_entity(row)
            return str(answer["etag"])

    async def _upsert(self, row: Mapping[str, Any]) -> None:
        async with _explained():
            try:
                await self._table.upsert_entity(row, mode=UpdateMode.REPLACE)
            except ResourceNotFoundError:
                await self._service.create_table_if_not_exists(TABLE)
                await self._table.upsert_entity(row, mode=UpdateMode.REPLACE)

    async def _replace(self, row: Mapping[str, Any], etag: str | None) -> str:
        async with _explained():
            try:
                answer = await self._table.update_entity(
                    row, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            except (ResourceModifiedError, ResourceNotFoundError):
                raise Changed from None
            return str(answer["etag"])


@asynccontextmanager
async def _explained() -> AsyncIterator[None]:
    """Turn the storage's failures into ours; what the callers handle themselves passes."""
    try:
        yield
    except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
        raise
    except HttpResponseError as error:
        msg = f"The ledger's table refused a call ({error.status_code} {error.error and error.error.code})."
        raise NotReady(msg, retry_after=30) from None
    except AzureError as error:
        msg = f"The ledger's table did not answer ({type(error).__name__})."
        raise NotReady(msg, retry_after=30) from None


def repeat_name(*parts: str) -> str:
    """The row key under which a header or ticket is found."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def body_hash(body: object) -> str:
    """What tells two bodies apart, whatever the order of their members."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _row(partition: str, name: str, adapter: TypeAdapter[Any], value: object) -> dict[str, Any]:
    """A row whose value is JSON, cut into properties that the table takes."""
    text = adapter.dump_json(value, exclude={"etag"}).decode()
    chunks = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    if len(chunks) > CHUNKS:
        msg = f"a row of {len(text)} characters does not fit into the ledger"
        raise ValueError(msg)
    return {"PartitionKey": partition, "RowKey": name, **{f"value{n}": chunk for n, chunk in enumerate(chunks)}}


def _read(adapter: TypeAdapter[Any], row: Mapping[str, Any]) -> Any:  # whatever the adapter reads
    return adapter.validate_json("".join(str(row[f"value{n}"]) for n in range(CHUNKS) if f"value{n}" in row))


def _etag(row: TableEntity) -> str:
    return str(row.metadata["etag"])


def _index(operation: Operation) -> dict[str, Any]:
    """The properties that operations are looked up by."""
    return {
        "state": operation.state,
        "vendor": operation.key.vendor if operation.key else "",
        "key": operation.key.row if operation.key else "",
        "unfinished": not operation.finished,
        "not_before": operation.not_before.astimezone(UTC).isoformat(),
    }


def _page_index(page: Page) -> dict[str, Any]:
    return {"key": page.key.row, "lock_untold": page.lock_untold}
