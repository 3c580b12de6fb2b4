"""Messages as they come: doubled, lost, malformed, and from nobody."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueServiceClient

from clients.ledger import new_operation_id
from clients.tenant import Tenant
from handlers import operations
from sso.model import ObjectId, OperationId, key_of
from sso.operation import Operation
from sso.request import Onboarding
from sso.request import to_json as request_to_json
from tests.api.answers import until
from tests.world import World, request


class Messages:
    """The queues of the running sandbox, as anybody with the storage's keys sees them."""

    def __init__(self, service: QueueServiceClient) -> None:
        self._service = service

    async def put(self, queue: str, content: str | bytes | dict[str, Any], *, encoded: bool = True) -> None:
        """Put a message: as the base64 of some bytes, or of JSON, or just as it is."""
        raw = json.dumps(content).encode() if isinstance(content, dict) else content
        text = base64.b64encode(raw if isinstance(raw, bytes) else raw.encode()).decode() if encoded else str(content)
        client = self._service.get_queue_client(queue)
        try:
            await client.send_message(text)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):
                await client.create_queue()
            await client.send_message(text)

    async def length(self, queue: str) -> int:
        """How many messages a queue holds, hidden ones too."""
        try:
            properties = await self._service.get_queue_client(queue).get_queue_properties()
        except ResourceNotFoundError:
            return 0
        return int(properties.approximate_message_count or 0)

    async def clear(self, queue: str) -> None:
        """Delete whatever a queue holds."""
        await self._service.get_queue_client(queue).clear_messages()


@pytest.fixture
async def messages(running_world: World) -> AsyncIterator[Messages]:
    """The queues of the running sandbox."""
    async with QueueServiceClient.from_connection_string(running_world.state.storage) as service:
        yield Messages(service)


async def unreadable(tenant: Tenant) -> list[tuple[str, str]]:
    """Queue and reason of every message that no operation could be made of."""
    return [(row["queue"], row["reason"]) for row in await tenant.ledger.unreadable()]


@pytest.mark.parametrize("queue", ["onboardings", "assignments"])
@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"hello", "JSON"),
        (b"[1, 2]", "names no"),
        (b'{"id": "8211000000000-00000000"}', "names no"),
        (b'{"operation": 7}', "names no"),
        (b'{"operation": ""}', "names no"),
    ],
)
async def test_message_of_somebody_else_is_kept_with_its_reason(
    quiet: World, messages: Messages, tenant: Tenant, queue: str, content: bytes, word: str
) -> None:
    """Base64 that is not ours goes into the ledger with the reason; nothing is carried out and health stays green."""
    before = len(await unreadable(tenant))
    since = await quiet.last_call()
    await messages.put(queue, content)

    async def kept() -> bool:
        return len(await unreadable(tenant)) > before

    await until(kept)
    newest = (await unreadable(tenant))[0]
    assert newest[0] == queue
    assert word in newest[1]
    assert await quiet.writes(since) == []


@pytest.mark.parametrize(
    "batch",
    ["first", 1.5, None, [1]],
)
async def test_message_that_cannot_be_carried_out_fails_its_operation(
    quiet: World, messages: Messages, tenant: Tenant, batch: Any
) -> None:
    """Where a broken message names a known operation, that fails with the reason and its owner is told."""
    key, mails, before = (
        key_of("thoropass", "broken-message"),
        len(await quiet.mailbox()),
        len(await unreadable(tenant)),
    )
    broken = await tenant.ledger.add_operation(await _row(quiet, key_name=key.instance, age=timedelta(0)))
    await messages.put("assignments", {"operation": broken.id, "batch": batch})

    async def failed() -> bool:
        return bool((await quiet.operation(broken.id))["state"] == "failed")

    await until(failed)
    found = await quiet.operation(broken.id)
    assert "assignments" in found["reasons"][0]["detail"]

    async def told() -> bool:
        return len(await quiet.mailbox()) > mails

    await until(told)
    (mail,) = (await quiet.mailbox())[mails:]
    assert mail["to"] == ["app-owner@contoso.com"]
    assert broken.id in mail["text"]
    assert len(await unreadable(tenant)) == before + 1


async def test_message_that_is_no_base64_turns_health_red(quiet: World, messages: Messages, tenant: Tenant) -> None:
    """It reaches no function and stays in the poison queue; health names the queue and what to do."""
    kept = await unreadable(tenant)
    await messages.put("onboardings", "not base64 at all!", encoded=False)

    async def poisoned() -> bool:
        return await messages.length("onboardings-poison") > 0

    await until(poisoned)
    health = await quiet.api("GET", "/health")
    assert health.status == 503
    (red,) = [check for check in health.body["checks"] if not check["ok"]]
    assert red["name"] == "poison queues"
    assert "onboardings-poison holds 1" in red["detail"]
    assert await unreadable(tenant) == kept
    await messages.clear("onboardings-poison")
    assert (await quiet.api("GET", "/health")).status == 200


@pytest.mark.parametrize("queue", ["onboardings", "assignments"])
async def test_message_of_an_unknown_operation_is_ignored(
    quiet: World, messages: Messages, tenant: Tenant, queue: str
) -> None:
    """A well-formed message whose operation the ledger does not know, as after a lost ledger, does nothing."""
    kept, since = await unreadable(tenant), await quiet.last_call()
    await messages.put(queue, {"operation": "8211000000000-00000000", "batch": 1})

    async def taken() -> bool:
        return await messages.length(queue) == 0

    await until(taken)
    assert await unreadable(tenant) == kept
    assert await quiet.writes(since) == []


async def test_five_messages_of_one_operation_make_one_of_everything(world: World, messages: Messages) -> None:
    """However often its message is delivered at once: one application, one secret, one hand-off, one code."""
    reply = await world.api("POST", "/onboardings", request("smarttrace"))
    assert reply.status == 202, reply.text
    name = reply.body["operation"]
    await asyncio.gather(*(messages.put("onboardings", {"operation": name}) for _ in range(5)))
    operation = await world.rest(name)
    assert operation["state"] == "waiting", operation

    async def taken() -> bool:
        return await messages.length("onboardings") + await messages.length("assignments") == 0

    await until(taken)
    application = await world.application("smarttrace")
    assert len(application["passwordCredentials"]) == 1
    mails = await world.mailbox()
    assert len([mail for mail in mails if "Page: " in mail["text"]]) == 1
    assert len([mail for mail in mails if "Code: " in mail["text"]]) == 1
    assert len(mails) == 2
    principal = await world.service_principal("smarttrace")
    held = [a["principalId"] for a in (await world.dump())["assignments"] if a["resourceId"] == principal["id"]]
    assert len(held) == len(set(held)) == 2
    assert (await world.plan("smarttrace"))["steps"] == []


async def _row(world: World, *, age: timedelta, key_name: str = "default") -> Operation:
    """An accepted onboarding whose message was never sent, or was lost."""
    owner = next(u for u in (await world.dump())["users"] if u["userPrincipalName"] == "app-owner@contoso.com")
    at = datetime.now(UTC) - age
    key = key_of("thoropass", key_name)
    return Operation(
        id=new_operation_id(at),
        kind="onboarding",
        key=key,
        request=request_to_json(Onboarding(key=key, parameters={}, owner=ObjectId(owner["id"]))),
        state="accepted",
        created=at,
        changed=at,
        not_before=at,
    )


async def test_lost_message_is_made_good_by_the_sweep(world: World, tenant: Tenant) -> None:
    """An operation that was written and never queued is taken up two minutes later, and carried out."""
    lost = await tenant.ledger.add_operation(await _row(world, age=timedelta(0)))
    scale = tenant.settings.wait_scale
    assert await operations.sweep(tenant, lost.not_before + timedelta(seconds=110) * scale) == 0
    assert (await world.operation(lost.id))["state"] == "accepted"
    assert await operations.sweep(tenant, lost.not_before + timedelta(seconds=130) * scale) == 1
    found = await world.rest(lost.id)
    assert (found["state"], found["waiting_for"]["what"]) == ("waiting", "acknowledgement")


async def test_sweep_leaves_what_is_finished_or_not_due(world: World, tenant: Tenant) -> None:
    """What waits for a person is not taken up before its time, what is done never."""
    operation = await world.onboard("clicktime", assignments=None)
    assert operation["waiting_for"]["what"] == "acknowledgement"
    assert await operations.sweep(tenant, datetime.now(UTC) + timedelta(hours=1)) == 0
    assert (await world.collect("clicktime"))["acknowledged"]
    found = await tenant.ledger.find_operation(OperationId(operation["operation"]))
    assert found is not None
    assert found.finished
    assert await operations.sweep(tenant, datetime.now(UTC) + timedelta(days=400)) == 0
