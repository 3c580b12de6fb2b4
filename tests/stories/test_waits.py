"""How long an operation waits for what does not show, and who is told when it gives up."""

from datetime import timedelta

import handlers.operations
from sso.model import OperationId
from sso.operation import Operation
from tests.stories.administrator import remove
from tests.stories.hostless import Delivered, Hostless
from tests.stories.mails import others


async def _never_shown(hostless: Hostless) -> OperationId:
    """An onboarding whose service principal vanished after it was made: no replica will ever show it again."""
    hostless.settings["GATEHOUSE_WAIT_SCALE"] = "0.01"
    accepted = await hostless.accept("smarttrace")
    await hostless.run_all()
    await remove(hostless.world, "service_principals", (await hostless.world.service_principal("smarttrace"))["id"])
    await handlers.operations.replay(hostless.tenant, accepted.id, hostless.now)
    await hostless.take()
    return accepted.id


async def _run(hostless: Hostless, operation: OperationId) -> Operation:
    await hostless.run(Delivered("onboardings", operation, None))
    return await hostless.operation(operation)


async def test_what_does_not_show_is_waited_for_through_the_queue(hostless: Hostless) -> None:
    """While something made does not show the operation waits for replication, since one moment across its runs."""
    operation = await _never_shown(hostless)
    first = await _run(hostless, operation)
    assert first.state == "waiting"
    assert first.waiting_for is not None
    assert first.waiting_for.what == "replication"
    assert await hostless.left() == {"onboardings": 1}
    hostless.later(seconds=10)
    again = await _run(hostless, operation)
    assert again.waiting_for == first.waiting_for


async def test_waiting_for_replication_ends_after_half_an_hour(hostless: Hostless) -> None:
    """What no replica shows for 30 minutes, in the deployment's measure, fails the operation; the owner is told."""
    operation = await _never_shown(hostless)
    first = await _run(hostless, operation)
    assert first.waiting_for is not None
    seen = len(await hostless.world.mailbox())
    hostless.now = first.waiting_for.since + timedelta(seconds=9)  # a run takes real seconds, and the limit is at 18
    assert (await _run(hostless, operation)).state == "waiting"
    hostless.now = first.waiting_for.since + timedelta(seconds=19)
    failed = await _run(hostless, operation)
    assert failed.state == "failed"
    assert "not in every replica yet" in failed.reasons[0].detail
    (mail,) = others((await hostless.world.mailbox())[seen:])
    assert mail["to"] == ["app-owner@contoso.com"]
    assert operation in mail["text"]
