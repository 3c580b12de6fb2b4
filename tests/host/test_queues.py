"""Queue triggers and outputs over the wire, with a real Azurite."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

from sandbox.certificate_authority import LoopbackCertificate
from tests.host.conftest import RunningHost, serving


@pytest.fixture
async def orders(host: RunningHost) -> AsyncIterator[QueueClient]:
    """The queue that the sample app listens to, sending base64 as its trigger expects."""
    async with _queue(host.storage, host.orders) as queue:
        await _create(queue)
        yield queue


def _queue(storage: str, name: str, *, encoded: bool = True) -> QueueClient:
    policy: dict[str, Any] = {"message_encode_policy": TextBase64EncodePolicy()} if encoded else {}
    return QueueClient.from_connection_string(storage, name, **policy)


async def _create(queue: QueueClient) -> None:
    try:
        await queue.create_queue()
    except ResourceExistsError:
        return


async def _send(host: RunningHost, how: str, body: str, query: str = "") -> int:
    async with host.client.post(f"{host.url}/api/send/{how}{query}", data=body.encode()) as response:
        return response.status


async def test_runs_a_function_for_a_message(host: RunningHost, orders: QueueClient) -> None:
    """A base64 message reaches its function with its metadata, and a list returned becomes messages."""
    sent = await orders.send_message('{"number": 1}')
    seen = await host.reports.next("order")
    assert seen == {"body": '{"number": 1}', "id": sent.id, "dequeue_count": 1, "dated": True}
    assert await host.reports.next("received") == {"text": "done 1"}


async def test_lets_members_of_a_json_message_win_over_metadata(host: RunningHost, orders: QueueClient) -> None:
    """A member named id replaces the message's own identifier, ignoring case."""
    await orders.send_message('{"number": 2, "ID": "b7"}')
    assert (await host.reports.next("order"))["id"] == "b7"
    assert await host.reports.next("received") == {"text": "done 2"}


async def test_retries_and_gives_up(host: RunningHost, orders: QueueClient) -> None:
    """A failing message comes again until maxDequeueCount, then its copy is on the poison queue."""
    await orders.send_message('{"number": 3, "fail": true}')
    assert (await host.reports.next("order"))["dequeue_count"] == 1
    assert (await host.reports.next("order"))["dequeue_count"] == 2
    assert await host.reports.next("poison") == {"body": '{"number": 3, "fail": true}'}
    assert host.reports.count("order") == 0


async def test_fails_a_message_whose_members_spoil_the_metadata(host: RunningHost, orders: QueueClient) -> None:
    """A body with a dequeueCount that is no number fails before the function runs, and ends on the poison queue."""
    # The poison trigger reads the same body, so it fails as well: only the queue itself can show the message.
    async with _queue(host.storage, f"{host.orders}-poison", encoded=False) as poison, asyncio.timeout(20):
        await _create(poison)
        while await _length(poison):  # what another test left there is still being removed
            await _send(host, "nothing", "")
        await orders.send_message('{"number": 4, "dequeueCount": "many"}')
        while not await _length(poison):
            await _send(host, "nothing", "")
    assert host.reports.count("order") == 0


async def test_gives_up_what_is_not_base64_without_running(host: RunningHost, orders: QueueClient) -> None:
    """A message that is not base64 goes to the poison queue and reaches no function, there neither."""
    async with (
        _queue(host.storage, host.orders, encoded=False) as plain,
        _queue(host.storage, f"{host.orders}-poison", encoded=False) as poison,
    ):
        await _create(poison)
        before = await _length(poison)
        await plain.send_message("not base64!")
        async with asyncio.timeout(20):
            while await _length(poison) <= before:
                await _send(host, "nothing", "")
    await orders.send_message('{"number": 5}')
    assert (await host.reports.next("order"))["body"] == '{"number": 5}'
    assert await host.reports.next("received") == {"text": "done 5"}
    assert host.reports.count("poison") == 0


async def _length(queue: QueueClient) -> int:
    return int((await queue.get_queue_properties()).approximate_message_count or 0)


async def test_holds_a_message_while_its_function_runs(certificate: LoopbackCertificate, storage: str) -> None:
    """A lease of five seconds, renewed at half time, outlives its end: nobody else is given the message."""
    async with (
        serving(certificate, storage, GATEHOUSE_WAIT_SCALE="0.001") as host,
        _queue(storage, host.orders) as slow,
    ):
        await _create(slow)
        await slow.send_message('{"number": 6, "linger": 4.9}')
        assert (await host.reports.next("order"))["dequeue_count"] == 1
        await host.reports.next("lingered")
        assert await host.reports.next("received") == {"text": "done 6"}
        assert host.reports.count("order") == 0


async def test_takes_up_the_message_of_a_killed_run(certificate: LoopbackCertificate, storage: str) -> None:
    """A message whose host died is delivered again when its lease has run out, with a higher count."""
    async with _queue(storage, "killed-orders") as queue:
        await _create(queue)
        async with serving(certificate, storage, ORDERS_QUEUE="killed-orders", GATEHOUSE_WAIT_SCALE="0.001") as host:
            await queue.send_message('{"number": 7, "linger": 0.1}')
            assert (await host.reports.next("order"))["dequeue_count"] == 1
            host.child.kill()
        async with serving(certificate, storage, ORDERS_QUEUE="killed-orders", GATEHOUSE_WAIT_SCALE="0.001") as host:
            assert (await host.reports.next("order"))["dequeue_count"] == 2


@pytest.mark.parametrize(
    ("how", "body", "arrived"),
    [
        ("text", "plain words", ["plain words"]),
        ("text", '{"a":1}', ['{\n  "a": 1\n}']),
        ("text", '["x",{"a":1}]', ["x", '{\n  "a": 1\n}']),
        ("bytes", '{"a":1}', ['{"a":1}']),
        ("list", '{"a":1}', ['{"a":1}', "second"]),
    ],
)
async def test_sends_outputs_as_the_host_does(host: RunningHost, how: str, body: str, arrived: list[str]) -> None:
    """Text that looks like JSON is rewritten, an array becomes several messages; bytes and lists stay as they are."""
    assert await _send(host, how, body) == 202
    assert sorted([(await host.reports.next("received"))["text"] for _ in arrived]) == sorted(arrived)


async def test_sends_a_queue_message_as_its_description(host: RunningHost) -> None:
    """A QueueMessage given as an output arrives as JSON with id and body, not as the body."""
    assert await _send(host, "message", "words") == 202
    assert json.loads((await host.reports.next("received"))["text"]) == {"id": None, "body": "words"}


@pytest.mark.parametrize(
    ("how", "body", "query", "status"),
    [
        ("text", "set before failing", "?then=fail", 500),
        ("text", "[not json]", "", 500),
        ("number", "", "", 500),
        ("nothing", "", "", 202),
    ],
)
async def test_sends_nothing_for_a_failure(host: RunningHost, how: str, body: str, query: str, status: int) -> None:
    """A function that raises sends nothing, an output that cannot be sent fails its call, None is no message."""
    assert await _send(host, how, body, query) == status
    assert await _send(host, "text", "marker") == 202
    assert await host.reports.next("received") == {"text": "marker"}


async def test_runs_a_queue_function_by_hand(host: RunningHost) -> None:
    """POST /admin/functions/NAME answers 202 and runs the function with the input as its message."""
    url = f"{host.url}/admin/functions/on_received"
    async with host.client.post(url, json={"input": "by hand"}) as response:
        assert response.status == 202
    assert await host.reports.next("received") == {"text": "by hand"}
    async with host.client.post(f"{host.url}/admin/functions/nobody", json={}) as response:
        assert response.status == 404
    async with host.client.post(f"{host.url}/admin/functions/thread", json={}) as response:
        assert response.status == 400
