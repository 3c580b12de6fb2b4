"""Event Grid triggers over the wire: both handshakes, both schemas, and what Event Grid is told of a delivery."""

import json
from typing import Any

import pytest

from sandbox.certificate_authority import LoopbackCertificate
from tests.host.conftest import RunningHost, serving

HOOK = "/runtime/webhooks/EventGrid?functionName=on_event"


async def _deliver(host: RunningHost, body: Any, kind: str = "Notification", path: str = HOOK) -> tuple[int, Any]:
    async with host.client.post(f"{host.url}{path}", json=body, headers={"aeg-event-type": kind}) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else None


def _event(name: str, **data: Any) -> dict[str, Any]:
    return {
        "id": name,
        "topic": "/subscriptions/0/vaults/v",
        "subject": "a-secret",
        "eventType": "Microsoft.KeyVault.SecretNearExpiry",
        "eventTime": "2027-03-01T12:00:00.1234567Z",
        "data": data,
        "dataVersion": "1",
        "metadataVersion": "1",
    }


async def test_answers_the_handshake_of_the_event_grid_schema(host: RunningHost) -> None:
    """A validation event is answered with its code, and no function runs."""
    body = [{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "a code"}}]
    assert await _deliver(host, body, "SubscriptionValidation") == (200, {"validationResponse": "a code"})
    assert host.reports.count("event") == 0


async def test_answers_the_handshake_of_cloud_events(host: RunningHost) -> None:
    """OPTIONS with the asking origin is answered with the origin that may deliver."""
    origin = {"WebHook-Request-Origin": "eventgrid.azure.net"}
    async with host.client.options(f"{host.url}{HOOK}", headers=origin) as response:
        assert (response.status, response.headers["WebHook-Allowed-Origin"]) == (200, "eventgrid.azure.net")
    async with host.client.options(f"{host.url}{HOOK}") as response:
        assert response.status == 400


async def test_runs_the_function_once_for_each_event(host: RunningHost) -> None:
    """An array of two events is two invocations, and the delivery is accepted."""
    assert await _deliver(host, [_event("one", n=1), _event("two", n=2)]) == (202, None)
    seen = sorted([await host.reports.next("event") for _ in range(2)], key=lambda report: str(report["id"]))
    assert [(report["id"], report["data"]) for report in seen] == [("one", {"n": 1}), ("two", {"n": 2})]
    assert {(report["kind"], report["cloud"], report["dated"]) for report in seen} == {
        ("Microsoft.KeyVault.SecretNearExpiry", False, True)
    }


async def test_hands_over_a_cloud_event(host: RunningHost) -> None:
    """A single object with `specversion` arrives as a CloudEvent, in whatever case the extension is written."""
    event = {"specversion": "1.0", "id": "c", "type": "t", "source": "s", "time": "2027-03-01T12:00:00Z", "data": {}}
    assert await _deliver(host, event, path=HOOK.replace("EventGrid", "eventgrid")) == (202, None)
    report = await host.reports.next("event")
    assert (report["id"], report["kind"], report["cloud"], report["dated"]) == ("c", "t", True, True)


async def test_asks_for_the_whole_delivery_again_where_one_event_failed(host: RunningHost) -> None:
    """Where one of two invocations fails the answer is 500, though the other one ran."""
    assert (await _deliver(host, [_event("good"), _event("bad", fail=True)]))[0] == 500
    assert {(await host.reports.next("event"))["id"] for _ in range(2)} == {"good", "bad"}


@pytest.mark.parametrize(
    ("body", "kind", "path", "status"),
    [
        ([], "Unsubscribe", HOOK, 202),
        ([_event("x")], "Notification", HOOK.replace("on_event", "nobody"), 404),
        ([_event("x")], "Notification", HOOK.replace("on_event", "on_order"), 404),
        ([_event("x")], "Something", HOOK, 400),
        ([], "Notification", HOOK, 400),
        ("text", "Notification", HOOK, 400),
        ([{"data": {}}], "SubscriptionValidation", HOOK, 400),
    ],
)
async def test_answers_with_the_extensions_statuses(
    host: RunningHost, body: Any, kind: str, path: str, status: int
) -> None:
    """An end of a subscription is accepted, an unknown function is 404, anything else that fits nothing 400."""
    assert (await _deliver(host, body, kind, path))[0] == status
    assert host.reports.count("event") == 0


async def test_wants_the_system_key_when_told_to(
    certificate: LoopbackCertificate, storage: str, master_key: str
) -> None:
    """With --enable-auth the extension's own key opens the webhook, and a function's key does not."""
    async with serving(certificate, storage, "--enable-auth", SANDBOX_HOST_MASTER_KEY=master_key) as host:
        master = {"x-functions-key": master_key}
        keys = []
        for path in ("host/systemkeys/eventgrid_extension", "functions/on_event/keys"):
            async with host.client.get(f"{host.url}/admin/{path}", headers=master) as response:
                found = await response.json()
                keys.append(found.get("value") or found["keys"][0]["value"])
        system, function = keys
        assert (await _deliver(host, [_event("x")]))[0] == 401
        assert (await _deliver(host, [_event("x")], path=f"{HOOK}&code={function}"))[0] == 401
        assert (await _deliver(host, [_event("x")], path=f"{HOOK}&code={system}"))[0] == 202
