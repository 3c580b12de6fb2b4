"""The same request again: nothing is written twice, nobody is mailed twice, and a repeat finds its operation."""

import pytest

from tests.stories.administrator import wipe_ledger
from tests.stories.hostless import Hostless
from tests.world import VENDORS, World, request

MAILS_ONLY = {"mail_handoff", "mail_code"}


@pytest.mark.parametrize("vendor", VENDORS)
async def test_repeat_while_the_vendor_is_waited_for_changes_nothing(world: World, vendor: str) -> None:
    """While its hand-off is open the same request plans nothing, writes nothing, mails nobody, and waits as well."""
    await world.onboard(vendor)
    before, mails = await world.last_call(), await world.mailbox()
    assert await world.plan(vendor) == {"steps": [], "notes": []}
    again = await world.onboard(vendor)
    assert (again["state"], again["waiting_for"]["what"], again["steps"]) == ("waiting", "acknowledgement", [])
    assert await world.writes(before) == []
    assert await world.mailbox() == mails


@pytest.mark.parametrize("vendor", VENDORS)
async def test_repeat_of_a_finished_onboarding_is_done_at_once(world: World, vendor: str) -> None:
    """After the acknowledgement the same request plans nothing, writes nothing, mails nobody and ends done."""
    first = await world.onboard(vendor)
    await world.collect(vendor)
    before, mails = await world.last_call(), await world.mailbox()
    assert await world.plan(vendor) == {"steps": [], "notes": []}
    again = await world.onboard(vendor)
    assert again["operation"] != first["operation"]
    assert (again["state"], again["waiting_for"], again["steps"]) == ("done", None, [])
    assert await world.writes(before) == []
    assert await world.mailbox() == mails


@pytest.mark.parametrize("vendor", VENDORS)
async def test_lost_ledger_costs_one_handoff_at_most(world: World, vendor: str) -> None:
    """Without its ledger the next request hands off again at most, writes no tenant or vault, and people get in."""
    await world.onboard(vendor)
    await world.collect(vendor)
    assert await wipe_ledger(world) > 0
    before = await world.last_call()
    planned = {step["step"] for step in (await world.plan(vendor))["steps"]}
    assert planned <= MAILS_ONLY
    again = await world.onboard(vendor)
    assert again["state"] == "waiting"
    assert {write["operation"] for write in await world.writes(before)} <= {"users.user.sendMail"}
    assert (await world.sign_in(vendor))["signed_in"]
    collected = await world.collect(vendor)
    assert collected["acknowledged"], collected["reason"]
    assert (await world.operation(again["operation"]))["state"] == "done"


@pytest.mark.parametrize("vendor", VENDORS)
async def test_ledger_lost_before_the_handoff_was_answered_is_no_harm(world: World, vendor: str) -> None:
    """While the vendor is waited for a lost ledger means one more hand-off, and the same credential in it."""
    await world.onboard(vendor)
    vault = (await world.dump())["vault"]
    await wipe_ledger(world)
    before = await world.last_call()
    again = await world.onboard(vendor)
    assert [step["step"] for step in again["steps"]] == ["mail_handoff", "mail_code"]
    assert [write["operation"] for write in await world.writes(before)] == ["users.user.sendMail"] * 2
    assert (await world.dump())["vault"] == vault
    collected = await world.collect(vendor)
    assert collected["acknowledged"], collected["reason"]


async def test_unfinished_ticket_answers_with_its_operation(world: World) -> None:
    """The same ticket and body, while unfinished, is 202 with the same operation; afterwards it is a new one."""
    first = await world.onboard("clicktime", ticket="IT-1234")
    body = request("clicktime", ticket="IT-1234")
    repeated = await world.api("POST", "/onboardings", body)
    assert (repeated.status, repeated.body["operation"]) == (202, first["operation"])
    assert repeated.headers["Location"] == f"/api/operations/{first['operation']}"
    await world.collect("clicktime")
    afterwards = await world.onboard("clicktime", ticket="IT-1234")
    assert afterwards["operation"] != first["operation"]
    assert (afterwards["state"], afterwards["steps"]) == ("done", [])


async def test_another_body_under_an_unfinished_ticket_is_refused(world: World) -> None:
    """Under an unfinished ticket only the same body is taken: another is 409, names the ticket and writes nothing."""
    await world.onboard("clicktime", ticket="IT-1234")
    before = await world.last_call()
    other = request("clicktime", ticket="IT-1234", assignments={"users": ["helpdesk@contoso.com"]})
    reply = await world.api("POST", "/onboardings", other)
    assert reply.status == 409
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    assert [reason["field"] for reason in reply.body["reasons"]] == ["ticket"]
    assert await world.writes(before) == []


async def test_ticket_is_a_ticket_of_one_application(world: World) -> None:
    """One ticket may ask for several vendors: each application under it has an operation of its own."""
    first = await world.onboard("clicktime", ticket="IT-1234")
    second = await world.onboard("thoropass", ticket="IT-1234")
    assert first["operation"] != second["operation"]


async def test_idempotency_key_answers_with_its_operation_even_when_done(world: World) -> None:
    """The same header and body answer with the same operation, before and after it is done."""
    header, body = {"Idempotency-Key": "d1f4"}, request("clicktime")
    first = await world.api("POST", "/onboardings", body, headers=header)
    await world.rest(first.body["operation"])
    await world.collect("clicktime")
    again = await world.api("POST", "/onboardings", body, headers=header)
    assert (again.status, again.body["operation"], again.body["state"]) == (202, first.body["operation"], "done")


async def test_another_body_under_an_idempotency_key_is_refused(world: World) -> None:
    """Another body under a used Idempotency-Key is 409 and writes nothing."""
    header = {"Idempotency-Key": "d1f4"}
    first = await world.api("POST", "/onboardings", request("clicktime"), headers=header)
    await world.rest(first.body["operation"])
    before = await world.last_call()
    reply = await world.api("POST", "/onboardings", request("thoropass"), headers=header)
    assert (reply.status, [reason["field"] for reason in reply.body["reasons"]]) == (409, ["Idempotency-Key"])
    assert await world.writes(before) == []


async def test_idempotency_key_is_forgotten_after_a_day(hostless: Hostless) -> None:
    """Within 24 hours a used Idempotency-Key finds its operation, afterwards it opens another."""
    first = await hostless.accept("clicktime", key="d1f4")
    hostless.later(hours=23, minutes=59)
    assert (await hostless.accept("clicktime", key="d1f4")).id == first.id
    hostless.later(minutes=2)
    assert (await hostless.accept("clicktime", key="d1f4")).id != first.id
