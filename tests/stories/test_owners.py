"""Owners come and go: a change is told to the old one, and mails for one who is gone reach the operators."""

import pytest

from tests.stories.administrator import change, remove, user
from tests.stories.mails import codes, handoffs, others
from tests.world import World

OLD, NEW, OPERATORS = "app-owner@contoso.com", "helpdesk@contoso.com", "identity-team@contoso.com"


@pytest.mark.parametrize("vendor", ["thoropass", "hellotracks"])
async def test_change_of_owner_is_told_to_the_old_one_alone(world: World, vendor: str) -> None:
    """After the acknowledgement a new owner is one step: the tag changes, the old owner is told, nobody else is."""
    await world.onboard(vendor)
    await world.collect(vendor)
    seen = len(await world.mailbox())
    (step,) = (await world.plan(vendor, owner=NEW))["steps"]
    assert step["step"] == "change_owner"
    changed = await world.onboard(vendor, owner=NEW)
    assert changed["state"] == "done"
    (mail,) = (await world.mailbox())[seen:]
    assert (mail["to"], mail["cc"]) == ([OLD], [])
    assert NEW in mail["text"]
    assert "helpdesk@contoso.com (as the request says)" in mail["text"]
    tag = f"gatehouse:owner:{(await user(world, 'helpdesk'))['id']}"
    owners = [tag for tag in (await world.application(vendor))["tags"] if tag.startswith("gatehouse:owner:")]
    assert owners == [tag]
    assert await world.plan(vendor, owner=NEW) == {"steps": [], "notes": []}


async def test_new_owner_takes_over_an_open_handoff(world: World) -> None:
    """Before the acknowledgement the new owner gets a hand-off of their own, with link and code."""
    await world.onboard("smarttrace")
    seen = len(await world.mailbox())
    changed = await world.onboard("smarttrace", owner=NEW)
    assert [step["step"] for step in changed["steps"]] == ["change_owner", "mail_handoff", "mail_code"]
    mails = (await world.mailbox())[seen:]
    assert [mail["to"] for mail in others(mails)] == [[OLD]]
    assert [mail["to"] for mail in handoffs(mails) + codes(mails)] == [[NEW], [NEW]]
    collected = await world.collect("smarttrace")
    assert collected["acknowledged"], collected["reason"]
    assert (await world.sign_in("smarttrace"))["signed_in"]


async def test_request_without_owner_keeps_the_one_there_is(world: World) -> None:
    """A later request may leave the owner out: nothing changes."""
    await world.onboard("clicktime")
    assert await world.plan("clicktime", owner=None) == {"steps": [], "notes": []}


@pytest.mark.parametrize("gone", ["disabled", "no longer in the directory"])
async def test_mails_for_an_owner_who_is_gone_reach_the_operators(world: World, gone: str) -> None:
    """When the owner is disabled or deleted hand-off and code go to the operators, and both say why."""
    await world.onboard("hellotracks")
    seen = len(await world.mailbox())
    owner = (await user(world, "app-owner"))["id"]
    if gone == "disabled":
        await change(world, "users", owner, accountEnabled=False)
    else:
        await remove(world, "users", owner)
    reply = await world.api("POST", "/applications/hellotracks/default/handoffs")
    await world.rest(reply.body["operation"])
    mails = (await world.mailbox())[seen:]
    assert [mail["to"] for mail in mails] == [[OPERATORS], [OPERATORS]]
    assert all(gone in " ".join(mail["text"].split()) for mail in mails)


async def test_vendor_answers_to_the_operators_when_the_owner_is_gone(world: World) -> None:
    """A vendor's hand-off then has the operators in Cc and as those to answer, and the code goes to them."""
    await world.onboard("ilogon_mha")
    seen = len(await world.mailbox())
    await change(world, "users", (await user(world, "app-owner"))["id"], accountEnabled=False)
    reply = await world.api("POST", "/applications/ilogon_mha/default/handoffs")
    await world.rest(reply.body["operation"])
    (handoff, code) = (await world.mailbox())[seen:]
    assert (handoff["to"], handoff["cc"], handoff["reply_to"]) == (["support@keyfields.com"], [OPERATORS], [OPERATORS])
    assert code["to"] == [OPERATORS]
    assert "is disabled" in code["text"]


async def test_group_that_receives_mail_can_own(world: World) -> None:
    """A mail-enabled security group is an owner as a person is: hand-off and code go to its address."""
    await world.onboard("hellotracks", owner=OPERATORS)
    assert [mail["to"] for mail in await world.mailbox()] == [[OPERATORS], [OPERATORS]]
