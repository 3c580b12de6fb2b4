"""Consent for everyone: without it nobody signs in, and Gatehouse gives it back or says who can."""

import re

import aiohttp
import pytest

import handlers.operations
from sandbox.first_party import APPLICATION_PERMISSIONS
from sso.operation import Operation
from tests.stories.administrator import change, remove
from tests.stories.hostless import Hostless
from tests.stories.mails import others
from tests.world import World

OIDC_VENDORS = ("hellotracks", "ilogon_mha", "smarttrace")
CONSENT = "DelegatedPermissionGrant.ReadWrite.All"


@pytest.mark.parametrize("vendor", OIDC_VENDORS)
async def test_nobody_signs_in_without_the_grant(world: World, vendor: str) -> None:
    """With the grant removed an assigned person is refused, and the next onboarding plans this grant and no more."""
    await world.onboard(vendor)
    await world.collect(vendor)
    assert (await world.sign_in(vendor))["signed_in"]
    (grant,) = (await world.dump())["grants"]
    await remove(world, "grants", grant["id"])
    refused = await world.sign_in(vendor)
    assert not refused["signed_in"]
    assert "AADSTS90094" in refused["reason"]
    (step,) = (await world.plan(vendor))["steps"]
    assert step["step"] == "grant_consent"
    assert "openid, profile, email" in step["sentence"]
    again = await world.onboard(vendor)
    assert again["state"] == "done"
    assert (await world.sign_in(vendor))["signed_in"]


async def test_grant_is_widened_and_never_narrowed(world: World) -> None:
    """A grant that lacks a scope and has another is changed to the union of both."""
    await world.onboard("hellotracks")
    (grant,) = (await world.dump())["grants"]
    await world.control("PUT", f"/objects/grants/{grant['id']}", {"scope": "openid User.Read"})
    assert [step["step"] for step in (await world.plan("hellotracks"))["steps"]] == ["grant_consent"]
    await world.onboard("hellotracks")
    (widened,) = (await world.dump())["grants"]
    assert widened["id"] == grant["id"]
    assert set(widened["scope"].split()) == {"openid", "profile", "email", "User.Read"}


async def _without_permission(hostless: Hostless, *, instead: str | None = None) -> Operation:
    """An onboarding of Hellotracks, carried as far as it comes while our identity may not consent."""
    assignments = (await hostless.world.dump())["assignments"]
    held = next(entry for entry in assignments if entry["appRoleId"] == APPLICATION_PERMISSIONS[CONSENT])
    if instead:
        await change(hostless.world, "assignments", held["id"], appRoleId=APPLICATION_PERMISSIONS[instead])
    else:
        await remove(hostless.world, "assignments", held["id"])
    accepted = await hostless.accept("hellotracks")
    for message in await hostless.take():
        await hostless.run(message)
    return await hostless.operation(accepted.id)


async def test_missing_permission_waits_for_an_administrators_consent(hostless: Hostless) -> None:
    """Without the permission to consent the operation waits, says which is missing, and mints no secret before."""
    waiting = await _without_permission(hostless)
    assert waiting.state == "waiting"
    assert waiting.waiting_for is not None
    assert waiting.waiting_for.what == "consent"
    assert any(CONSENT in reason.detail for reason in waiting.reasons)
    dump = await hostless.world.dump()
    assert (dump["grants"], dump["vault"]) == ([], {})
    assert await hostless.left() == {}


async def test_owner_gets_the_consent_address_once(hostless: Hostless) -> None:
    """The owner is mailed the admin-consent URL of this application, once, however often the operation is run."""
    waiting = await _without_permission(hostless)
    client_id = (await hostless.world.application("hellotracks"))["appId"]
    hostless.later(hours=2)
    await _run_again(hostless, waiting)
    (mail,) = others(await hostless.world.mailbox())
    assert mail["to"] == ["app-owner@contoso.com"]
    environment = hostless.world.state
    tenant = f"{environment.authority}/{environment.env['GATEHOUSE_TENANT_ID']}"
    assert f"{tenant}/adminconsent?client_id={client_id}" in mail["text"]


async def test_consent_of_an_administrator_lets_the_operation_go_on(hostless: Hostless) -> None:
    """When an administrator has consented there and we may see it, the next run grants nothing and hands off."""
    waiting = await _without_permission(hostless, instead="Directory.Read.All")
    (mail,) = others(await hostless.world.mailbox())
    address = re.search(r"https://\S+/adminconsent\?client_id=\S+", mail["text"])
    assert address
    await _consent(hostless.world, address[0])
    hostless.later(hours=2)
    await _run_again(hostless, waiting)
    for message in await hostless.take():
        await hostless.run(message)
    through = await hostless.operation(waiting.id)
    assert through.waiting_for is not None
    assert through.waiting_for.what == "acknowledgement"
    assert len((await hostless.world.dump())["grants"]) == 1


async def _run_again(hostless: Hostless, operation: Operation) -> None:
    """What the sweep sends when the operation's time has come."""
    assert await handlers.operations.sweep(hostless.tenant, hostless.now) == 1
    for message in await hostless.take():
        assert message.operation == operation.id
        await hostless.run(message)


async def _consent(world: World, address: str) -> None:
    """An administrator opens the address and presses Accept."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=world.tls)) as session,
        session.get(address, allow_redirects=False) as answer,
    ):
        form = await answer.text()
        assert "openid" in form, form
        action = re.search(r'action="([^"]+)"', form)
        fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))
        assert action
        target = f"{world.state.authority}{action[1]}"
        async with session.post(target, data={**fields, "accept": "true"}, allow_redirects=False) as done:
            assert done.status < 400, await done.text()


async def test_saml_onboarding_needs_no_permission_to_consent(hostless: Hostless) -> None:
    """Where our identity may not consent a SAML vendor is onboarded all the same."""
    assignments = (await hostless.world.dump())["assignments"]
    held = next(entry for entry in assignments if entry["appRoleId"] == APPLICATION_PERMISSIONS[CONSENT])
    await remove(hostless.world, "assignments", held["id"])
    accepted = await hostless.accept("thoropass")
    for _ in range(2):
        for message in await hostless.take():
            await hostless.run(message)
    through = await hostless.operation(accepted.id)
    assert through.waiting_for is not None
    assert through.waiting_for.what == "acknowledgement"
