"""The vault says that a secret ends soon: one rotation is opened, however often and beside whatever it is said."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import handlers.applications
import handlers.rotation
from sso.caller import Caller
from sso.errors import NotReady, Refused
from sso.model import Key
from sso.operation import Operation
from sso.vault_events import NEAR_EXPIRY
from tests.api.answers import until
from tests.stories.hostless import Hostless
from tests.world import World
from vendors.slug import parse_slug

KEY = Key(parse_slug("smarttrace"), "default")
DUE = 136  # days after which a secret of 180 days has 44 left, of the 45 before its end that its profile renews at


@pytest.fixture
async def due(hostless: Hostless) -> Hostless:
    """SmartTrace, onboarded, on a day when its secret is due."""
    await hostless.accept("smarttrace")
    await hostless.run_all()
    await hostless.pass_time(days=DUE)
    return hostless


async def _event(world: World, number: int = -1, **changed: Any) -> dict[str, Any]:
    """The data of an event about one version of SmartTrace's secret."""
    version = (await world.dump())["vault"][KEY.secret_name]["versions"][number]["version"]
    return {"ObjectType": "Secret", "ObjectName": KEY.secret_name, "Version": version, "EXP": "soon", **changed}


async def _near(hostless: Hostless, data: Any, kind: str = NEAR_EXPIRY) -> bool:
    return await handlers.rotation.near_expiry(hostless.tenant, kind, data, hostless.now)


async def _rotations(hostless: Hostless) -> list[Operation]:
    found, _ = await hostless.tenant.ledger.operations()
    return [operation for operation in found if operation.kind == "rotation"]


async def _secrets(world: World) -> int:
    return len((await world.application("smarttrace"))["passwordCredentials"])


async def test_an_event_opens_the_rotation_that_the_timer_would(due: Hostless) -> None:
    """The current version's near end opens one rotation of its credential, and its message carries it out."""
    assert await _near(due, await _event(due.world))
    await due.run_all()
    [operation] = await _rotations(due)
    assert [step.step for step in operation.steps] == ["mint_secret", "promote_secret", "mail_handoff", "mail_code"]
    assert operation.waiting_for is not None
    assert operation.waiting_for.what == "acknowledgement"
    assert await handlers.rotation.tick(due.tenant, due.now) == 0


async def test_event_five_times_and_two_timers_at_once_are_one_rotation(due: Hostless) -> None:
    """Seven that find the same secret due at the same moment open one operation, and one secret is minted."""
    data = await _event(due.world)
    openers: list[Awaitable[Any]] = [_near(due, data) for _ in range(5)]
    openers += [handlers.rotation.tick(due.tenant, due.now) for _ in range(2)]
    opened = await asyncio.gather(*openers)
    assert sum(opened) == 1
    messages = await due.take()
    assert {message.operation for message in messages} == {(await _rotations(due))[0].id}
    await asyncio.gather(*(due.run(message) for message in messages))
    await due.run_all()
    assert len(await _rotations(due)) == 1
    assert await _secrets(due.world) == 2


async def test_a_request_and_a_timer_at_once_are_one_rotation(due: Hostless) -> None:
    """Whichever of the two is first opens it; a request that comes second is told of the operation that is there."""
    rotate = handlers.rotation.rotate(due.tenant, KEY, {"reason": "planned"}, Caller(None, None), due.now)
    asked, ticked = await asyncio.gather(rotate, handlers.rotation.tick(due.tenant, due.now), return_exceptions=True)
    [operation] = await _rotations(due)
    if isinstance(asked, Operation):
        assert (asked.id, ticked) == (operation.id, 0)
    else:
        assert isinstance(asked, Refused)
        assert (asked.status, ticked) == (409, 1)
        assert operation.id in str(asked)
    await due.run_all()
    assert await _secrets(due.world) == 2


async def test_an_event_wakes_a_rotation_that_was_left_lying(due: Hostless) -> None:
    """Where the operation is there and its message was lost, a further event sends it, and opens nothing."""
    await _near(due, await _event(due.world))
    assert await due.take()
    assert not await _near(due, await _event(due.world))
    [message] = await due.take()
    await due.run(message)
    assert len(await _rotations(due)) == 1
    assert await _secrets(due.world) == 2


def _made_anew(data: dict[str, Any]) -> tuple[str, Any]:
    return "Microsoft.KeyVault.SecretNewVersionCreated", data


def _staged(data: dict[str, Any]) -> tuple[str, Any]:
    return NEAR_EXPIRY, {**data, "ObjectName": KEY.staged_secret_name}


def _foreign(data: dict[str, Any]) -> tuple[str, Any]:
    return NEAR_EXPIRY, {**data, "ObjectName": "payroll-database"}


def _without_version(data: dict[str, Any]) -> tuple[str, Any]:
    return NEAR_EXPIRY, {**data, "Version": None}


def _unknown_vendor(data: dict[str, Any]) -> tuple[str, Any]:
    return NEAR_EXPIRY, {**data, "ObjectName": "gatehouse-nobody-default-client-secret"}


def _unknown_instance(data: dict[str, Any]) -> tuple[str, Any]:
    return NEAR_EXPIRY, {**data, "ObjectName": "gatehouse-smarttrace-emea-client-secret"}


def _other_version(data: dict[str, Any]) -> tuple[str, Any]:
    return NEAR_EXPIRY, {**data, "Version": "0" * 32}


@pytest.mark.parametrize(
    ("other", "looks"),
    [
        (_made_anew, False),
        (_staged, False),
        (_foreign, False),
        (_without_version, False),
        (_unknown_vendor, False),
        (_unknown_instance, True),
        (_other_version, True),
    ],
)
async def test_what_is_not_about_a_current_secret_opens_nothing(
    due: Hostless,
    caplog: pytest.LogCaptureFixture,
    other: Callable[[dict[str, Any]], tuple[str, Any]],
    looks: bool,
) -> None:
    """Our own writes, staged, foreign and unknown names and other versions are ignored with one line in the log."""
    kind, data = other(await _event(due.world))
    before = await due.world.last_call()
    with caplog.at_level(logging.INFO, "handlers.rotation"):
        assert not await _near(due, data, kind)
    looked = await due.world.calls(before)
    assert [record.message.startswith("ignored an event of the vault") for record in caplog.records] == [True]
    assert await _rotations(due) == []
    assert await due.left() == {}
    assert bool(looked) == looks


async def test_the_old_version_is_no_reason_to_rotate_the_new_one(due: Hostless) -> None:
    """Once a successor is current, late events of its predecessor, near or at its end, open nothing."""
    await _near(due, await _event(due.world))
    await due.run_all()
    await due.pass_time(days=30)
    assert not await _near(due, await _event(due.world, number=0))
    assert len(await _rotations(due)) == 1
    assert await due.left() == {}


async def test_an_event_that_comes_before_the_profiles_time_opens_nothing(hostless: Hostless) -> None:
    """The profile says when a secret is renewed, not the vault: an event that is too early is ignored."""
    await hostless.accept("smarttrace")
    await hostless.run_all()
    assert not await _near(hostless, await _event(hostless.world))
    assert await _rotations(hostless) == []


async def test_a_vault_that_does_not_answer_lets_the_event_come_again(due: Hostless) -> None:
    """Where the vault does not answer nothing is opened, and the event ends in an error: it is delivered again."""
    data = await _event(due.world)
    gone = {"service": "vault", "operation": "GET /secrets/{name}/versions", "fault": "throttle", "retry_after": 60}
    await due.world.control("PUT", "/faults", [gone])
    with pytest.raises(NotReady):
        await _near(due, data)
    await due.world.control("PUT", "/faults", [])
    assert await _rotations(due) == []
    assert await _near(due, data)


async def test_a_leak_is_rotated_while_an_earlier_rotation_waits_for_its_vendor(due: Hostless) -> None:
    """A secret that leaks while its hand-off waits for the vendor is succeeded and removed; both rotations end."""
    await _near(due, await _event(due.world))
    await due.run_all()
    await due.pass_time(hours=1)
    asked = handlers.rotation.rotate(due.tenant, KEY, {"reason": "compromised"}, Caller(None, None), due.now)
    leaked = (await _event(due.world))["Version"]
    assert (await asked).kind == "rotation"
    await due.run_all()
    versions = (await due.world.dump())["vault"][KEY.secret_name]["versions"]
    assert [version["enabled"] for version in versions if version["version"] == leaked] == [False]
    assert await _secrets(due.world) == 2
    newest = (await due.world.dump())["vault"][KEY.secret_name]["versions"][-1]["tags"]["key-id"]
    said = {"key_id": newest, "by": "SmartTrace"}
    await handlers.applications.acknowledge(due.tenant, KEY, said, due.now)
    await due.pass_time(days=15)
    for operation in await _rotations(due):
        await due.tenant.queues.send("rotations", operation.id)
    await due.run_all()
    assert {operation.state for operation in await _rotations(due)} == {"done"}
    assert await _secrets(due.world) == 1


@pytest.mark.parametrize("schema", ["event_grid", "cloud_events"])
async def test_the_vaults_own_event_reaches_the_app_in_either_schema(world: World, schema: str) -> None:
    """When a secret's end comes near, the vault's event goes through the host, and nothing else opens the rotation.

    An administrator's hand moves the end, because the app's own clock is the wall's.
    """
    await world.control("PUT", "/switches", {"vault_events": schema, "event_repeat_share": 1.0})
    await world.onboard("smarttrace")
    await world.collect("smarttrace")
    application = await world.application("smarttrace")
    ends = datetime.now(UTC) + timedelta(days=20)
    [credential] = application["passwordCredentials"]
    began = ends - timedelta(days=180)
    lived = {"startDateTime": f"{began:%Y-%m-%dT%H:%M:%SZ}", "endDateTime": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}
    moved = {"passwordCredentials": [{**credential, **lived}]}
    await world.control("PUT", f"/objects/applications/{application['id']}", moved)
    assert await _kinds(world) == ["onboarding"]
    await world.control("PUT", "/clock", {"now": (datetime.now(UTC) + timedelta(days=151)).isoformat()})
    await until(lambda: _is_rotated(world))
    assert await _secrets(world) == 2
    assert sorted(await _kinds(world)) == ["onboarding", "rotation"]


async def _kinds(world: World) -> list[str]:
    return [operation["kind"] for operation in (await world.api("GET", "/operations")).body["items"]]


async def _is_rotated(world: World) -> bool:
    events = await world.control("GET", "/events")
    near = [event for event in events if event["type"] == NEAR_EXPIRY and event["delivered"]]
    operations = (await world.api("GET", "/operations?state=waiting")).body["items"]
    return bool(near) and any(
        operation["kind"] == "rotation" and operation["waiting_for"]["what"] == "acknowledgement"
        for operation in operations
    )
