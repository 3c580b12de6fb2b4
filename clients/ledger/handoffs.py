"""Hand-off pages, and who acknowledged which credential."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from clients.ledger.table import Changed, Table, etag_of, read, row_of
from sso.model import Key
from sso.page import Page

PAGE = TypeAdapter(Page)


@dataclass(frozen=True)
class Acknowledgement:
    """Who said that a credential is installed and tested."""

    by: str
    note: str
    at: datetime


ACKNOWLEDGEMENT = TypeAdapter(Acknowledgement)


class HandoffRows(Table):
    """The rows of hand-offs."""

    async def add_page(self, page: Page) -> Page:
        """Write a new page."""
        return replace(page, etag=await self._insert(row_of("page", page.token_hash, PAGE, page) | _page_index(page)))

    async def find_page(self, token_hash: str) -> Page | None:
        """Read the page of a link."""
        row = await self._find("page", token_hash)
        return None if row is None else replace(read(PAGE, row), etag=etag_of(row))

    async def replace_page(self, page: Page) -> Page:
        """Write a page that was read; raises `Changed` when somebody else wrote it meanwhile."""
        row = row_of("page", page.token_hash, PAGE, page) | _page_index(page)
        return replace(page, etag=await self._replace(row, page.etag))

    async def pages(self, key: Key) -> list[Page]:
        """The pages of a key, newest first."""
        query = "PartitionKey eq 'page' and key eq @key"
        rows = [row async for row in self._query(query, {"key": key.row})]
        pages = [replace(read(PAGE, row), etag=etag_of(row)) for row in rows]
        return sorted(pages, key=lambda page: (page.state != "replaced", page.created), reverse=True)

    async def unfinished_pages(self) -> AsyncIterator[Page]:
        """The pages on which something was pressed that nobody has heard of."""
        async for row in self._query("PartitionKey eq 'page' and unfinished eq true", {}):
            yield replace(read(PAGE, row), etag=etag_of(row))

    async def acknowledge(self, key: Key, credential: str, by: str, note: str, now: datetime) -> None:
        """Record that a credential is installed and tested; repeating it changes nothing."""
        row = row_of("acknowledgement", f"{key.row}:{credential}", ACKNOWLEDGEMENT, Acknowledgement(by, note, now))
        try:
            await self._insert(row)
        except Changed:
            return

    async def acknowledgement(self, key: Key, credential: str) -> Acknowledgement | None:
        """Who acknowledged a credential."""
        row = await self._find("acknowledgement", f"{key.row}:{credential}")
        return None if row is None else read(ACKNOWLEDGEMENT, row)


def _page_index(page: Page) -> dict[str, Any]:
    return {"key": page.key.row, "unfinished": page.unfinished}
