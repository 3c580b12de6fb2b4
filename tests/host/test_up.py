"""python -m sandbox up: a whole tenant and a host, started and stopped as one."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from azure.storage.queue.aio import QueueServiceClient

from sandbox.unkind.switches import CALM, UNKIND, Lag, Switches
from sandbox.up import running_sandbox
from tests.host.conftest import SAMPLE_APP

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are counted through /proc")

CLONE = Path(__file__).resolve().parents[2]


async def test_answers_everywhere_and_stops_without_a_trace() -> None:
    """Every address of the state is on loopback and answers; afterwards no process is left."""
    async with running_sandbox(app=SAMPLE_APP) as state:
        services = [state.host, state.graph, state.authority, state.vault, state.control]
        assert {urlsplit(url).hostname for url in services} == {"127.0.0.1"}
        assert len(set(services)) == 5
        # The app's own calls to its storage take the way that is recorded; the host's polling does not.
        assert state.env["AzureWebJobsStorage"] != state.storage
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=state.env["SSL_CERT_FILE"]))
        async with aiohttp.ClientSession(connector=connector) as client:
            for url in services:
                async with client.get(f"{url}/nothing-here") as response:
                    assert response.status in {401, 404}
            async with client.get(f"{state.host}/api/rooms/7") as response:
                assert await response.text() == "room 7"
        async with QueueServiceClient.from_connection_string(state.storage) as queues:
            await queues.create_queue("probe")
            assert "probe" in [queue.name async for queue in queues.list_queues()]
        children = _children(state.pid)
        assert len(children) == 2
    assert not [pid for pid in (state.pid, *children) if _is_alive(pid)]


async def test_starts_without_a_host() -> None:
    """With --no-host everything but the Functions host runs."""
    async with running_sandbox(host=False) as state:
        assert len(_children(state.pid)) == 1


@pytest.mark.parametrize(("calm", "lag", "expected"), [(False, None, UNKIND), (True, "bad", replace(CALM, lag="bad"))])
async def test_is_unkind_unless_it_is_told_to_be_calm(calm: bool, lag: Lag | None, expected: Switches) -> None:
    """Without --calm the tenant has every unkindness of the contract's checklist; --lag changes one of them."""
    async with running_sandbox(host=False, calm=calm, lag=lag) as state:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=state.env["SSL_CERT_FILE"]))
        async with aiohttp.ClientSession(connector=connector) as client:
            await client.put(f"{state.control}/switches", json={"lag": "none", "throttle_share": 1})
            await client.post(f"{state.control}/reset")
            async with client.get(f"{state.control}/switches") as response:
                assert Switches(**await response.json()) == expected


@pytest.mark.parametrize("victim", ["azurite", "sandbox.host"])
async def test_says_which_child_has_died(tmp_path: Path, victim: str) -> None:
    """When a child ends by itself the sandbox ends too, with exit code 1 and a sentence that names the child."""
    process, state = await _started(tmp_path)
    for pid in _children(state["pid"]):
        if victim in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGKILL)
    _, told = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    name = {"azurite": "Azurite", "sandbox.host": "The Functions host"}[victim]
    assert f"{name} ended by itself with exit code -9" in told.decode()


async def test_takes_its_children_along_when_it_is_killed(tmp_path: Path) -> None:
    """A sandbox that is killed without warning leaves no child behind."""
    process, state = await _started(tmp_path)
    children = _children(state["pid"])
    assert len(children) == 2
    ends = [_end_of(pid) for pid in children]
    process.kill()
    await asyncio.wait_for(asyncio.gather(process.communicate(), *ends), 20)


def test_refuses_any_address_but_loopback() -> None:
    """An address that others could reach is refused before anything starts."""
    command = [sys.executable, "-m", "sandbox", "up", "--state-file", "unused.json", "--address", "0.0.0.0"]
    done = subprocess.run(command, cwd=CLONE, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "stays on loopback" in done.stderr


async def _started(folder: Path) -> tuple[asyncio.subprocess.Process, dict[str, int]]:
    state_file = folder / "state.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "up", "--state-file", str(state_file), "--app", str(SAMPLE_APP)),
        cwd=CLONE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"ready" in await asyncio.wait_for(process.stdout.readline(), 60)
    assert state_file.stat().st_mode & 0o077 == 0
    state: dict[str, int] = json.loads(state_file.read_text())
    return process, state


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _end_of(pid: int) -> asyncio.Future[None]:
    """Done when the process has ended."""
    loop = asyncio.get_running_loop()
    ended, descriptor = loop.create_future(), os.pidfd_open(pid)

    def end() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        ended.set_result(None)

    loop.add_reader(descriptor, end)
    return ended


def _is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
