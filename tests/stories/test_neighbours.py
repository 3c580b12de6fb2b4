"""What else is in the tenant: other instances, applications that Gatehouse did not make, and deleted ones."""

from uuid import uuid4

import pytest

from tests.stories.administrator import change, delete_application, graph
from tests.stories.hostless import Hostless
from tests.stories.mails import handoffs
from tests.world import World, request

CONTOSO, FABRIKAM = {"InstanceName": "contoso"}, {"InstanceName": "fabrikam"}


async def test_two_instances_stand_side_by_side(world: World) -> None:
    """Two instances of SmartTrace are two applications with addresses, secrets and sign-ins of their own."""
    await world.onboard("smarttrace", parameters=CONTOSO)
    await world.onboard("smarttrace", instance="emea", parameters=FABRIKAM)
    for instance in ("default", "emea"):
        collected = await world.collect("smarttrace", instance)
        assert collected["acknowledged"], collected["reason"]
        inside = await world.sign_in("smarttrace", instance=instance)
        assert inside["signed_in"], inside["reason"]
    one, other = await world.application("smarttrace"), await world.application("smarttrace", "emea")
    assert (one["displayName"], other["displayName"]) == ("SmartTrace", "SmartTrace (emea)")
    assert one["web"]["redirectUris"] == ["https://api.smarttrace.ai/v1/auth/callback/azure/contoso"]
    assert other["web"]["redirectUris"] == ["https://api.smarttrace.ai/v1/auth/callback/azure/fabrikam"]
    assert set((await world.dump())["vault"]) == {
        f"gatehouse-smarttrace-{instance}-client-secret{staged}"
        for instance in ("default", "emea")
        for staged in ("", "-staged")
    }


async def test_second_instance_of_a_one_instance_vendor_is_refused(world: World) -> None:
    """A second ClickTime is refused before any write, and the reason names the one that is there."""
    await world.onboard("clicktime")
    before = await world.last_call()
    reply = await world.api("POST", "/onboardings", request("clicktime", instance="emea"))
    assert reply.status == 400
    (reason,) = reply.body["reasons"]
    assert reason["field"] == "instance"
    assert "once per tenant" in reason["detail"]
    assert "'clicktime/default'" in reason["detail"]
    assert await world.writes(before) == []
    planned = await world.api("POST", "/onboardings?mode=plan", request("clicktime", instance="emea"))
    assert planned.status == 400


@pytest.mark.parametrize("vendor", ["smarttrace", "hellotracks", "thoropass"])
async def test_application_of_the_same_name_is_named_and_left_alone(world: World, vendor: str) -> None:
    """An application with the vendor's name and not our mark stays as it is, and the plan says where it stands."""
    name = {"smarttrace": "SmartTrace", "hellotracks": "Hellotracks", "thoropass": "Thoropass"}[vendor]
    made = await graph(world, "POST", "/applications", {"displayName": name})
    (note,) = (await world.plan(vendor))["notes"]
    assert made["id"] in note
    assert f"gatehouse:adopt:{vendor}/default" in note
    await world.onboard(vendor)
    assert await graph(world, "GET", f"/applications/{made['id']}") == made
    collected = await world.collect(vendor)
    assert collected["acknowledged"], collected["reason"]
    assert (await world.sign_in(vendor))["signed_in"]


async def test_application_that_was_made_from_the_template_is_named_and_left_alone(world: World) -> None:
    """An application from the same gallery entry, whatever it is called now, is named in the plan and not touched."""
    templates = await graph(world, "GET", "/applicationTemplates?$filter=displayName eq 'Thoropass'")
    template = templates["value"][0]["id"]
    made = await graph(world, "POST", f"/applicationTemplates/{template}/instantiate", {"displayName": "Audits"})
    address = f"/applications/{made['application']['id']}"
    before = await graph(world, "GET", address)
    (note,) = (await world.plan("thoropass"))["notes"]
    assert "'Audits'" in note
    assert before["id"] in note
    await world.onboard("thoropass")
    assert await graph(world, "GET", address) == before


async def test_identifier_held_by_a_stranger_refuses_the_onboarding(world: World) -> None:
    """Where another application holds ClickTime's identifier the request is refused before any write, with its ID."""
    stranger = str(uuid4())
    identifiers = ["https://app.clicktime.com/sp/"]
    await change(
        world, "applications", stranger, displayName="Time sheets", appId=str(uuid4()), identifierUris=identifiers
    )
    before = await world.last_call()
    reply = await world.api("POST", "/onboardings", request("clicktime"))
    assert reply.status == 400
    (reason,) = reply.body["reasons"]
    assert stranger in reason["detail"]
    assert "gatehouse:adopt:clicktime/default" in reason["detail"]
    assert await world.writes(before) == []


@pytest.mark.parametrize("vendor", ["clicktime", "hellotracks", "smarttrace"])
async def test_deleted_application_of_the_key_is_restored(world: World, vendor: str) -> None:
    """After its application was deleted by hand, the same request restores it, whole and the only one."""
    await world.onboard(vendor)
    await world.collect(vendor)
    before = await world.application(vendor)
    await delete_application(world, vendor)
    plan = await world.plan(vendor)
    assert [step["step"] for step in plan["steps"]] == ["restore_application", "restore_service_principal"]
    done = await world.onboard(vendor)
    assert [step["step"] for step in done["steps"]] == ["restore_application", "restore_service_principal"]
    assert (await world.application(vendor))["id"] == before["id"]
    assert (await world.sign_in(vendor))["signed_in"]


@pytest.mark.parametrize("vendor", ["clicktime", "hellotracks"])
async def test_purged_application_is_onboarded_anew(hostless: Hostless, vendor: str) -> None:
    """Long after its application was purged the same request makes another one, with a credential of its own."""
    world = hostless.world
    await hostless.accept(vendor)
    await hostless.run_all()
    before = await world.application(vendor)
    await delete_application(world, vendor)
    await graph(world, "DELETE", f"/directory/deletedItems/{before['id']}")
    hostless.later(hours=2)
    await hostless.accept(vendor)
    await hostless.run_all()
    after = await world.application(vendor)
    assert after["id"] != before["id"]
    assert (await world.service_principal(vendor))["appId"] == after["appId"]
    keys = {password["keyId"] for password in after["passwordCredentials"]}
    assert keys.isdisjoint(password["keyId"] for password in before["passwordCredentials"])
    assert bool(keys) is (vendor == "hellotracks")
    newest = handoffs(await world.mailbox())[-1]["text"]
    assert after["appId"] in newest
    assert before["appId"] not in newest


@pytest.mark.parametrize("vendor", ["clicktime", "hellotracks"])
async def test_restored_application_is_found_whole(world: World, vendor: str) -> None:
    """Once application and service principal are restored the same request finds nothing missing."""
    await world.onboard(vendor)
    await world.collect(vendor)
    client_id = (await world.application(vendor))["appId"]
    deleted = await delete_application(world, vendor)
    gone = await graph(world, "GET", f"/directory/deletedItems/graph.servicePrincipal?$filter=appId eq '{client_id}'")
    for object_id in (deleted, gone["value"][0]["id"]):
        await graph(world, "POST", f"/directory/deletedItems/{object_id}/restore")
    assert await world.plan(vendor) == {"steps": [], "notes": []}
    assert (await world.sign_in(vendor))["signed_in"]
