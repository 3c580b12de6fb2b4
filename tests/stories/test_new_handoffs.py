"""A new hand-off: the old page closes; a secret that was collected in vain gets a successor first."""

import pytest

from sandbox.relying_parties.handoff_page import HandoffPage
from sandbox.wire import Wire
from tests.stories.mails import code_of, codes, handoffs, link_of, newest_page, page
from tests.world import World


async def _hand_off_again(world: World, vendor: str) -> list[str]:
    """Ask for a new hand-off and wait until it rests; returns the names of the steps it took."""
    reply = await world.api("POST", f"/applications/{vendor}/default/handoffs")
    assert reply.status == 202, reply.text
    rested = await world.rest(reply.body["operation"])
    assert (rested["state"], rested["waiting_for"]["what"]) == ("waiting", "acknowledgement")
    return [step["step"] for step in rested["steps"]]


@pytest.mark.parametrize("vendor", ["clicktime", "smarttrace", "ilogon_mha"])
async def test_open_page_is_replaced_by_another(world: World, vendor: str) -> None:
    """While the page is open a new hand-off is two mails: the old link says so, its code opens nothing any more."""
    await world.onboard(vendor)
    vault = (await world.dump())["vault"]
    assert await _hand_off_again(world, vendor) == ["mail_handoff", "mail_code"]
    mails = await world.mailbox()
    old, new = handoffs(mails)
    assert link_of(old) != link_of(new)
    assert (await page(world, old).look()).status == 410
    assert (await page(world, new).look()).status == 200
    action = "acknowledge" if vendor == "clicktime" else "collect"
    old_code, new_code = (code_of(mail) for mail in codes(mails))
    assert (await page(world, new).press(action, old_code)).status == 403
    assert (await page(world, new).press(action, new_code)).status == 200
    assert (await world.dump())["vault"] == vault


async def test_secret_collected_in_vain_gets_a_successor(world: World) -> None:
    """Collected and never acknowledged: another secret is minted, proved, promoted, handed off; the old one stays."""
    vendor = "ilogon_mha"
    first = await world.onboard(vendor)
    old_page, code = await newest_page(world)
    assert (await old_page.press("collect", code)).status == 200
    (old,) = (await world.application(vendor))["passwordCredentials"]
    before = await world.last_call()
    taken = await _hand_off_again(world, vendor)
    assert taken == ["mint_secret", "promote_secret", "mail_handoff", "mail_code"]
    passwords = (await world.application(vendor))["passwordCredentials"]
    assert old in passwords
    (new,) = (password for password in passwords if password != old)
    name = f"gatehouse-{vendor.replace('_', '--')}-default-client-secret"
    versions = (await world.dump())["vault"][name]["versions"]
    assert [version["tags"]["key-id"] for version in versions] == [old["keyId"], new["keyId"]]
    assert all(version["enabled"] for version in versions)
    assert [write["operation"] for write in await world.writes(before)] == [
        "applications.application.addPassword",
        "PUT /secrets/{name}",
        "PUT /secrets/{name}",
        "PATCH /secrets/{name}/{version}",
        "users.user.sendMail",
        "users.user.sendMail",
    ]
    assert (await old_page.look()).status == 410
    collected = await world.collect(vendor)
    assert collected["acknowledged"], collected["reason"]
    assert (await world.sign_in(vendor))["signed_in"]
    assert (await world.operation(first["operation"]))["state"] == "done"


async def test_secret_of_an_acknowledged_page_is_told_again_without_a_successor(world: World) -> None:
    """After the acknowledgement a new hand-off mints nothing: its page is that of the same secret."""
    await world.onboard("smarttrace")
    await world.collect("smarttrace")
    passwords = (await world.application("smarttrace"))["passwordCredentials"]
    reply = await world.api("POST", "/applications/smarttrace/default/handoffs")
    await world.rest(reply.body["operation"])
    assert (await world.application("smarttrace"))["passwordCredentials"] == passwords
    assert len(handoffs(await world.mailbox())) == 2


async def test_new_handoff_of_an_unknown_application_is_refused(world: World) -> None:
    """An application that was never onboarded has nothing to hand off: 404."""
    assert (await world.api("POST", "/applications/smarttrace/default/handoffs")).status == 404


async def test_page_shows_its_secret_once(world: World) -> None:
    """Who collects a second time gets 409, and acknowledging afterwards ends the operation."""
    operation = await world.onboard("hellotracks")
    opened, code = await newest_page(world)
    shown = await opened.press("collect", code)
    assert (shown.status, set(shown.values)) == (200, {"tenant id", "client id", "client secret"})
    assert (await opened.press("collect", code)).status == 409
    assert (await opened.press("acknowledge", code)).status == 200
    assert (await world.operation(operation["operation"]))["state"] == "done"
    assert (await HandoffPage(Wire(world.tls), f"{world.state.host}/api/handoffs/{'x' * 43}").look()).status == 404
