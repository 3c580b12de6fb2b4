"""A rotation waits for the end of a freeze, and for its release where a day has retired too much."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

import handlers.applications
import handlers.onboarding
import handlers.operations
import handlers.rotation
from sso.caller import Caller
from sso.errors import Refused
from sso.model import Key, OperationId, key_of
from sso.operation import Operation
from tests.stories.hostless import Hostless

CALLER = Caller(None, None)


@pytest.fixture
async def winter(hostless: Hostless) -> AsyncIterator[Hostless]:
    """A deployment that freezes at the turn of the year and retires one credential a day, on 22 December."""
    hostless.settings |= {
        "GATEHOUSE_FREEZE": "12-20..01-05",
        "GATEHOUSE_BRAKE_SHARE": "0",
        "GATEHOUSE_BRAKE_FLOOR": "1",
    }
    hostless.now = datetime(hostless.now.year + 1, 12, 22, 9, tzinfo=UTC)
    yield hostless
    await hostless.world.control("PUT", "/clock", {"rate": 1})


async def onboarded(hostless: Hostless, instance: str = "default") -> Key:
    """An instance of Hellotracks that was handed over and acknowledged."""
    await hostless.at(hostless.now)
    await hostless.accept("hellotracks", instance=instance)
    await hostless.run_all()
    key = key_of("hellotracks", instance)
    await acknowledge(hostless, key)
    return key


async def acknowledge(hostless: Hostless, key: Key) -> None:
    """The vendor says by telephone that the current secret is installed."""
    shown = await handlers.applications.find(hostless.tenant, key, hostless.now)
    current = next(c["id"] for c in shown["credentials"] if c["state"] == "current")
    body = {"key_id": current, "by": "Dana of the vendor"}
    await handlers.applications.acknowledge(hostless.tenant, key, body, hostless.now)
    await hostless.run_all()


async def rotate(hostless: Hostless, key: Key, reason: str = "planned") -> Operation:
    """Ask for a rotation, and let it run as far as it goes; two credentials of a minute would have to wait."""
    await hostless.pass_time(minutes=1)
    operation = await handlers.rotation.rotate(hostless.tenant, key, {"reason": reason}, CALLER, hostless.now)
    await hostless.run_all()
    return await hostless.operation(operation.id)


async def run(hostless: Hostless, operation: OperationId) -> Operation:
    """Let one operation run, and return it."""
    await handlers.onboarding.run(hostless.tenant, operation, hostless.now)
    return await hostless.operation(operation)


async def test_a_rotation_waits_for_the_end_of_a_freeze(winter: Hostless) -> None:
    """Within it nothing is minted or mailed and the operation says until when; afterwards it goes on by itself."""
    key = await onboarded(winter)
    before, mails = await winter.world.last_call(), len(await winter.world.mailbox())
    waiting = await rotate(winter, key)
    assert waiting.waiting_for is not None
    assert (waiting.state, waiting.waiting_for.what) == ("waiting", "time")
    assert waiting.waiting_for.whom == f"the end of the freeze on {winter.now.year + 1}-01-06"
    assert waiting.not_before == datetime(winter.now.year + 1, 1, 6, tzinfo=UTC)
    assert await winter.world.writes(before) == []
    assert len(await winter.world.mailbox()) == mails
    winter.now = waiting.not_before + timedelta(minutes=5)
    await winter.at(winter.now)
    assert await handlers.operations.sweep(winter.tenant, winter.now) == 1
    await winter.run_all()
    handed_over = await winter.operation(waiting.id)
    assert [step.step for step in handed_over.steps] == ["mint_secret", "promote_secret", "mail_handoff", "mail_code"]


async def test_a_compromised_secret_is_renewed_in_a_freeze(winter: Hostless) -> None:
    """Neither freeze nor brake stops what somebody reports as compromised."""
    keys = [await onboarded(winter), await onboarded(winter, "second")]
    for key in keys:
        operation = await rotate(winter, key, "compromised")
        assert operation.steps[-1].step == "retire_secret"


async def test_an_end_within_a_freeze_is_renewed_all_the_same(winter: Hostless) -> None:
    """A secret that would end before its vendor had time is succeeded within the freeze, and the steps say why."""
    winter.now -= timedelta(days=155)
    key = await onboarded(winter)
    winter.later(days=155)
    await winter.at(winter.now)
    assert await handlers.rotation.tick(winter.tenant, winter.now) == 1
    await winter.run_all()
    (operation,) = await winter.tenant.ledger.unfinished_of(key)
    assert operation.waiting_for is not None
    assert operation.waiting_for.what == "acknowledgement"
    assert "In spite of the freeze until" in operation.steps[0].sentence


async def test_too_many_retirements_wait_for_a_release(winter: Hostless) -> None:
    """One goes in a day, the others are stopped, the operators are told once, and one release lets all go on."""
    winter.now = datetime(winter.now.year, 3, 1, 9, tzinfo=UTC)
    keys = [await onboarded(winter, instance) for instance in ("one", "two", "three")]
    operations = []
    for key in keys:
        operations.append(await rotate(winter, key))
        await acknowledge(winter, key)
    winter.later(days=15)
    await winter.at(winter.now)
    ended = [await run(winter, operation.id) for operation in operations]
    assert [operation.state for operation in ended] == ["done", "waiting", "waiting"]
    assert [o.waiting_for.what for o in ended if o.waiting_for] == ["release", "release"]
    assert "1 were removed within a day" in ended[1].reasons[0].detail
    winter.later(days=2)
    assert [(await run(winter, operation.id)).state for operation in ended[1:]] == ["waiting", "waiting"]
    told = [mail for mail in await winter.world.mailbox() if "has stopped removing" in mail["subject"]]
    assert [mail["to"] for mail in told] == [["identity-team@contoso.com"]]
    await handlers.operations.release(winter.tenant, ended[2].id)
    await winter.run_all()
    assert [(await winter.operation(operation.id)).state for operation in ended] == ["done", "done", "done"]
    with pytest.raises(Refused, match="waits for no release"):
        await handlers.operations.release(winter.tenant, ended[2].id)
