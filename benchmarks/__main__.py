"""python -m benchmarks: ours beside the plain way, in fresh processes that take turns.

What is measured is the time from the start of a process to the line it prints. The first round warms the disk's cache
and does not count. Exits with 1 where an aim is missed.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from benchmarks.credential import TOKEN
from benchmarks.tenant import connection, fetch_token, mark_one
from sandbox.azurite.installation import cache_folder
from sandbox.up import running_sandbox

CLONE = Path(__file__).resolve().parent.parent
# httpx imports its command line where click is there, as it is beside the checks and is not in Azure.
AS_DEPLOYED = "import sys; sys.modules['click'] = None"


@dataclass(frozen=True)
class Comparison:
    """Two programs that do the same, and how much of the plain one's time ours may take."""

    name: str
    ours: str
    plain: str
    beside: str
    aim: float | None
    token_in_hand: bool = True


INDEX = Comparison(
    "start to functions indexed", "index_ours", "index_plain", "an app that imports only azure.functions", 2.0
)
GRAPH = Comparison(
    "start to first decoded Graph answer", "graph_ours", "graph_plain", "the typed msgraph-sdk, same request", 0.25
)
# Authentication is the same library on both sides, so it is left out of the aim and shown for the whole picture.
SIGNED_IN = Comparison(
    "the same, its token fetched first", "graph_ours", "graph_plain", "the same", None, token_in_hand=False
)


async def measure(program: str, environment: Mapping[str, str]) -> float:
    """Seconds from the start of a fresh process to its line; raises `RuntimeError` where it prints none."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{AS_DEPLOYED}; import benchmarks.{program}"),
        cwd=CLONE,
        env=dict(environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    line = await process.stdout.readline() if process.stdout else b""
    seconds = time.perf_counter() - began
    _, errors = await process.communicate()
    if process.returncode != 0 or line.split()[-1:] in ([], [b"0"]):
        raise RuntimeError(f"benchmarks.{program} did not do its work: {line.decode()}{errors.decode()[-1000:]}")
    return seconds


async def compare(comparison: Comparison, environment: Mapping[str, str], rounds: int) -> tuple[float, float]:
    """The medians of ours and of the plain way, which take turns."""
    taken: dict[str, list[float]] = {comparison.ours: [], comparison.plain: []}
    for turn in range(rounds + 1):
        for program, seconds in taken.items():
            measured = await measure(program, environment)
            if turn:
                seconds.append(measured)
    return statistics.median(taken[comparison.ours]), statistics.median(taken[comparison.plain])


async def main(rounds: int) -> int:
    """Measure every comparison and print the table; the exit code is 1 where an aim is missed."""
    log = cache_folder() / "bench.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    table = Table(title=f"Medians of {rounds} fresh processes each, taking turns", title_justify="left")
    for heading in ("from", "beside"):
        table.add_column(heading)
    for heading in ("ours", "plain", "ratio", "aim", "verdict"):
        table.add_column(heading, justify="right", no_wrap=True)
    missed = 0
    async with running_sandbox(host=False, log=log) as state:
        async with aiohttp.ClientSession(connector=connection(state)) as session:
            await mark_one(session, state)
            token = await fetch_token(session, state)
        environment = {**os.environ, **state.env, "PYTHONPATH": str(CLONE)}
        for comparison in (INDEX, GRAPH, SIGNED_IN):
            given = {TOKEN: token} if comparison.token_in_hand else {}
            ours, plain = await compare(comparison, {**environment, **given}, rounds)
            aim, verdict = "none", ""
            if comparison.aim is not None:
                held = ours <= comparison.aim * plain
                missed += not held
                aim, verdict = f"at most {comparison.aim:g}", "held" if held else "missed"
            figures = (f"{ours:.2f} s", f"{plain:.2f} s", f"{ours / plain:.2f}", aim, verdict)
            table.add_row(comparison.name, comparison.beside, *figures)
    Console(highlight=False, width=None if sys.stdout.isatty() else 140).print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="processes of each kind that count")
    sys.exit(asyncio.run(main(parser.parse_args().rounds)))
