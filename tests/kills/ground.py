"""The ground on which stories are cut: a calm, fast tenant, a host that can be killed, and what happened to both."""

import asyncio
import contextlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables.aio import TableClient, TableServiceClient
from azure.storage.queue.aio import QueueServiceClient

from sandbox.up import State, running_sandbox
from tests.kills.nursery import Host, Nursery
from tests.watching import watched
from tests.world import Reply, World

SEED = int(os.environ.get("GATEHOUSE_SEED", "1"))
SOAK = os.environ.get("GATEHOUSE_SOAK") == "1"
# A minute of the app's patience is 0.6 s: leases and pauses are over soon, and a busy machine's hiccup is no outage.
RATE = 100.0
SETTLE = 30.0  # seconds of the wall, after which what still moves is a failure
SWEEP_AGE = timedelta(minutes=2)  # of the app: how long the time of what lies still must have passed
LOOK = 0.06  # seconds of the wall between two looks, which take the machine from what is looked at
STILL = 0.4  # seconds of the wall without a change, after which the sweep's timer may as well run
NEVER = "0 0 4 1 1 *"  # timers are called by hand, so that no call of theirs moves the count of a story's calls
TIMERS = (
    "GATEHOUSE_SWEEP_SCHEDULE",
    "GATEHOUSE_ROTATION_SCHEDULE",
    "GATEHOUSE_SUMMARY_SCHEDULE",
    "GATEHOUSE_RECONCILE_SCHEDULE",
)
RULES = Path(__file__).with_name("entitlements.toml")
RESTING = {None, "acknowledgement", "parameters", "permission", "consent"}


@dataclass(frozen=True)
class Kept:
    """The seed, and the ledger where a long way from it came to rest; the sandbox keeps the rest."""

    seed: dict[str, Any]
    rows: Sequence[Mapping[str, Any]]


class Ground(World):
    """A world whose host dies and is born again."""

    def __init__(self, state: State, session: aiohttp.ClientSession, tls: ssl.SSLContext, log: Path) -> None:
        super().__init__(state, session, tls, log)
        self.nursery: Nursery
        self.hosts: list[Host] = []
        self._kept: dict[str, Kept] = {}
        self.tables: TableServiceClient
        self.queues: QueueServiceClient

    async def new_host(self) -> None:
        """Kill whatever hosts run and start one at the address that stands in mails."""
        await self.kill()
        self.hosts = [await self.nursery.start(self.state.host)]

    async def another_host(self) -> Host:
        """Start one more, at an address of its own, on the same queues."""
        self.hosts.append(await self.nursery.start())
        return self.hosts[-1]

    async def kill(self) -> None:
        """Kill every host."""
        for host in self.hosts:
            await host.kill()
        self.hosts = []

    async def forget_storage(self) -> None:
        """Take the table and the queues away, as they are before the first request ever."""
        for table in [table.name async for table in self.tables.list_tables()]:
            await self.tables.delete_table(table)
        for queue in [queue.name async for queue in self.queues.list_queues()]:
            await self.queues.delete_queue(queue)

    async def afresh(self) -> None:
        """Everything at its seed, and a host that has done nothing yet."""
        await self.kill()
        await self.reset()
        await self.new_host()

    async def where_it_begins(self, name: str, go_there: Callable[[], Awaitable[None]]) -> dict[str, Any]:
        """Go a long way from the seed, the first time, and later begin where that came to rest; returns the seed."""
        if name not in self._kept:
            await self.afresh()
            seed = await self.dump()
            await go_there()
            await self.kill()
            await self.control("PUT", f"/kept/{name}")
            self._kept[name] = Kept(seed, [row async for row in self._table.list_entities()])
        await self.kill()
        await self.reset(name)
        await asyncio.gather(*(self._table.upsert_entity(row) for row in self._kept[name].rows))
        await self.new_host()
        return self._kept[name].seed

    @property
    def _table(self) -> TableClient:
        return self.tables.get_table_client("gatehouse")

    async def faults(self, plan: Sequence[dict[str, Any]]) -> None:
        """Follow another plan, and release what the last one holds."""
        await self.control("PUT", "/faults", list(plan))

    async def hits(self) -> list[dict[str, Any]]:
        """Which calls met something."""
        return list((await self.control("GET", "/faults"))["hits"])

    async def parked(self, since: int) -> dict[str, Any] | None:
        """The call that is held now."""
        if not await self.hits():
            return None
        return next((call for call in await self.calls(since) if call["status"] is None), None)

    async def operations(self) -> list[dict[str, Any]]:
        """Every operation, read past the app: reading by its API would move the count of its calls."""
        return [await self._value(row) for row in await self.rows("operation")]

    async def rows(self, partition: str) -> list[dict[str, Any]]:
        """The rows of one partition of the ledger."""
        try:
            return [dict(row) async for row in self._table.query_entities(f"PartitionKey eq '{partition}'")]
        except ResourceNotFoundError:
            return []

    async def is_quiet(self) -> bool:
        """Whether every operation rests, and no run holds a lease: a dead one's is over by itself."""
        operations = await self.operations()
        if not operations or not all(map(rests, operations)):
            return False
        now = datetime.now(UTC)
        return all(datetime.fromisoformat(lease["until"]) < now for lease in await self.rows("lease"))

    async def come_to_rest(self, *, sweep: bool, within: float = SETTLE) -> None:
        """Wait until everything rests; with `sweep`, the timer that takes up what lies still runs meanwhile."""
        loop = asyncio.get_running_loop()
        if sweep and not await self.is_quiet():
            await self.sweep()
        seen: list[str] = []
        moved = loop.time()
        async with asyncio.timeout(within):
            while not await self.is_quiet():
                rows = [str(row["value0"]) for row in await self.rows("operation")]
                if rows != seen:
                    seen, moved = rows, loop.time()
                elif sweep and loop.time() - moved > STILL:
                    await self.sweep()
                    moved = loop.time()
                await asyncio.sleep(LOOK)

    async def make_overdue(self) -> None:
        """Let the sweep's two minutes have passed for what was to be done, while no host runs."""
        batches = [f"batch:{operation['id']}" for operation in await self.operations()]
        for partition in ("operation", *batches):
            await self.age(partition, SWEEP_AGE / RATE, "not_before")

    async def age(self, partition: str, span: timedelta, *fields: str) -> None:
        """Let so much time have passed since these moments of every row."""

        def older(value: dict[str, Any]) -> dict[str, Any]:
            return {
                name: (datetime.fromisoformat(value[name]) - span).isoformat() for name in fields if value.get(name)
            }

        await self.amend(partition, older)

    async def amend(self, partition: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Write into every row of a partition what the change of its value says."""
        for row in await self.rows(partition):
            value = await self._value(row)
            changed = change(value)
            beside = {name: entry for name, entry in changed.items() if name in row}
            await self._table.update_entity({**row, **beside, "value0": json.dumps({**value, **changed})})

    async def sweep(self) -> None:
        """Let the timer run now."""
        await self.call("POST", f"{self.state.host}/admin/functions/sweep", {})

    async def call(self, method: str, url: str, body: Any = None, **options: Any) -> Reply:
        """Call any address of this machine."""
        return await self._call(method, url, body, **options)

    @staticmethod
    async def _value(row: dict[str, Any]) -> dict[str, Any]:
        return dict(json.loads("".join(row[name] for name in sorted(row, key=_place) if name.startswith("value"))))


def _place(name: str) -> int:
    return int(name.removeprefix("value") or 0) if name.startswith("value") else -1


def rests(operation: dict[str, Any]) -> bool:
    """Whether an operation has ended, or waits for a person or for days to pass."""
    if operation["state"] in {"done", "failed"}:
        return True
    waiting = operation["waiting_for"] or {}
    # An offboarding waits for its days; for whatever is shorter it waits for the tenant.
    if operation["kind"] == "offboarding" and waiting.get("what") == "time":
        return bool(waiting["whom"] != "the tenant")
    rests_for = waiting.get("what") in RESTING - {None} or waiting.get("whom") in {"the overlap", "a grace"}
    return operation["state"] == "waiting" and rests_for


@contextlib.asynccontextmanager
async def open_ground(log: Path, *, rate: float = RATE) -> AsyncIterator[Ground]:
    """A calm sandbox at speed, with a nursery of hosts."""
    async with running_sandbox(seed=SEED, calm=True, host=False, rate=rate, log=log) as state:
        tls = ssl.create_default_context(cafile=state.env["SSL_CERT_FILE"])
        connector = aiohttp.TCPConnector(ssl=tls, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session,
            TableServiceClient.from_connection_string(state.storage, use_env_settings=False) as tables,
            QueueServiceClient.from_connection_string(state.storage, use_env_settings=False) as queues,
        ):
            ground = Ground(state, session, tls, log)
            ground.tables, ground.queues = tables, queues
            settings = {**dict.fromkeys(TIMERS, NEVER), "GATEHOUSE_ENTITLEMENTS": str(RULES)}
            ground.nursery = await Nursery.open(state.host_settings, log, **settings)
            try:
                async with watched(ground.watch):
                    yield ground
            finally:
                await ground.nursery.close()
