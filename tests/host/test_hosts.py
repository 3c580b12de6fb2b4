"""Hosts of their own beside a sandbox: killed, started again at their address, their calls in the record."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueServiceClient

from sandbox.child import ChildError
from sandbox.hosts import HostProcess, stop_all
from sandbox.up import State, running_sandbox
from tests.host.conftest import SAMPLE_APP

EXTRA = {"ORDERS_QUEUE": "orders", "RECEIVED_QUEUE": "received", "TICK_SCHEDULE": "0 0 4 1 1 *", "REPORT_PORT": "1"}


@pytest.fixture(scope="module")
async def state() -> AsyncIterator[State]:
    """A calm sandbox without a host."""
    async with running_sandbox(host=False) as running:
        yield running


@pytest.fixture
async def client(state: State) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that trusts the sandbox."""
    tls = ssl.create_default_context(cafile=state.env["SSL_CERT_FILE"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        yield session


async def _calls(client: aiohttp.ClientSession, state: State, *services: str) -> list[dict[str, Any]]:
    async with client.get(f"{state.control}/calls") as response:
        return [call for call in await response.json() if call["service"] in services]


async def test_a_killed_host_starts_again_at_its_address(state: State, client: aiohttp.ClientSession) -> None:
    """A host that was killed is replaced at the address that stands in mails; another one runs beside it."""
    first = await HostProcess.start(state.host_settings, url=state.host, app=SAMPLE_APP, extra=EXTRA)
    assert first.url == state.host
    await first.kill()
    with pytest.raises(aiohttp.ClientError):
        await client.get(f"{state.host}/api/rooms/7")
    hosts = await asyncio.gather(
        HostProcess.start(state.host_settings, url=state.host, app=SAMPLE_APP, extra=EXTRA),
        HostProcess.start(state.host_settings, app=SAMPLE_APP, extra=EXTRA),
    )
    try:
        assert len({host.url for host in hosts}) == 2
        for host in hosts:
            async with client.get(f"{host.url}/api/rooms/7") as response:
                assert await response.text() == "room 7"
    finally:
        await stop_all(hosts)
    assert await _calls(client, state, "table", "queue") == []


async def test_a_host_that_cannot_start_says_so(state: State) -> None:
    """An address that is in use ends the start with the host's last lines."""
    with pytest.raises(ChildError, match="before it was ready"):
        await HostProcess.start(state.host_settings, url=state.control, app=SAMPLE_APP, extra=EXTRA)


async def test_the_apps_storage_calls_are_recorded_and_disturbed(state: State, client: aiohttp.ClientSession) -> None:
    """Rows and messages reach Azurite by the app's connection string, with names that the fault plan knows."""
    connection = state.env["AzureWebJobsStorage"]
    row = {"PartitionKey": "a key", "RowKey": "it's one", "what": "é"}
    async with TableServiceClient.from_connection_string(connection, retry_total=0) as tables:
        table = await tables.create_table("witness")
        await table.create_entity(row)
        await table.upsert_entity({**row, "what": "changed"})
        plan = [{"service": "table", "operation": "GET /witness(PartitionKey,RowKey)", "fault": "unavailable"}]
        async with client.put(f"{state.control}/faults", json=plan) as response:
            assert response.status == 200
        with pytest.raises(Exception, match=r"ServerBusy|503"):
            await table.get_entity(row["PartitionKey"], row["RowKey"])
        assert (await table.get_entity(row["PartitionKey"], row["RowKey"]))["what"] == "changed"
    async with QueueServiceClient.from_connection_string(connection) as queues:
        queue = await queues.create_queue("witness")
        await queue.send_message("hello", visibility_timeout=0)
        message = await queue.receive_message()
        assert message is not None
        assert message.content == "hello"
        await queue.delete_message(message)
    calls = await _calls(client, state, "table", "queue")
    assert [call["operation"] for call in calls] == [
        "POST /Tables",
        "POST /witness",
        "PATCH /witness(PartitionKey,RowKey)",
        "GET /witness(PartitionKey,RowKey)",
        "GET /witness(PartitionKey,RowKey)",
        "PUT /witness",
        "POST /witness/messages",
        "GET /witness/messages",
        "DELETE /witness/messages/{id}",
    ]
    assert {call["service"] for call in calls} == {"table", "queue"}
    assert calls[3]["fault"] == "unavailable"
    assert "changed" in json.dumps(calls[2]["request"])
