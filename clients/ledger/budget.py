"""The row of the write budget, which all instances share."""

from dataclasses import replace

from pydantic import TypeAdapter

from clients.ledger.table import Table, etag_of, read, row_of
from sso.budget import Budget

_BUDGET = TypeAdapter(Budget)


class BudgetRows(Table):
    """The one row of the write budget."""

    async def find_budget(self) -> Budget | None:
        """What is reserved; None before the first write."""
        row = await self._find("budget", "writes")
        return None if row is None else replace(read(_BUDGET, row), etag=etag_of(row))

    async def put_budget(self, budget: Budget) -> None:
        """Write what was read and moved on; raises `Changed` where another instance was faster."""
        row = row_of("budget", "writes", _BUDGET, budget)
        await (self._replace(row, budget.etag) if budget.etag else self._insert(row))
