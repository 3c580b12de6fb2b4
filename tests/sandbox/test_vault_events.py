"""The vault's events: when they are raised by the sandbox's clock, and how they reach whoever is subscribed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sandbox.event_grid import EventGrid
from tests.sandbox.conftest import Contoso

DAY = timedelta(days=1)
START = datetime(2027, 3, 1, 12, tzinfo=UTC)


@dataclass
class Subscriber:
    """An endpoint with one function, as Event Grid meets it, and what it was told."""

    contoso: Contoso
    grid: EventGrid
    session: aiohttp.ClientSession
    status: int = 202
    shaken: list[str] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)

    async def at(self, moment: datetime) -> list[tuple[str, str]]:
        """Move the clock and deliver; returns type and subject of what arrived."""
        before = len(self.told)
        await self.contoso.control("PUT", "/clock", {"now": moment.isoformat()})
        await self.grid.deliver(self.session)
        return [(str(event.get("eventType", event.get("type"))), event["subject"]) for event in self.told[before:]]

    async def raised(self) -> list[dict[str, Any]]:
        """How the control plane tells of each event."""
        return list((await self.contoso.control("GET", "/events")).body)


@pytest.fixture
async def subscriber(sandbox_tenant: Contoso) -> AsyncIterator[Subscriber]:
    """An endpoint of its own beside the tenant, subscribed in Event Grid's schema."""
    await sandbox_tenant.control("PUT", "/clock", {"now": START.isoformat()})
    await sandbox_tenant.control("PUT", "/switches", {"vault_events": "event_grid"})

    async def functions(_: web.Request) -> web.Response:
        served = [("http", "httpTrigger"), ("near", "eventGridTrigger")]
        return web.json_response([{"name": name, "bindings": [{"type": kind}]} for name, kind in served])

    async def options(request: web.Request) -> web.Response:
        found.shaken.append(request.method)
        return web.Response(headers={"WebHook-Allowed-Origin": request.headers["WebHook-Request-Origin"]})

    async def post(request: web.Request) -> web.Response:
        assert request.query["functionName"] == "near"
        body = await request.json()
        if request.headers["aeg-event-type"] == "SubscriptionValidation":
            found.shaken.append(body[0]["eventType"])
            return web.json_response({"validationResponse": body[0]["data"]["validationCode"]})
        found.told += body if isinstance(body, list) else [body]
        return web.Response(status=found.status)

    application = web.Application()
    application.router.add_get("/admin/functions", functions)
    application.router.add_post("/runtime/webhooks/EventGrid", post)
    application.router.add_options("/runtime/webhooks/EventGrid", options)
    server = TestServer(application)
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        found = Subscriber(
            sandbox_tenant, EventGrid(sandbox_tenant.tenant, str(server.make_url("")).rstrip("/")), session
        )
        yield found
    await server.close()


async def _put(subscriber: Subscriber, name: str, ends: datetime | None) -> None:
    attributes = {"exp": int(ends.timestamp())} if ends else {}
    made = await subscriber.contoso.vault("PUT", f"/secrets/{name}", {"value": "x", "attributes": attributes})
    assert made.status == 200


async def test_a_secret_is_told_of_when_made_near_its_end_and_at_it(subscriber: Subscriber) -> None:
    """A version with an end raises one event when it is made, one 30 days before its end and one at it."""
    ends = START + 100 * DAY
    await _put(subscriber, "a-secret", ends)
    assert await subscriber.at(START) == [("Microsoft.KeyVault.SecretNewVersionCreated", "a-secret")]
    assert await subscriber.at(ends - 30 * DAY - timedelta(seconds=1)) == []
    assert await subscriber.at(ends - 30 * DAY) == [("Microsoft.KeyVault.SecretNearExpiry", "a-secret")]
    assert await subscriber.at(ends - DAY) == []
    assert await subscriber.at(ends) == [("Microsoft.KeyVault.SecretExpired", "a-secret")]
    data = subscriber.told[-1]["data"]
    [version] = (await subscriber.contoso.control("GET", "/dump")).body["vault"]["a-secret"]["versions"]
    assert (data["Version"], data["EXP"], data["NBF"]) == (version["version"], int(ends.timestamp()), None)
    assert data["Id"].endswith(f"/secrets/a-secret/{version['version']}")


async def test_only_versions_with_an_end_and_only_the_newest_near_it(subscriber: Subscriber) -> None:
    """A version without an end raises nothing, and one that has a successor nothing but that it was made."""
    await _put(subscriber, "endless", None)
    await _put(subscriber, "a-secret", START + 40 * DAY)
    await _put(subscriber, "a-secret", START + 400 * DAY)
    made = ("Microsoft.KeyVault.SecretNewVersionCreated", "a-secret")
    assert await subscriber.at(START) == [made, made]
    assert await subscriber.at(START + 50 * DAY) == []


async def test_a_changed_end_is_told_of_anew(subscriber: Subscriber) -> None:
    """Where a version's end is moved to within 30 days, its near end is told of at once."""
    await _put(subscriber, "a-secret", START + 100 * DAY)
    await subscriber.at(START)
    soon = {"attributes": {"exp": int((START + 20 * DAY).timestamp())}}
    await subscriber.contoso.vault("PATCH", "/secrets/a-secret/", soon)
    assert await subscriber.at(START) == [("Microsoft.KeyVault.SecretNearExpiry", "a-secret")]


async def test_each_schema_has_its_handshake(subscriber: Subscriber) -> None:
    """Before the first delivery in a schema the endpoint is asked in that schema's way, and only once."""
    await _put(subscriber, "one", START + 100 * DAY)
    await _put(subscriber, "two", START + 100 * DAY)
    await subscriber.at(START)
    assert subscriber.shaken == ["Microsoft.EventGrid.SubscriptionValidationEvent"]
    await subscriber.contoso.control("PUT", "/switches", {"vault_events": "cloud_events"})
    await _put(subscriber, "three", START + 100 * DAY)
    await subscriber.at(START)
    assert subscriber.shaken[1:] == ["OPTIONS"]
    event = subscriber.told[-1]
    assert (event["specversion"], event["type"]) == ("1.0", "Microsoft.KeyVault.SecretNewVersionCreated")
    assert event["data"]["ObjectName"] == "three"


async def test_a_delivery_is_repeated_until_it_is_taken(subscriber: Subscriber) -> None:
    """What the endpoint refuses comes again at Event Grid's intervals, under the same id, and is then left alone."""
    await _put(subscriber, "a-secret", START + 100 * DAY)
    subscriber.status = 500
    assert len(await subscriber.at(START)) == 1
    assert await subscriber.at(START + timedelta(seconds=9)) == []
    assert len(await subscriber.at(START + timedelta(seconds=11))) == 1
    subscriber.status = 202
    assert await subscriber.at(START + timedelta(seconds=30)) == []
    assert len(await subscriber.at(START + timedelta(seconds=43))) == 1
    assert await subscriber.at(START + DAY) == []
    assert len({event["id"] for event in subscriber.told}) == 1
    [event] = await subscriber.raised()
    assert (event["attempts"], event["settled"]) == (3, True)


async def test_a_delivery_is_given_up_after_a_day(subscriber: Subscriber) -> None:
    """An endpoint that refuses for 24 hours is not asked again."""
    await _put(subscriber, "a-secret", START + 100 * DAY)
    subscriber.status = 503
    for hour in range(30):
        await subscriber.at(START + timedelta(hours=hour))
    [event] = await subscriber.raised()
    assert (event["delivered"], event["settled"]) == (None, True)
    assert event["attempts"] < 30


async def test_a_delivery_may_come_twice(subscriber: Subscriber) -> None:
    """What was taken may be delivered once more."""
    await subscriber.contoso.control("PUT", "/switches", {"event_repeat_share": 1.0})
    await _put(subscriber, "a-secret", START + 100 * DAY)
    assert len(await subscriber.at(START)) == 1
    assert len(await subscriber.at(START + timedelta(minutes=1))) == 1
    assert await subscriber.at(START + timedelta(minutes=2)) == []
    assert subscriber.told[0] == subscriber.told[1]


async def test_without_a_subscription_an_event_is_lost(subscriber: Subscriber) -> None:
    """What is raised while nobody is subscribed is not delivered later."""
    await subscriber.contoso.control("PUT", "/switches", {"vault_events": "none"})
    await _put(subscriber, "a-secret", START + 100 * DAY)
    await subscriber.at(START)
    await subscriber.contoso.control("PUT", "/switches", {"vault_events": "event_grid"})
    assert await subscriber.at(START + DAY) == []
