"""The table itself: rows of JSON, changed by ETag only."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Self

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

from sso.errors import NotReady

TABLE = "gatehouse"
# Characters of one property: 64 KiB of UTF-16
# (learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model).
CHUNK = 30_000
CHUNKS = 16  # a row holds 1 MiB, two bytes a character
FAR = 10**13  # milliseconds; rows that begin with what is left of it sort newest first until the year 2286


class Changed(Exception):  # it says what happened, not that something is wrong
    """The row changed since it was read, or is there already: read again and decide again."""


class Table:
    """One table of a storage account, made with the first write."""

    def __init__(self, service: TableServiceClient) -> None:
        """Use this account; the table is made with the first write."""
        self._service = service
        self._table = service.get_table_client(TABLE)

    @classmethod
    def connect(cls, connection: str | None, endpoint: str, credential: AsyncTokenCredential, **options: Any) -> Self:
        """Open the table by connection string, or by the identity; `options` are the SDK's own."""
        if connection:
            return cls(TableServiceClient.from_connection_string(connection, **options))
        return cls(TableServiceClient(endpoint, credential=credential, **options))

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()

    async def probe(self) -> None:
        """Make the table if it is not there, to see that the storage answers us."""
        async with explained():
            await self._service.create_table_if_not_exists(TABLE)

    async def _find(self, partition: str, name: str) -> TableEntity | None:
        async with explained():
            try:
                return await self._table.get_entity(partition, name)
            except ResourceNotFoundError:
                return None

    async def _query(
        self, query: str, parameters: Mapping[str, Any], select: list[str] | None = None
    ) -> AsyncIterator[TableEntity]:
        async with explained():
            try:
                async for row in self._table.query_entities(query, parameters=dict(parameters), select=select):
                    yield row
            except ResourceNotFoundError:  # the table is made with the first write
                return

    async def _insert(self, row: Mapping[str, Any]) -> str:
        async with explained():
            try:
                answer = await self._table.create_entity(row)
            except ResourceExistsError:
                raise Changed from None
            except ResourceNotFoundError:
                await self._service.create_table_if_not_exists(TABLE)
                answer = await self._table.create_entity(row)
            return str(answer["etag"])

    async def _upsert(self, row: Mapping[str, Any]) -> None:
        async with explained():
            try:
                await self._table.upsert_entity(row, mode=UpdateMode.REPLACE)
            except ResourceNotFoundError:
                await self._service.create_table_if_not_exists(TABLE)
                await self._table.upsert_entity(row, mode=UpdateMode.REPLACE)

    async def _replace(self, row: Mapping[str, Any], etag: str | None) -> str:
        async with explained():
            try:
                answer = await self._table.update_entity(
                    row, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            except (ResourceModifiedError, ResourceNotFoundError):
                raise Changed from None
            return str(answer["etag"])

    async def _delete(self, partition: str, name: str, etag: str | None = None) -> None:
        """Delete a row; one that is gone, or with an ETag has changed, is left alone."""
        condition = MatchConditions.IfNotModified if etag else None
        async with explained():
            with contextlib.suppress(ResourceNotFoundError, ResourceModifiedError):
                await self._table.delete_entity(partition, name, etag=etag, match_condition=condition)


@asynccontextmanager
async def explained() -> AsyncIterator[None]:
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


def row_of(partition: str, name: str, adapter: TypeAdapter[Any], value: object) -> dict[str, Any]:
    """A row whose value is JSON, cut into properties that the table takes."""
    text = adapter.dump_json(value, exclude={"etag"}).decode()
    chunks = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    if len(chunks) > CHUNKS:
        msg = f"a row of {len(text)} characters does not fit into the ledger"
        raise ValueError(msg)
    return {"PartitionKey": partition, "RowKey": name, **{f"value{n}": chunk for n, chunk in enumerate(chunks)}}


def read(adapter: TypeAdapter[Any], row: Mapping[str, Any]) -> Any:  # whatever the adapter reads
    """The value of a row."""
    return adapter.validate_json("".join(str(row[f"value{n}"]) for n in range(CHUNKS) if f"value{n}" in row))


def instant(moment: datetime) -> str:
    """A moment as a property that is compared: as texts, all in one zone."""
    return moment.astimezone(UTC).isoformat()


def etag_of(row: TableEntity) -> str:
    """The ETag of a row that was read."""
    return str(row.metadata["etag"])
