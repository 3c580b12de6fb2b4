"""A new hand-off: the old page closes; a secret that was collected in vain gets a successor first."""

import pytest

import handlers.applications
import handlers.handoff
import handlers.intake
import handlers.rotation
from sandbox.relying_parties.handoff_page import HandoffPage
from sandbox.wire import Wire
from sso.caller import Caller
from sso.model import key_of
from tests.stories.administrator import graph
from tests.stories.hostless import Hostless
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


async def test_secret_handed_over_in_vain_goes_with_the_one_before_it(hostless: Hostless) -> None:
    """Once a later secret is acknowledged and the overlap is over, both older ones go and nobody else's."""
    hostless.settings["GATEHOUSE_WAIT_SCALE"] = "0.01"
    key, tenant, caller = key_of("hellotracks", "default"), hostless.tenant, Caller(None, None)

    async def ours() -> list[str]:
        passwords = (await hostless.world.application("hellotracks"))["passwordCredentials"]
        return [entry["keyId"] for entry in passwords if entry["displayName"].startswith(key.marker)]

    async def acknowledge(key_id: str) -> None:
        body = {"key_id": key_id, "by": "Dana of the vendor"}
        await handlers.applications.acknowledge(tenant, key, body, hostless.now)
        await hostless.run_all()

    async def days_later(days: int) -> None:
        await hostless.pass_time(days=days)
        await hostless.sweep()

    await hostless.accept("hellotracks", assignments=None)
    await hostless.run_all()
    [first] = await ours()
    await acknowledge(first)
    await hostless.pass_time(minutes=5)
    rotation = await handlers.rotation.rotate(tenant, key, {"reason": "planned"}, caller, hostless.now)
    await hostless.run_all()
    [in_vain] = [one for one in await ours() if one != first]
    mails = await hostless.world.mailbox()
    token, code = link_of(handoffs(mails)[-1]).rpartition("/")[2], code_of(codes(mails)[-1])
    collected = await handlers.handoff.act(tenant, token, {"action": "collect", "code": code}, hostless.now)
    assert collected.status == 200
    await hostless.pass_time(minutes=5)
    await handlers.intake.hand_off_again(tenant, key, caller, hostless.now)
    await hostless.run_all()
    [last] = [one for one in await ours() if one not in {first, in_vain}]
    application = (await hostless.world.application("hellotracks"))["id"]
    by_hand = {"passwordCredential": {"displayName": "made by hand"}}
    await graph(hostless.world, "POST", f"/applications/{application}/addPassword", by_hand)
    await days_later(20)
    assert sorted(await ours()) == sorted([first, in_vain, last])  # nobody has acknowledged the last one
    await acknowledge(last)
    await days_later(13)
    assert sorted(await ours()) == sorted([first, in_vain, last])
    await days_later(2)
    assert await ours() == [last]
    left = (await hostless.world.application("hellotracks"))["passwordCredentials"]
    assert [entry["displayName"] for entry in left if entry["keyId"] != last] == ["made by hand"]
    versions = (await hostless.world.dump())["vault"][key.secret_name]["versions"]
    assert {version["tags"]["key-id"]: version["enabled"] for version in versions} == {
        first: False,
        in_vain: False,
        last: True,
    }
    ended = await hostless.operation(rotation.id)
    assert ended.state == "done"
    assert [step.step for step in ended.steps].count("retire_secret") == 2


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
