"""The timer's look at 1,000 applications with nothing due, beside one call after another for each of them.

    python -m benchmarks.sweep

Both run in fresh processes, take turns, and use the app's own client. Every call to Graph takes 20 ms here, which is
little: what counts is how many there are. Exits with 1 where an aim is missed.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from rich.console import Console
from rich.table import Table

from benchmarks.tenant import connection
from sandbox.azurite.installation import cache_folder
from sandbox.up import State, running_sandbox

CLONE = Path(__file__).resolve().parent.parent
APPLICATIONS = 1000
LATENCY = 0.02  # seconds that every call to Graph takes
AT_ONCE = 20  # objects that are put into the tenant at a time
MOST_CALLS = 0.01  # of those of the plain way: pages of 999
MOST_TIME = 0.1  # of that of the plain way
MOST_MEMORY = 1.5  # of that of the plain way


async def fill(session: aiohttp.ClientSession, state: State, count: int) -> None:
    """Put so many applications of ours into the tenant, each with a secret that is not due."""
    now = datetime.now(UTC)
    life = {
        "startDateTime": (now - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "endDateTime": (now + timedelta(days=150)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    for first in range(0, count, AT_ONCE):
        await asyncio.gather(*(_put(session, state, n, life) for n in range(first, min(first + AT_ONCE, count))))


async def _put(session: aiohttp.ClientSession, state: State, number: int, life: Mapping[str, str]) -> None:
    key, client_id = f"hellotracks-n{number}", str(UUID(int=2 * number + 2**96))
    password = {"keyId": str(UUID(int=number + 2**97)), "displayName": f"gatehouse-{key}", "hint": "abc", **life}
    common = {
        "appId": client_id,
        "displayName": f"Hellotracks (n{number})",
        "tags": ["gatehouse", f"gatehouse:hellotracks/n{number}"],
    }
    application = {**common, "uniqueName": f"gatehouse-{key}", "passwordCredentials": [password]}
    for kind, body in (("applications", application), ("service_principals", common)):
        object_id = UUID(int=2 * number + 2**98 + (kind == "applications"))
        async with session.put(f"{state.control}/objects/{kind}/{object_id}", json=body) as response:
            response.raise_for_status()


async def calls(session: aiohttp.ClientSession, state: State, since: int = 0) -> tuple[int, int]:
    """How many calls Graph has met after a sequence number, and the newest number."""
    async with session.get(f"{state.control}/calls?since={since}") as response:
        found = await response.json()
    graph = [call for call in found if call["service"] == "graph"]
    return len(graph), max((call["seq"] for call in found), default=since)


async def measure(
    session: aiohttp.ClientSession, state: State, program: str, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Run a program in a fresh process; returns what it says, and how often it called."""
    _, before = await calls(session, state)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"benchmarks.{program}"),
        cwd=CLONE,
        env=dict(environment),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"benchmarks.{program} did not do its work: {said.decode()}")
    found = dict(json.loads(said))
    if found["due"]:
        raise RuntimeError(f"benchmarks.{program} found {found['due']} due where nothing is.")
    return {**found, "calls": (await calls(session, state, before))[0]}


async def main(rounds: int, applications: int) -> int:
    """Measure both ways and print the table; the exit code is 1 where an aim is missed."""
    log = cache_folder() / "bench.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    taken: dict[str, list[dict[str, Any]]] = {"sweep_ours": [], "sweep_plain": []}
    async with (
        running_sandbox(host=False, log=log) as state,
        aiohttp.ClientSession(connector=connection(state)) as session,
    ):
        await fill(session, state, applications)
        async with session.put(f"{state.control}/switches", json={"latency_seconds": LATENCY}) as response:
            response.raise_for_status()
        environment = {**os.environ, **state.env, "PYTHONPATH": str(CLONE)}
        for _ in range(rounds):
            for program, results in taken.items():
                results.append(await measure(session, state, program, environment))
    title = (
        f"A look at {applications} applications with nothing due, {LATENCY * 1000:.0f} ms a call, median of {rounds}"
    )
    table = Table(title=title, title_justify="left")
    for heading in ("what", "ours", "plain", "ratio", "aim", "verdict"):
        table.add_column(heading, justify="left" if heading == "what" else "right", no_wrap=True)
    missed = 0
    for what, unit, most in (("calls", "", MOST_CALLS), ("seconds", " s", MOST_TIME), ("peak", " MiB", MOST_MEMORY)):
        ours, plain = (statistics.median(result[what] for result in results) for results in taken.values())
        held = ours <= most * plain
        missed += not held
        figures = (f"{ours:.4g}{unit}", f"{plain:.4g}{unit}", f"{ours / plain:.3f}", f"at most {most:g}")
        table.add_row("peak memory" if what == "peak" else what, *figures, "held" if held else "missed")
    Console(highlight=False, width=None if sys.stdout.isatty() else 140).print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="processes of each kind")
    parser.add_argument("--applications", type=int, default=APPLICATIONS)
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(arguments.rounds, arguments.applications)))
