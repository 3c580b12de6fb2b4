"""What was said about people, and the deliveries that were refused."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from clients.ledger.table import FAR, Changed, Table, etag_of, read, row_of
from sso.decision import Losing
from sso.hr import Timeline
from sso.model import AppRoleId, ObjectId, key_from_row

REFUSED_KEPT = timedelta(days=1)  # how far back refused deliveries are counted
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class PersonRow:
    """One person's facts, and since when each access is lost that a grace still keeps ({vendor}:{instance}, role)."""

    person: ObjectId
    timeline: Timeline = field(default_factory=Timeline)
    losing: tuple[tuple[str, str, datetime], ...] = ()
    etag: str | None = field(default=None, compare=False)

    @property
    def lost(self) -> Losing:
        """Since when each access is lost, by application and role."""
        return {(key_from_row(key), AppRoleId(role)): since for key, role, since in self.losing}

    def with_lost(self, losing: Losing) -> "PersonRow":
        """The row with other such."""
        return replace(self, losing=tuple((key.row, str(role), since) for (key, role), since in sorted(losing.items())))


PERSON = TypeAdapter(PersonRow)


class PersonRows(Table):
    """The rows of people."""

    async def person(self, person: ObjectId) -> PersonRow:
        """What is kept of somebody; an empty row where nothing is."""
        row = await self._find("person", person)
        return PersonRow(person) if row is None else replace(read(PERSON, row), etag=etag_of(row))

    async def put_person(self, person: PersonRow) -> PersonRow:
        """Write a person's row, a new one or one that was read; raises `Changed` when somebody else wrote it."""
        row = row_of("person", person.person, PERSON, person)
        written = await (self._replace(row, person.etag) if person.etag else self._insert(row))
        return replace(person, etag=written)

    async def persons(self) -> Mapping[ObjectId, PersonRow]:
        """What is kept of everybody of whom anything is."""
        found: dict[ObjectId, PersonRow] = {}
        async for row in self._query("PartitionKey eq 'person'", {}):
            kept: PersonRow = read(PERSON, row)
            found[kept.person] = replace(kept, etag=etag_of(row))
        return found

    async def count_refused(self, sender: str, why: str, now: datetime) -> None:
        """Count a delivery that was not taken, by sender, reason and hour: strangers must not fill the table."""
        left = FAR - int(now.replace(minute=0, second=0, microsecond=0).timestamp() * 1000)
        name = f"{left:013d}:{sender}:{why}"
        with contextlib.suppress(Changed):  # as many again at the same moment: one of them is counted
            found = await self._find("refused", name)
            entry = {"PartitionKey": "refused", "RowKey": name, "sender": sender, "why": why, "last": now.isoformat()}
            if found is None:
                await self._insert({**entry, "count": 1})
            else:
                await self._replace({**entry, "count": int(found["count"]) + 1}, etag_of(found))

    async def refused(self, now: datetime) -> Mapping[str, int]:
        """How many deliveries of the last day were not taken, by sender and reason."""
        oldest = FAR - int((now - REFUSED_KEPT - HOUR).timestamp() * 1000)
        counts: dict[str, int] = {}
        query = "PartitionKey eq 'refused' and RowKey lt @oldest"
        async for row in self._query(query, {"oldest": f"{oldest:013d}"}):
            name = f"{row['sender']}: {row['why']}"
            counts[name] = counts.get(name, 0) + int(row["count"])
        return counts
