"""Adoption of an application that was made by hand: only with consent, and nothing of it is taken away."""

from uuid import uuid4

import pytest

from tests.adoption.by_hand import NAMES, OLD_ADDRESS, adoption_tag, follow, lost, make, offer, read
from tests.stories.administrator import change, graph
from tests.world import VENDORS, World, request


async def _refusal(world: World, vendor: str) -> str:
    before = await world.last_call()
    reply = await world.api("POST", "/onboardings", request(vendor))
    assert reply.status == 400, reply.text
    assert await world.writes(before) == []
    assert (await world.api("POST", "/onboardings?mode=plan", request(vendor))).status == 400
    return " ".join(reason["detail"] for reason in reply.body["reasons"])


async def test_without_the_tag_it_is_left_alone_and_named(world: World) -> None:
    """The plan names it with the tag and the command; the onboarding goes on beside it and changes nothing of it."""
    vendor = "smarttrace"
    made = await make(world, vendor)
    before = await read(world, made)
    plan = await world.plan(vendor)
    assert "adopt" not in [step["step"] for step in plan["steps"]]
    (note,) = plan["notes"]
    assert made.object_id in note
    assert adoption_tag(vendor) in note
    await world.onboard(vendor)
    assert (await world.application(vendor))["id"] != made.object_id
    assert await read(world, made) == before


async def test_the_command_of_the_plan_allows_adoption(world: World) -> None:
    """Whoever carries out the note's command, as it stands, keeps the other tags and gets an adoption planned."""
    made = await make(world, "smarttrace")
    (note,) = (await world.plan("smarttrace"))["notes"]
    await follow(world, note)
    application, _ = await read(world, made)
    assert application["tags"] == ["made by hand", adoption_tag("smarttrace")]
    steps = [step["step"] for step in (await world.plan("smarttrace"))["steps"]]
    assert steps[0] == "adopt"
    assert "instantiate" not in steps


@pytest.mark.parametrize("vendor", VENDORS)
async def test_with_the_tag_it_is_adopted_and_people_sign_in(world: World, vendor: str) -> None:
    """It becomes the key's application and loses nothing; the next plan is empty and an assigned person signs in."""
    made = await make(world, vendor, name=f"{NAMES[vendor]} of Sales")
    await offer(world, made, vendor)
    before = await read(world, made)
    operation = await world.onboard(vendor)
    assert operation["state"] == "waiting", operation["reasons"]
    collected = await world.collect(vendor)
    assert collected["acknowledged"], collected["reason"]
    assert (await world.application(vendor))["id"] == made.object_id
    after = await read(world, made)
    before[0]["tags"].remove(adoption_tag(vendor))  # consent that was used is no standing one
    assert lost(before[0], after[0]) == []
    assert lost(before[1], after[1]) == []
    ours = {"gatehouse", f"gatehouse:{vendor}/default"}
    assert ours <= set(after[0]["tags"]) & set(after[1]["tags"])
    assert sum(application["appId"] == made.client_id for application in (await world.dump())["applications"]) == 1
    assert (await world.plan(vendor))["steps"] == []
    inside, outside = await world.sign_in(vendor), await world.sign_in(vendor, "helpdesk")
    assert inside["signed_in"], inside["reason"]
    assert not outside["signed_in"]


@pytest.mark.parametrize("vendor", ["hellotracks", "clicktime"])
async def test_differences_are_told_and_stay(world: World, vendor: str) -> None:
    """What the profile does not say is a note of the plan and drift of the application, before and after."""
    made = await make(world, vendor)
    principal = f"/servicePrincipals/{made.principal_id}"
    chosen = {"appRoleAssignmentRequired": False, "loginUrl": "https://chosen.by.hand.example"}
    await graph(world, "PATCH", principal, chosen)
    await offer(world, made, vendor)
    assert [note for note in (await world.plan(vendor))["notes"] if OLD_ADDRESS in note]
    await world.onboard(vendor)
    drift = (await world.api("GET", f"/applications/{vendor}/default")).body["drift"]
    notes = (await world.plan(vendor))["notes"]
    for told in (drift, notes):
        assert any(OLD_ADDRESS in sentence for sentence in told), told
        assert any("assignment_required" in sentence for sentence in told), told
    _, after = await read(world, made)
    assert {name: after[name] for name in chosen} == chosen


async def test_the_certificate_in_use_goes_on_signing(world: World) -> None:
    """The active certificate of a SAML application stays active, none is added, and it is what the vendor is told."""
    made = await make(world, "clicktime")
    await offer(world, made, "clicktime")
    _, before = await read(world, made)
    await world.onboard("clicktime")
    _, after = await read(world, made)
    assert after["preferredTokenSigningKeyThumbprint"] == before["preferredTokenSigningKeyThumbprint"]
    assert after["keyCredentials"] == before["keyCredentials"]
    shown = (await world.api("GET", "/applications/clicktime/default")).body["credentials"]
    assert [(credential["state"], credential["ours"]) for credential in shown] == [("active", False)]


async def test_the_secret_in_use_stays_beside_ours(world: World) -> None:
    """A client secret made by hand is shown as foreign and stays; one of ours is minted and handed over."""
    made = await make(world, "smarttrace")
    await offer(world, made, "smarttrace")
    before, _ = await read(world, made)
    await world.onboard("smarttrace")
    after, _ = await read(world, made)
    assert before["passwordCredentials"][0] in after["passwordCredentials"]
    shown = (await world.api("GET", "/applications/smarttrace/default")).body["credentials"]
    assert sorted(credential["state"] for credential in shown) == ["current", "foreign"]


async def test_a_registration_without_service_principal_gets_one(world: World) -> None:
    """An application that was registered without a service principal is adopted and completed."""
    vendor = "clicktime"
    application = await graph(world, "POST", "/applications", {"displayName": NAMES[vendor]})
    tags = {"tags": [adoption_tag(vendor)]}
    await graph(world, "PATCH", f"/applications/{application['id']}", tags)
    operation = await world.onboard(vendor)
    assert operation["state"] == "waiting", operation
    await world.collect(vendor)
    assert (await world.application(vendor))["id"] == application["id"]
    assert (await world.sign_in(vendor))["signed_in"]


async def test_two_offers_are_refused(world: World) -> None:
    """Where two applications carry the tag nothing is written, and both are named."""
    made = [await make(world, "hellotracks"), await make(world, "hellotracks")]
    for each in made:
        await offer(world, each, "hellotracks")
    said = await _refusal(world, "hellotracks")
    assert all(each.object_id in said for each in made)


async def test_first_party_application_is_refused(world: World) -> None:
    """A tag on a service principal whose application is registered elsewhere, as Microsoft's are, adopts nothing."""
    await change(
        world,
        "service_principals",
        str(uuid4()),
        displayName="Microsoft Teams",
        appId="cc15fd57-2c6c-4117-a88c-83b1d56b4bbe",
        appOwnerOrganizationId="f8cdef31-a31e-4b4a-93e4-5f571e91255a",
        tags=[adoption_tag("hellotracks")],
    )
    said = await _refusal(world, "hellotracks")
    assert "'Microsoft Teams'" in said
    assert "registered elsewhere" in said


async def test_our_own_application_is_refused(world: World) -> None:
    """Gatehouse does not adopt the application that it runs as."""
    identity = next(
        s for s in (await world.dump())["service_principals"] if s["servicePrincipalType"] == "ManagedIdentity"
    )
    own = {"displayName": "Gatehouse", "appId": identity["appId"], "tags": [adoption_tag("hellotracks")]}
    await change(world, "applications", str(uuid4()), **own)
    assert "own" in await _refusal(world, "hellotracks")


async def test_application_of_another_key_is_refused(world: World) -> None:
    """What Gatehouse manages under one key is not adopted by another."""
    await world.onboard("smarttrace")
    taken = await world.application("smarttrace")
    await change(world, "applications", taken["id"], tags=[*taken["tags"], adoption_tag("hellotracks")])
    assert "another key" in await _refusal(world, "hellotracks")


async def test_application_of_another_template_is_refused(world: World) -> None:
    """An application that the gallery made for another vendor is not adopted."""
    made = await make(world, "thoropass")
    await offer(world, made, "smarttrace")
    assert "another template" in await _refusal(world, "smarttrace")


async def test_adoption_twice_is_once(world: World) -> None:
    """A second identical request after an adoption writes and mails nothing."""
    vendor = "thoropass"
    made = await make(world, vendor)
    await offer(world, made, vendor)
    await world.onboard(vendor)
    await world.collect(vendor)
    before, mails = await world.last_call(), len(await world.mailbox())
    assert (await world.onboard(vendor))["state"] == "done"
    assert await world.writes(before) == []
    assert len(await world.mailbox()) == mails
