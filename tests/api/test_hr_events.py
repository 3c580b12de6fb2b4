"""The webhooks over the wire: what is taken within a second, what is refused and recorded, what comes twice."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from clients.settings import read_settings
from clients.tenant import Tenant
from sandbox.hr_system import sign
from sso.webhooks import Delivery
from tests.api.answers import nothing_changes, problem, shaped, until
from tests.api.hosts import another_host
from tests.api.test_queues import Messages, messages
from tests.api.test_signed_in import NAME, OPERATE, PRINCIPAL, READ
from tests.people.hr_system import BAMBOO_KEY, KEY, bamboohr, delivery, event, keep_keys
from tests.rules.test_caller import header
from tests.world import Reply, World

__all__ = ["messages"]

NOBODY = "nobody@contoso.com"  # leaves at once and changes nothing: what is tested is the way there


@pytest.fixture(scope="module")
async def keyed(quiet: World) -> World:
    """The world with the keys of both senders."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in quiet.state.env.items():
            environment.setenv(name, value)
        # aiohttp reads SSL_CERT_FILE only once, when it is imported: long before this sandbox.
        aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(quiet.state.env["SSL_CERT_FILE"])  # noqa: SLF001
        tenant = Tenant.connect(read_settings())
        await keep_keys(tenant)
        await keep_keys(tenant, "gatehouse-webhook-bamboohr", BAMBOO_KEY)
        await tenant.close()
    return quiet


async def send(world: World, given: Delivery, path: str = "/hr-events") -> Reply:
    """Post a delivery as it is."""
    return await world.api("POST", path, data=given.body, headers=dict(given.headers))


def _now() -> datetime:
    return datetime.now(UTC)


async def test_event_is_taken_and_worked(keyed: World) -> None:
    """A signed event is answered 202 within a second with its operation, which then ends by itself."""
    took = []
    for place in range(5):  # the first one imports its story and asks the vault; others may meet a busy machine
        began = _now()
        reply = await send(keyed, delivery(event("leaver", began, NOBODY), began, f"msg_taken_{place}"))
        took.append(_now() - began)
        assert reply.status == 202, reply.text
    assert min(took) < timedelta(seconds=1)
    shaped("operations", reply.body)
    (opened,) = reply.body["items"]
    assert (opened["kind"], opened["vendor"], opened["instance"]) == ("hr_event", None, None)
    assert opened["requested_by"] == "https://hr.contoso.com"
    rested = await keyed.rest(opened["operation"])
    assert rested["state"] == "done", rested
    shaped("operation", rested)


async def test_second_delivery_opens_nothing(keyed: World) -> None:
    """The same id answers with the operations that are there, a finished one is left alone; other content is 409."""
    now = _now()
    batch = [event("leaver", now, NOBODY, id="1"), event("leaver", now, NOBODY, id="2")]
    first = await send(keyed, delivery(batch, now, "msg_twice"))
    again = await send(keyed, delivery(batch, now + timedelta(seconds=3), "msg_twice"))
    assert (first.status, again.status) == (202, 202)
    ids = [one["operation"] for one in first.body["items"]]
    assert len(set(ids)) == 2
    assert [one["operation"] for one in again.body["items"]] == ids
    for operation in ids:
        await keyed.rest(operation)
    third = await send(keyed, delivery(batch, now, "msg_twice"))
    assert [one["state"] for one in third.body["items"]] == ["done", "done"]
    other = delivery([event("joiner", now, NOBODY, id="1"), batch[1]], now, "msg_twice")
    problem(await send(keyed, other), 409, "webhook-id")


async def _refused(tenant: Tenant) -> int:
    return sum((await tenant.ledger.refused(_now())).values())


async def test_delivery_that_proves_nothing_is_counted(keyed: World, tenant: Tenant) -> None:
    """Wrong signature, old timestamp, changed body, no headers: 401 each, none taken, each counted in health."""
    now = _now()
    said = delivery(event("leaver", now), now, "msg_bad")
    old = now - timedelta(minutes=6)
    bad = [
        Delivery(
            {**said.headers, **sign(said.body, "msg_bad", now, [b"a key that somebody else has made"])}, said.body
        ),
        Delivery({**said.headers, **sign(said.body, "msg_bad", old, [KEY])}, said.body),
        Delivery(said.headers, said.body.replace(b"leaver", b"joiner")),
        Delivery({"content-type": said.headers["content-type"]}, said.body),
    ]
    before = await _refused(tenant)
    async with nothing_changes(keyed):
        for given in bad:
            problem(await send(keyed, given), 401)
        problem(await send(keyed, Delivery({}, b"{}"), "/hr-events/bamboohr"), 401)
    assert await _refused(tenant) == before + len(bad) + 1
    checks = {check["name"]: check["detail"] for check in (await keyed.api("GET", "/health")).body["checks"]}
    assert "hr-events: webhook-signature" in checks["webhooks"]


# Bodies that are signed and say nothing

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NO_TEXT = JSON.filter(lambda value: not isinstance(value, str))
BREAKS: dict[str, st.SearchStrategy[Any]] = {
    "specversion": JSON.filter(lambda value: value != "1.0"),
    "id": NO_TEXT | st.just("") | st.text(min_size=201, max_size=300),
    "source": NO_TEXT | st.just("a\nb"),
    "type": JSON,
    "subject": NO_TEXT | st.just(" b.simon@contoso.com"),
    "time": JSON | st.just("2026-13-01T00:00:00Z"),
    "datacontenttype": st.just("text/plain") | st.integers(),
    "data": st.lists(JSON, max_size=2)
    | st.fixed_dictionaries({"attributes": NO_TEXT.filter(lambda value: not isinstance(value, dict))}),
}


@st.composite
def malformed(draw: st.DrawFn) -> bytes:
    """A good event with a field broken or left out, or bytes cut off or of another kind."""
    good = event("leaver", datetime(2026, 7, 1, tzinfo=UTC))
    way = draw(st.sampled_from(["field", "field", "missing", "cut", "other", "bytes"]))
    if way == "bytes":
        return draw(st.binary(max_size=60).filter(lambda raw: raw[:1] not in (b"{", b"[")))
    if way == "other":
        return json.dumps(draw(JSON.filter(lambda value: not isinstance(value, dict)))).encode()
    if way == "cut":
        raw = json.dumps(good).encode()
        return raw[: draw(st.integers(0, len(raw) - 1))]
    if way == "missing":
        good.pop(draw(st.sampled_from(["specversion", "id", "source", "type", "subject", "time"])))
    else:
        name = draw(st.sampled_from(sorted(BREAKS)))
        good[name] = draw(BREAKS[name])
    return json.dumps(good).encode()


SEEN: list[int] = []


@pytest.fixture
async def unmoved(keyed: World, tenant: Tenant) -> AsyncIterator[World]:
    """The world, in which every malformed body was kept and no operation came of any."""
    before, kept = await _refused(tenant), len(await tenant.ledger.unreadable())
    async with nothing_changes(keyed):
        yield keyed
    assert await _refused(tenant) - before == len(SEEN)
    assert len(await tenant.ledger.unreadable()) - kept >= len(SEEN) - 5  # two of one body in a millisecond are one row


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@drawn(malformed())
async def test_malformed_body_is_refused_and_kept(unmoved: World, body: bytes) -> None:
    """Three hundred signed bodies that say nothing readable are refused with reasons, each counted and kept."""
    SEEN.append(1)
    now = _now()
    reply = await send(unmoved, delivery(body, now, f"msg_malformed_{len(SEEN)}"))
    assert reply.status == 400, (body, reply.text)
    assert all(detail.strip() for detail in problem(reply, 400))


async def test_neighbours_of_a_broken_event_are_worked(keyed: World) -> None:
    """In a batch a broken event becomes a failed operation with its reasons, and the others are worked."""
    now = _now()
    batch = [event("leaver", now, NOBODY, id="ok"), {**event("leaver", now), "time": "yesterday"}]
    reply = await send(keyed, delivery(batch, now, "msg_neighbours"))
    assert reply.status == 202, reply.text
    good, broken = reply.body["items"]
    assert broken["state"] == "failed"
    assert broken["reasons"][0]["field"] == "[1].time"
    assert (await keyed.rest(good["operation"]))["state"] == "done"
    problem(await send(keyed, Delivery({**sign(b"{}", "x", now, [KEY]), "ce-type": "x"}, b"{}")), 415, "content-type")
    long = b"[" + b" " * 131_072 + b"]"
    problem(await send(keyed, delivery(long, now, "msg_long")), 413)


async def test_bamboohr_is_taken(keyed: World) -> None:
    """BambooHR's own webhook opens an operation for each employee that it names."""
    now = _now()
    employee = {
        "id": "7",
        "action": "Updated",
        "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "changedFields": ["Status"],
        "fields": {"Work Email": NOBODY, "Status": "Inactive"},
    }
    reply = await send(keyed, bamboohr([employee], now), "/hr-events/bamboohr")
    assert reply.status == 202, reply.text
    (opened,) = shaped("operations", reply.body)["items"]
    assert opened["requested_by"] == "bamboohr"
    assert (await keyed.rest(opened["operation"]))["state"] == "done"


async def test_signed_in_caller_needs_no_signature(keyed: World) -> None:
    """Where callers sign in, one who may operate is taken without a signature, and one who may not is refused."""
    now = _now()
    body = event("leaver", now, NOBODY, id="from-the-logic-app")
    media = {"content-type": "application/cloudevents+json"}
    async with another_host(keyed, {"GATEHOUSE_REQUIRE_SIGNED_IN": "true"}) as host:
        operator = {PRINCIPAL: header(NAME, OPERATE)}
        reader = {PRINCIPAL: header(NAME, READ)}
        first = await host.call("POST", "/api/hr-events", body, **media, **operator)
        assert first.status == 202, first.text
        assert first.body["items"][0]["caller"]
        again = await host.call("POST", "/api/hr-events", body, **media, **operator)
        assert again.body["items"][0]["operation"] == first.body["items"][0]["operation"]
        problem(await host.call("POST", "/api/hr-events", body, **media, **reader), 403, "caller")
        problem(await host.call("POST", "/api/hr-events", body, **media), 401, "webhook-id")
    # Without the setting anybody could write that header, so it counts for nothing.
    reply = await keyed.api("POST", "/hr-events", body, headers={**media, **operator})
    problem(reply, 401, "webhook-id")


async def test_poisoned_event_is_seen_and_replayed(keyed: World, messages: Messages) -> None:
    """A message that cannot be worked fails its operation with the reason; a replay works the event after all."""
    now = _now()
    coming = event("leaver", now, NOBODY, id="poison", effective=now + timedelta(days=9))
    reply = await send(keyed, delivery(coming, now, "msg_poison"))
    operation = reply.body["items"][0]["operation"]

    async def failed() -> bool:
        return bool((await keyed.operation(operation))["state"] == "failed")

    await keyed.rest(operation)
    later = event("joiner", now, NOBODY, id="poison-2", effective=now + timedelta(days=9))
    operation = (await send(keyed, delivery(later, now, "msg_poison_2"))).body["items"][0]["operation"]
    assert (await keyed.rest(operation))["waiting_for"]["what"] == "account"
    await messages.put("hr-events-poison", {"operation": operation})
    await until(failed)
    assert "hr-events" in (await keyed.operation(operation))["reasons"][0]["detail"]
    replayed = await keyed.api("POST", f"/operations/{operation}/replay")
    assert replayed.status == 202
    assert (await keyed.rest(operation))["waiting_for"]["what"] == "account"
