"""The five vendors' stories, with everything that can go wrong in them, told once to a witness."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from azure.storage.queue.aio import QueueServiceClient

from clients.settings import read_settings
from clients.tenant import Tenant
from sso.model import key_of
from tests.pages.desk import WRONG, Desk, Handoff
from tests.secrecy.witness import Witness
from tests.world import VENDORS, World, request

BAD_BODIES: tuple[Any, ...] = (
    {},
    [],
    "text",
    {**request("smarttrace"), "vendor": "smarttrac"},
    {**request("smarttrace"), "owner": "nobody@contoso.com"},
    {**request("smarttrace"), "parameters": {"InstanceName": "https://evil.example/{{7*7}}"}},
    {**request("smarttrace"), "client_secret": "x", "assignments": {"users": ["<script>"], "groups": 7}},
)


@dataclass(frozen=True)
class Told:
    """What happened: who saw it, where the log began, every hand-off, and those whose secret was shown."""

    witness: Witness
    begin: int
    handoffs: tuple[Handoff, ...]
    collected: tuple[Handoff, ...]


@pytest.fixture(scope="session")
async def told(running_world: World) -> Told:
    """Hand-offs collected, confirmed, guessed at, lost and issued again, and bad input of every kind."""
    await running_world.reset()
    begin = running_world.log.stat().st_size
    witness = Witness.beside(running_world)
    desk = Desk(witness)
    first = {vendor: await desk.open(vendor) for vendor in VENDORS}
    for vendor in ("clicktime", "hellotracks", "thoropass"):
        assert (await witness.collect(vendor))["acknowledged"]
        assert (await witness.sign_in(vendor))["signed_in"]
        assert not (await witness.sign_in(vendor, "helpdesk"))["signed_in"]
    assert [(await desk.press(first["smarttrace"], "collect", WRONG)).status for _ in range(5)][-1] == 423
    in_vain = await desk.open_again()
    assert (await desk.press(in_vain, "collect", in_vain.code)).status == 200
    last = await desk.open_again()  # with another secret
    for action, status in (("acknowledge", 409), ("problem", 200), ("collect", 200), ("collect", 409)):
        assert (await desk.press(last, action, last.code, "It does not fit.")).status == status
    await _lose(desk, first["ilogon_mha"])
    await _send_nonsense(witness)
    await _read_everything(witness)
    return Told(witness, begin, (*first.values(), in_vain, last), (in_vain, last))


async def _lose(desk: Desk, handoff: Handoff) -> None:
    """The vault's version is gone when the right code comes: the page must say so without saying anything else."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in desk.world.state.env.items():
            environment.setenv(name, value)
        # aiohttp, under the Azure SDKs, reads SSL_CERT_FILE only once, when it is imported: long before this sandbox.
        aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(desk.world.state.env["SSL_CERT_FILE"])  # noqa: SLF001
        tenant = Tenant.connect(read_settings(desk.world.state.env))
        for version in await tenant.vault.versions(key_of(handoff.vendor, "default")):
            await tenant.vault.disable(version)
        await tenant.close()
    reply = await desk.press(handoff, "collect", handoff.code)
    assert (reply.status, "The answer was lost" in reply.text) == (503, True)


async def _send_nonsense(witness: Witness) -> None:
    """Bad requests to every route that takes one, and queue messages that are none."""
    for body in BAD_BODIES:
        for method, path in (
            ("POST", "/onboardings"),
            ("POST", "/onboardings?mode=plan"),
            ("PUT", "/applications/smarttrace/default/parameters"),
            ("POST", "/applications/smarttrace/default/acknowledgements"),
            ("POST", "/applications/nobody/default/handoffs"),
        ):
            assert (await witness.api(method, path, body)).status >= 400
    async with QueueServiceClient.from_connection_string(witness.state.storage) as queues:
        for queue in ("onboardings", "assignments"):
            async with queues.get_queue_client(queue) as client:
                for message in (b"not ours", json.dumps({"operation": "nobody", "batch": 1}).encode()):
                    await client.send_message(base64.b64encode(message).decode())
                await client.send_message("not base64!")


async def _read_everything(witness: Witness) -> None:
    """Every route that answers with what is there."""
    operations = (await witness.api("GET", "/operations")).body["items"]
    paths = [f"/operations/{operation['operation']}" for operation in operations]
    paths += [f"/applications/{vendor}/default" for vendor in VENDORS] + [f"/vendors/{vendor}" for vendor in VENDORS]
    for path in (*paths, "/applications", "/vendors", "/health", "/operations/nobody", "/applications/nobody/default"):
        await witness.api("GET", path)
    await witness.plan("smarttrace")
    waiting = next(operation for operation in operations if operation["state"] == "waiting")
    assert (await witness.api("POST", f"/operations/{waiting['operation']}/replay")).status == 202
    await witness.rest(waiting["operation"])
