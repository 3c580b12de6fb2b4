"""Until somebody acknowledges: reminders at set intervals, each once, and one warning before the old secret ends."""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

import handlers.applications
import handlers.handoff
import handlers.onboarding
import handlers.operations
import handlers.rotation
from sso.caller import Caller
from sso.model import key_of
from sso.operation import Operation
from tests.api.answers import until
from tests.stories.hostless import Delivered, Hostless
from tests.stories.mails import codes, handoffs, link_of

VENDOR, OWNER, OPERATORS = "support@keyfields.com", "app-owner@contoso.com", "identity-team@contoso.com"
RENEWED = 136  # days after its beginning at which a secret of 180 days is due


async def rotating(hostless: Hostless, vendor: str, after: int = 1) -> Operation:
    """A vendor that was set up some days ago, and whose secret is rotated now; the new one is handed over."""
    await hostless.accept(vendor, assignments=None)
    await hostless.run_all()
    key = key_of(vendor, "default")
    page = (await hostless.tenant.ledger.pages(key))[0]
    body = {"key_id": page.credential, "by": "support"}
    await handlers.applications.acknowledge(hostless.tenant, key, body, hostless.now)
    await hostless.run_all()
    await hostless.at(hostless.now + timedelta(days=after))
    asked = Caller(None, None)
    operation = await handlers.rotation.rotate(hostless.tenant, key, {"reason": "planned"}, asked, hostless.now)
    await hostless.run_all()
    return await hostless.operation(operation.id)


async def take_up(hostless: Hostless) -> None:
    """What the timer does, and what comes of it."""
    await handlers.operations.sweep(hostless.tenant, hostless.now)
    await hostless.run_all()


async def sent_since(hostless: Hostless, count: int) -> list[Mapping[str, Any]]:
    """The mails after the first so many."""
    return list((await hostless.world.mailbox())[count:])


@pytest.mark.parametrize(
    ("vendor", "to", "cc", "weeks"),
    [("ilogon_mha", [VENDOR], [OWNER], 2), ("smarttrace", [OWNER], [], 1)],
    ids=["vendor", "owner"],
)
async def test_each_week_brings_one_reminder(
    hostless: Hostless, vendor: str, to: list[str], cc: list[str], weeks: int
) -> None:
    """Looked at daily, each seventh day brings one to who must act, copied to the owner: a new link, and no code."""
    operation = await rotating(hostless, vendor)
    told, count = handoffs(await hostless.world.mailbox())[-1], len(await hostless.world.mailbox())
    days = []
    for day in range(1, 7 * weeks + 2):
        await hostless.at(hostless.now + timedelta(days=1, minutes=1))
        before = len(await hostless.world.mailbox())
        await take_up(hostless)
        days += [day] * (len(await hostless.world.mailbox()) - before)
    assert days == [7 * week for week in range(1, weeks + 1)]
    reminders = await sent_since(hostless, count)
    assert [(mail["to"], mail["cc"]) for mail in reminders] == [(to, cc)] * weeks
    assert {mail["headers"]["X-Gatehouse-Reference"] for mail in reminders} == {
        told["headers"]["X-Gatehouse-Reference"]
    }
    assert all(mail["subject"].startswith("Reminder: ") for mail in reminders)
    assert codes(reminders) == []
    links = [link_of(mail).rpartition("/")[2] for mail in (told, *reminders)]
    states = [(await handlers.handoff.show(hostless.tenant, link, hostless.now)).status for link in links]
    assert states == [*[410] * weeks, 200]
    assert (await hostless.operation(operation.id)).state == "waiting"


async def test_doubled_runs_send_one_reminder(hostless: Hostless) -> None:
    """Three timers and six messages at the same moment, and the same once more an hour later, remind once."""
    operation = await rotating(hostless, "ilogon_mha")
    count = len(await hostless.world.mailbox())
    await hostless.at(hostless.now + timedelta(days=7, minutes=3))
    tenant, message = hostless.tenant, Delivered("rotations", operation.id, None)
    for hours in (0, 1):
        await hostless.at(hostless.now + timedelta(hours=hours))
        await asyncio.gather(*(handlers.operations.sweep(tenant, hostless.now) for _ in range(3)))
        await asyncio.gather(*(hostless.run(message) for _ in range(6)))
        await hostless.run_all()
    assert len(await sent_since(hostless, count)) == 1


@pytest.mark.parametrize(("when", "mails"), [("before", 1), ("after", 2)])
async def test_a_reminder_that_was_cut_is_sent_once_more_at_most(hostless: Hostless, when: str, mails: int) -> None:
    """Killed before the mail was taken, one mail goes out; killed after it, one duplicate under the same reference."""
    hostless.settings["GATEHOUSE_WAIT_SCALE"] = "0.01"
    operation = await rotating(hostless, "ilogon_mha")
    count = len(await hostless.world.mailbox())
    await hostless.at(hostless.now + timedelta(days=7, minutes=3))
    hold = {"operation": "users.user.sendMail", "fault": "hold", "when": when}
    await hostless.world.control("PUT", "/faults", [hold])
    running = asyncio.create_task(handlers.onboarding.run(hostless.tenant, operation.id, hostless.now))

    async def held() -> bool:
        return bool((await hostless.world.control("GET", "/faults"))["hits"])

    await until(held)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await hostless.world.control("PUT", "/faults", [])
    for _ in range(3):
        await hostless.at(hostless.now + timedelta(minutes=20))
        await take_up(hostless)
    sent = await sent_since(hostless, count)
    assert [mail["subject"] for mail in sent] == [sent[0]["subject"]] * mails
    token = link_of(sent[-1]).rpartition("/")[2]
    assert (await handlers.handoff.show(hostless.tenant, token, hostless.now)).status == 200


async def test_the_end_is_warned_of_once_and_the_old_secret_stays(hostless: Hostless) -> None:
    """Of a silent vendor owner and operators hear once, two weeks before; reminders go on, and nothing is removed."""
    operation = await rotating(hostless, "ilogon_mha", RENEWED)
    count = len(await hostless.world.mailbox())
    [old] = [p for p in await _passwords(hostless) if p["keyId"] == operation.request["rotation"]["succeeds"]]
    ends = datetime.fromisoformat(old["endDateTime"])
    while hostless.now < ends + timedelta(days=2):
        found = await hostless.operation(operation.id)
        assert found.state == "waiting"
        assert found.not_before > hostless.now - timedelta(minutes=5)
        await hostless.at(max(found.not_before, hostless.now) + timedelta(minutes=3))
        await take_up(hostless)
        assert len(await _passwords(hostless)) == 2
    sent = await sent_since(hostless, count)
    [warning] = [mail for mail in sent if "ends on" in mail["subject"]]
    assert warning["to"] == [OWNER, OPERATORS]
    warned = datetime.fromisoformat(warning["at"])
    assert timedelta(days=13, hours=23) < ends - warned <= timedelta(days=14)
    reminders = [mail for mail in sent if mail is not warning]
    assert all(mail["subject"].startswith("Reminder: ") for mail in reminders)
    gaps = [
        datetime.fromisoformat(later["at"]) - datetime.fromisoformat(sooner["at"])
        for sooner, later in pairwise(reminders)
    ]
    assert len(reminders) >= 6
    assert all(timedelta(days=7) <= gap < timedelta(days=7, hours=1) for gap in gaps)


async def _passwords(hostless: Hostless) -> list[dict[str, Any]]:
    return list((await hostless.world.application("ilogon_mha"))["passwordCredentials"])
