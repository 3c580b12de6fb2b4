"""What the timers find: what is due is renewed once, what failed is tried daily, and no reminder is lost."""

import handlers.applications
import handlers.handoff
import handlers.operations
import handlers.rotation
from sso.model import key_of
from sso.operation import Operation
from tests.stories.hostless import Hostless
from tests.stories.mails import code_of, codes, handoffs, link_of

DUE = 136  # days after which a secret of 180 days has 44 left, of the 45 before its end that a profile renews at


async def _onboarded(hostless: Hostless) -> None:
    await hostless.accept("smarttrace")
    await hostless.run_all()
    await _acknowledge(hostless, "smarttrace")


async def _acknowledge(hostless: Hostless, vendor: str) -> None:
    """The vendor says by telephone that what was handed over is installed."""
    key = key_of(vendor, "default")
    page = (await hostless.tenant.ledger.pages(key))[0]
    body = {"thumbprint": page.credential, "by": "support"}
    await handlers.applications.acknowledge(hostless.tenant, key, body, hostless.now)


async def _tick(hostless: Hostless) -> int:
    opened = await handlers.rotation.tick(hostless.tenant, hostless.now)
    await hostless.run_all()
    return opened


async def _rotation(hostless: Hostless) -> Operation:
    found, _ = await hostless.tenant.ledger.operations()
    return next(operation for operation in found if operation.kind == "rotation")


async def _again(hostless: Hostless) -> Operation:
    """Let the sweep take the rotation up once more."""
    await handlers.operations.sweep(hostless.tenant, hostless.now)
    for message in await hostless.take():
        await hostless.run(message)
    return await _rotation(hostless)


async def test_secret_is_renewed_when_it_is_due_and_not_before(hostless: Hostless) -> None:
    """A tick a day too early finds nothing, the next opens one rotation, and further ones open no second."""
    await _onboarded(hostless)
    await hostless.pass_time(days=DUE - 2)
    assert await _tick(hostless) == 0
    await hostless.pass_time(days=2)
    assert await _tick(hostless) == 1
    assert (await _rotation(hostless)).state == "waiting"
    await hostless.pass_time(hours=1)
    assert await _tick(hostless) == 0


async def test_rotation_that_is_refused_is_tried_once_a_day(hostless: Hostless) -> None:
    """A refusal by policy is named and told, and the timer leaves it alone for a day instead of mailing every hour."""
    await _onboarded(hostless)
    await hostless.world.control("PUT", "/switches", {"passwords_forbidden": True})
    await hostless.pass_time(days=DUE)
    seen = len(await hostless.world.mailbox())
    assert await _tick(hostless) == 1
    failed = await _rotation(hostless)
    assert failed.state == "failed"
    assert "policy" in failed.reasons[0].detail
    await hostless.pass_time(hours=23)
    assert await _tick(hostless) == 0
    assert len(await hostless.world.mailbox()) == seen + 1
    await hostless.world.control("PUT", "/switches", {"passwords_forbidden": False})
    await hostless.pass_time(hours=2)
    assert await _tick(hostless) == 1
    assert (await _rotation(hostless)).state == "waiting"


async def test_reminder_whose_mail_fails_is_sent_with_the_next_run(hostless: Hostless) -> None:
    """Where the mail of a reminder is refused the next run sends it, with a link that works and the code as told."""
    hostless.settings["GATEHOUSE_WAIT_SCALE"] = "0.01"
    await _onboarded(hostless)
    await hostless.pass_time(days=DUE)
    await _tick(hostless)
    seen = len(await hostless.world.mailbox())
    await hostless.pass_time(days=7, minutes=3)
    refusal = {
        "service": "graph",
        "operation": "users.user.sendMail",
        "nth": 1,
        "fault": "refuse",
        "status": 503,
        "times": None,
    }
    await hostless.world.control("PUT", "/faults", [refusal])
    assert (await _again(hostless)).state == "waiting"
    assert len(await hostless.world.mailbox()) == seen
    await hostless.world.control("PUT", "/faults", [])
    await hostless.pass_time(minutes=10)
    assert (await _again(hostless)).state == "waiting"
    [reminder] = (await hostless.world.mailbox())[seen:]
    assert "reminder" in reminder["text"]
    await hostless.pass_time(hours=1)
    await _again(hostless)
    assert len(await hostless.world.mailbox()) == seen + 1
    assert link_of(reminder) not in {link_of(mail) for mail in handoffs((await hostless.world.mailbox())[:seen])}
    token, code = link_of(reminder).rpartition("/")[2], code_of(codes(await hostless.world.mailbox())[-1])
    collected = await handlers.handoff.act(hostless.tenant, token, {"action": "collect", "code": code}, hostless.now)
    assert collected.status == 200


async def test_first_handoff_is_reminded_of_until_it_is_acknowledged(hostless: Hostless) -> None:
    """While nobody acknowledges an onboarding, each week brings a mail with a new link and no other write."""
    operation = await hostless.accept("thoropass", assignments={"users": ["b.simon@contoso.com"]})
    await hostless.run_all()
    seen, written = len(await hostless.world.mailbox()), len(await hostless.world.writes())
    for week in (1, 2):
        await hostless.pass_time(days=7, minutes=3)
        await handlers.operations.sweep(hostless.tenant, hostless.now)
        await hostless.run_all()
        reminders = (await hostless.world.mailbox())[seen:]
        assert len(reminders) == week
        assert reminders[-1]["cc"] == ["app-owner@contoso.com"]
    assert len({link_of(mail) for mail in reminders}) == 2
    mails = [call for call in (await hostless.world.writes())[written:] if call["operation"] == "users.user.sendMail"]
    assert len(mails) == len((await hostless.world.writes())[written:])
    await _acknowledge(hostless, "thoropass")
    await hostless.run_all()
    assert (await hostless.operation(operation.id)).state == "done"
