"""Events worked: joiner, mover, leaver and rehire against a tenant, each from a signed delivery to the access left."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import handlers.entitlements
import handlers.offboarding
import handlers.operations
import handlers.webhooks
from sandbox.first_party import DEFAULT_PERMISSIONS
from sso import permissions
from sso.caller import Caller
from sso.model import key_of
from sso.operation import Operation
from tests.people.hr_system import delivery, event, keep_keys
from tests.stories.hostless import Hostless

RULES = """
[[rules]]
when = { department = "Sales" }
grant = [{ vendor = "clicktime" }, { vendor = "hellotracks" }]
grace_days = 14

[[rules]]
when = { department = "Legal" }
grant = [{ vendor = "thoropass" }]
"""
LEAVER = "\n[leaver]\ndisable_account = true\n"
HELPDESK = "helpdesk@contoso.com"


KINDS = ("applications", "service_principals", "grants", "assignments")
OURS: dict[str, list[dict[str, Any]]] = {}  # what the onboardings made, once for this file


@pytest.fixture
async def ours(hostless: Hostless, tmp_path: Path) -> Hostless:
    """A tenant with four applications, of which some hold SmartTrace; rules, and an HR system's key."""
    (tmp_path / "entitlements.toml").write_text(RULES + LEAVER, encoding="utf-8")
    hostless.settings["GATEHOUSE_ENTITLEMENTS"] = str(tmp_path / "entitlements.toml")
    await keep_keys(hostless.tenant)
    for kind, objects in OURS.items():
        for one in objects:
            await hostless.world.control("PUT", f"/objects/{kind}/{one['id']}", one)
    if not OURS:
        for vendor in ("clicktime", "hellotracks", "thoropass"):
            await hostless.accept(vendor, assignments=None)
        users = ["b.simon@contoso.com", "app-owner@contoso.com"]
        await hostless.accept("smarttrace", assignments={"users": users, "groups": ["Sales"]})
        await hostless.run_all()
        dump = await hostless.world.dump()
        OURS.update({kind: dump[kind] for kind in KINDS})
    return hostless


async def say(ours: Hostless, *events: dict[str, Any], name: str | None = None) -> list[Operation]:
    """Deliver events and work whatever follows; returns their operations as they are then."""
    said: Any = list(events) if len(events) > 1 else events[0]
    name = name or "+".join(one["id"] for one in events)
    opened = await handlers.webhooks.accept(ours.tenant, delivery(said, ours.now, name), None, ours.now)
    await ours.run_all()
    return [await ours.operation(one.id) for one in opened]


async def wake(ours: Hostless, operation: Operation) -> Operation:
    """Let the sweep find an operation whose time has come, and work it."""
    await handlers.operations.sweep(ours.tenant, ours.now)
    await ours.run_all()
    return await ours.operation(operation.id)


async def held(ours: Hostless, user: str = HELPDESK) -> set[str]:
    """The applications of ours to which somebody is assigned, by their names."""
    dump = await ours.world.dump()
    person = next(one["id"] for one in dump["users"] if one["userPrincipalName"] == user)
    return {one["resourceDisplayName"] for one in dump["assignments"] if one["principalId"] == person}


async def account(ours: Hostless, user: str = HELPDESK) -> dict[str, Any]:
    """The account of somebody."""
    users = (await ours.world.dump())["users"]
    return dict(next(one for one in users if one["userPrincipalName"] == user))


async def mails(ours: Hostless, word: str) -> list[dict[str, Any]]:
    """The mails whose subject has a word."""
    return [mail for mail in await ours.world.mailbox() if word in mail["subject"]]


async def test_joiner_mover_leaver_and_rehire(ours: Hostless) -> None:
    """Each event ends in the access that rules ask for, with reasons, a grace, mails and the account's end."""
    (joined,) = await say(ours, event("joiner", ours.now, HELPDESK, attributes={"department": "Sales"}))
    assert joined.state == "done", joined
    assert await held(ours) == {"ClickTime", "Hellotracks"}
    assert [step.sentence for step in joined.steps if step.step == "assign"] == [
        "Sales: clicktime by rule 1.",
        "Sales: hellotracks by rule 1.",
    ]
    (mail,) = await mails(ours, "a person to add")  # ClickTime's people are added by hand, Hellotracks' are not
    assert mail["to"] == ["app-owner@contoso.com"]
    assert "full name: Helpdesk" in mail["text"]
    assert f"email address: {HELPDESK}" in mail["text"]

    ours.later(days=1)
    (moved,) = await say(ours, event("mover", ours.now, HELPDESK, attributes={"department": "Legal"}))
    assert (moved.state, moved.waiting_for and moved.waiting_for.what) == ("waiting", "time")
    assert await held(ours) == {"ClickTime", "Hellotracks", "Thoropass"}
    ours.later(days=14, minutes=3)
    moved = await wake(ours, moved)
    assert moved.state == "done"
    assert await held(ours) == {"Thoropass"}
    assert len(await mails(ours, "please remove an account")) == 2

    ours.later(days=1)
    (left,) = await say(ours, event("leaver", ours.now, HELPDESK))
    assert left.state == "done", left
    assert await held(ours) == set()
    ended = await account(ours)
    assert ended["accountEnabled"] is False
    assert ended["signInSessionsValidFromDateTime"]
    removal = (await mails(ours, "please remove an account"))[-1]
    assert removal["to"] == ["support@thoropass.com"]
    assert "Helpdesk" in removal["text"]
    assert not any(word in removal["text"] for word in ("leaver", "left", "Legal", "disabled"))

    ours.later(days=1)
    (back,) = await say(ours, event("rehire", ours.now, HELPDESK, attributes={"department": "Legal"}))
    assert back.state == "done"
    assert await held(ours) == {"Thoropass"}


async def test_order_and_days_to_come(ours: Hostless) -> None:
    """A leaver before its joiner leaves nothing; what is for a day to come waits; an older fact changes nothing."""
    start = ours.now
    ours.later(hours=1)
    (left,) = await say(ours, event("leaver", ours.now, HELPDESK))
    (joined,) = await say(ours, event("joiner", start, HELPDESK, attributes={"department": "Sales"}))
    assert (left.state, joined.state) == ("done", "done")
    assert "newer" in joined.reasons[0].detail
    assert await held(ours) == set()

    first_day = ours.now + timedelta(days=3)
    ours.later(minutes=1)
    coming = event("rehire", ours.now, HELPDESK, effective=first_day, attributes={"department": "Legal"})
    (rehired,) = await say(ours, coming)
    assert (rehired.state, rehired.waiting_for and rehired.waiting_for.what) == ("waiting", "time")
    assert await held(ours) == set()
    ours.later(days=3, minutes=2)
    assert (await wake(ours, rehired)).state == "done"
    assert await held(ours) == {"Thoropass"}


async def test_two_events_at_once_end_as_the_newer_one_says(ours: Hostless) -> None:
    """A leaver that comes while a joiner's grants are under way ends with nothing held, whoever writes last."""
    joins = event("joiner", ours.now, HELPDESK, attributes={"department": "Legal"})
    (joined,) = await handlers.webhooks.accept(ours.tenant, delivery(joins, ours.now, "joins"), None, ours.now)
    (work,) = await ours.take()
    await ours.run(work)
    (granting,) = await ours.take()  # its batch is written, and its message is under way
    assert granting.queue == "assignments"
    ours.later(minutes=1)
    leaves = event("leaver", ours.now, HELPDESK)
    (left,) = await handlers.webhooks.accept(ours.tenant, delivery(leaves, ours.now, "leaves"), None, ours.now)
    await ours.run_all()
    assert (await ours.operation(left.id)).state == "done"  # it found nothing to take
    await ours.run(granting)
    assert await held(ours) == {"Thoropass"}  # for as long as the joiner has not looked again
    for _ in range(2):  # each message twice
        await ours.run(granting)
        await ours.run(work)
    await ours.run_all()
    assert await held(ours) == set()
    assert (await ours.operation(joined.id)).state == "done"
    preview = await handlers.entitlements.preview(ours.tenant, {"person": HELPDESK}, ours.now)
    assert preview["items"][0]["entitled"] == []  # who has left is given nothing, whatever the directory says


async def test_message_that_comes_twice_at_once_mails_once(ours: Hostless) -> None:
    """Two runs of one event at the same moment tell the owner once: the other one comes again, and finds it ended."""
    joins = event("joiner", ours.now, HELPDESK, attributes={"department": "Sales"})
    (joined,) = await handlers.webhooks.accept(ours.tenant, delivery(joins, ours.now, "joins"), None, ours.now)
    (work,) = await ours.take()
    await ours.run(work)
    (granting,) = await ours.take()
    await ours.run(granting)
    (work,) = await ours.take()  # what is left is to tell
    await asyncio.gather(*(ours.run(work) for _ in range(4)))
    assert (await ours.operation(joined.id)).state == "done"
    assert len(await mails(ours, "a person to add")) == 1
    assert (await ours.left()) == {"hr-events": 3}


async def test_person_who_has_no_account_yet(ours: Hostless) -> None:
    """A joiner waits for the account; what was said before it was made counts once it is."""
    nobody = "new.person@contoso.com"
    (left,) = await say(ours, event("leaver", ours.now, nobody))
    assert left.state == "done"
    ours.later(hours=1)
    (joined,) = await say(ours, event("joiner", ours.now, nobody, attributes={"department": "Legal"}))
    assert (joined.state, joined.waiting_for and joined.waiting_for.what) == ("waiting", "account")
    made = {**(await account(ours)), "id": "7d1f1f3e-3d2a-4a52-9a59-6c1c2a9f6a01", "userPrincipalName": nobody}
    made |= {"mail": nobody, "proxyAddresses": [f"SMTP:{nobody}"], "displayName": "New Person"}
    await ours.world.control("PUT", f"/objects/users/{made['id']}", made)
    ours.later(hours=1, minutes=3)
    assert (await wake(ours, joined)).state == "done"
    assert await held(ours, nobody) == {"Thoropass"}
    ours.later(days=40)
    (late,) = await say(ours, event("joiner", ours.now - timedelta(days=31), "never.made@contoso.com"))
    assert late.state == "failed"
    assert late.reasons[0].field == "subject"


async def test_leaver_whose_account_somebody_else_ends(ours: Hostless, tmp_path: Path) -> None:
    """Where rules leave the account alone the operation waits and says for whom; a group's access is told by name."""
    (tmp_path / "entitlements.toml").write_text(RULES, encoding="utf-8")
    (left,) = await say(ours, event("leaver", ours.now))
    assert left.waiting_for is not None
    assert left.waiting_for.what == "account"
    assert "B.Simon" in left.waiting_for.whom
    assert [reason.detail for reason in left.reasons] == [
        "Has smarttrace/User through group 'Sales': it ends with the membership or the account."
    ]
    assert await held(ours, "b.simon@contoso.com") == set()
    simon = await account(ours, "b.simon@contoso.com")
    assert simon["accountEnabled"] is True
    assert simon["signInSessionsValidFromDateTime"]
    await ours.world.control("PUT", f"/objects/users/{simon['id']}", {"accountEnabled": False})
    ours.later(hours=1, minutes=3)
    assert (await wake(ours, left)).state == "done"
    assert len(await mails(ours, "please remove an account")) == 1


async def test_excluded_person_is_not_touched(ours: Hostless) -> None:
    """Whoever is in the group of excluded people keeps access and account, and the operation says why."""
    groups = (await ours.world.dump())["groups"]
    await ours.close()
    ours.settings["GATEHOUSE_EXCLUDED_GROUP"] = next(g["id"] for g in groups if g["displayName"] == "Identity Team")
    (left,) = await say(ours, event("leaver", ours.now, "app-owner@contoso.com"))
    assert left.state == "done"
    assert "GATEHOUSE_EXCLUDED_GROUP" in left.reasons[0].detail
    assert await held(ours, "app-owner@contoso.com") == {"SmartTrace"}


async def test_offboarded_application_is_not_given(ours: Hostless) -> None:
    """Who joins while an application is offboarded gets the others and a note; who leaves loses it all the same."""
    await say(ours, event("joiner", ours.now, HELPDESK, attributes={"department": "Sales"}))
    await handlers.offboarding.accept(ours.tenant, key_of("clicktime", "default"), Caller(), ours.now)
    await ours.run_all()
    joins = event("joiner", ours.now, "app-owner@contoso.com", attributes={"department": "Sales"}, id="joins")
    (joined,) = await say(ours, joins)
    assert joined.state == "done"
    assert "clicktime/default is offboarded since" in joined.reasons[0].detail
    assert await held(ours, "app-owner@contoso.com") == {"Hellotracks", "SmartTrace"}
    ours.later(minutes=1)
    (left,) = await say(ours, event("leaver", ours.now, HELPDESK))
    assert left.state == "done"
    assert await held(ours) == set()


async def test_too_many_leavers_stop_until_somebody_looks(ours: Hostless) -> None:
    """Above share and floor the rest keeps everything, the operators are told once, and a release goes on."""
    await ours.close()
    ours.settings |= {"GATEHOUSE_BRAKE_FLOOR": "2", "GATEHOUSE_BRAKE_SHARE": "0.001"}
    users = [
        one for one in (await ours.world.dump())["users"] if one["department"] == "Sales" and one["accountEnabled"]
    ]
    names = [one["userPrincipalName"] for one in users if one["userType"] == "Member"][
        1:5
    ]  # not B.Simon, who holds more
    await say(ours, *(event("joiner", ours.now, name, id=f"j-{name}") for name in names))
    assert [await held(ours, name) for name in names] == [{"ClickTime", "Hellotracks"}] * 4
    ours.later(hours=1)
    left = await say(ours, *(event("leaver", ours.now, name, id=f"l-{name}") for name in names))
    stopped = [one for one in left if one.waiting_for and one.waiting_for.what == "release"]
    assert len(stopped) == 2
    assert sorted([len(await held(ours, name)) for name in names]) == [0, 0, 2, 2]
    assert sorted([(await account(ours, name))["accountEnabled"] for name in names]) == [False, False, True, True]
    assert len(await mails(ours, "stopped")) == 1
    await handlers.operations.release(ours.tenant, stopped[0].id)
    await ours.run_all()
    assert [await held(ours, name) for name in names] == [set()] * 4
    assert {(await ours.operation(one.id)).state for one in left} == {"done"}


@pytest.mark.parametrize("permission", [permissions.DISABLE, permissions.REVOKE])
async def test_permission_for_the_account_is_waited_for(ours: Hostless, permission: str) -> None:
    """Without the optional permission access is taken all the same, and the operation waits for it by its name."""
    await ours.world.control("PUT", "/switches", {"token_seconds": 120})
    await ours.close()
    left_over = [name for name in DEFAULT_PERMISSIONS if name != permission]
    await ours.world.control("PUT", "/permissions", left_over)
    await say(ours, event("joiner", ours.now, HELPDESK, attributes={"department": "Legal"}))
    ours.later(minutes=1)
    (left,) = await say(ours, event("leaver", ours.now, HELPDESK))
    assert left.waiting_for is not None
    assert left.waiting_for.what == "permission"
    assert permission in left.reasons[0].detail
    assert await held(ours) == set()
    await ours.close()
    await ours.world.control("PUT", "/permissions", list(DEFAULT_PERMISSIONS))
    ours.later(hours=1, minutes=3)
    assert (await wake(ours, left)).state == "done"
    assert (await account(ours))["accountEnabled"] is False
