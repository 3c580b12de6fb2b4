"""Forgetting: rows whose time to be kept is over are deleted, each only as it was read."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from clients.ledger.handoffs import ACKNOWLEDGEMENT, PAGE, Acknowledgement
from clients.ledger.people import PERSON, PersonRow
from clients.ledger.table import FAR, Changed, Table, etag_of, instant, read, row_of
from sso.retention import is_over, past

LIMIT = 5_000  # rows of one kind a night, so that a first night ends within the host's ten minutes


class RetentionRows(Table):
    """What nobody needs any more."""

    async def forget_operations(self, before: datetime) -> int:
        """Delete finished operations that last changed before, each after its batches; returns how many."""
        query = "PartitionKey eq 'operation' and unfinished eq false and changed lt @before"
        forgotten = 0
        async for row in self._query(query, {"before": instant(before)}, select=["PartitionKey", "RowKey"]):
            if forgotten == LIMIT:
                break
            name = str(row["RowKey"])
            await self._forget("PartitionKey eq @partition", {"partition": f"batch:{name}"})
            await self._delete("operation", name, etag_of(row))
            forgotten += 1
        return forgotten

    async def forget_notes(self, before: datetime) -> int:
        """Delete what was noted before: repeats, messages put aside, refused webhooks, summaries; returns how many."""
        oldest = FAR - int(before.timestamp() * 1000)
        queries: tuple[tuple[str, Mapping[str, str]], ...] = (
            ("PartitionKey eq 'idempotency' and at lt @before", {"before": instant(before)}),
            ("PartitionKey eq 'unreadable' and RowKey gt @oldest", {"oldest": f"{oldest:013d}~"}),
            ("PartitionKey eq 'refused' and RowKey gt @oldest", {"oldest": f"{oldest:013d}~"}),
            ("PartitionKey eq 'summary' and RowKey lt @before", {"before": f"{before:%Y-%m-%d}"}),
        )
        return sum([await self._forget(query, parameters) for query, parameters in queries])

    async def forget_pages(self, before: datetime, managed: Collection[str]) -> int:
        """Delete pages that were replaced, or whose key (`Key.row`) is no longer managed; returns how many."""

        def over(row: Mapping[str, Any]) -> bool:
            return is_over(read(PAGE, row), before, managed=str(row["key"]) in managed)

        return await self._forget("PartitionKey eq 'page'", {}, over)

    async def forget_people(self, before: datetime) -> int:
        """Take names and attributes out of what is still needed: who acknowledged, and who has left."""
        forgotten = 0
        async for row in self._query("PartitionKey eq 'acknowledgement'", {}):
            said: Acknowledgement = read(ACKNOWLEDGEMENT, row)
            if said.at < before and said.by:
                bare = row_of("acknowledgement", str(row["RowKey"]), ACKNOWLEDGEMENT, replace(said, by="", note=""))
                forgotten += await self._shrink(bare, etag_of(row))
        async for row in self._query("PartitionKey eq 'person'", {}):
            kept: PersonRow = read(PERSON, row)
            timeline = past(kept.timeline, kept.person, before)
            if timeline != kept.timeline:
                bare = row_of("person", kept.person, PERSON, replace(kept, timeline=timeline, losing=()))
                forgotten += await self._shrink(bare, etag_of(row))
        return forgotten

    async def _forget(
        self, query: str, parameters: Mapping[str, Any], over: Callable[[Mapping[str, Any]], bool] = lambda _: True
    ) -> int:
        forgotten = 0
        async for row in self._query(query, parameters):
            if forgotten == LIMIT:
                break
            if over(row):
                await self._delete(str(row["PartitionKey"]), str(row["RowKey"]), etag_of(row))
                forgotten += 1
        return forgotten

    async def _shrink(self, row: Mapping[str, Any], etag: str) -> bool:
        try:
            await self._replace(row, etag)
        except Changed:  # somebody is at it, so it is not past
            return False
        return True
