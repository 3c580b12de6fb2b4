"""Which night's summary was mailed, and who is at it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from clients.ledger.table import Changed, Table, etag_of, read, row_of


@dataclass(frozen=True)
class Claim:
    """One run that mails the summary of one day."""

    day: str
    begun: datetime
    mailed: datetime | None = None
    etag: str | None = None


_CLAIM = TypeAdapter(Claim)


class SummaryRows(Table):
    """The rows of nightly summaries."""

    async def claim_summary(self, day: str, now: datetime, dead: timedelta) -> Claim | None:
        """Take a day's summary on; None where it was mailed, or another run began it less than `dead` ago."""
        claim = Claim(day, now)
        try:
            return replace(claim, etag=await self._insert(_row(claim)))
        except Changed:
            found = await self._find("summary", day)
        before: Claim | None = read(_CLAIM, found) if found else None
        if found is None or before is None or before.mailed or now - before.begun < dead:
            return None
        try:
            return replace(claim, etag=await self._replace(_row(claim), etag_of(found)))
        except Changed:
            return None

    async def summary_mailed(self, claim: Claim, now: datetime) -> None:
        """Note that a summary was taken for delivery."""
        await self._upsert(_row(replace(claim, mailed=now)))

    async def unmailed_summary(self, since: str) -> str | None:
        """The newest day, from this one on, whose summary was begun and not mailed."""
        query = "PartitionKey eq 'summary' and RowKey ge @since and mailed eq false"
        return max([str(row["RowKey"]) async for row in self._query(query, {"since": since})], default=None)


def _row(claim: Claim) -> dict[str, object]:
    return row_of("summary", claim.day, _CLAIM, claim) | {"mailed": claim.mailed is not None}
