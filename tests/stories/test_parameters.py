"""Parameters that a vendor supplies once it has our metadata."""

from typing import Any

from tests.stories.mails import handoffs
from tests.world import World

PATH = "/applications/smartsheet/default/parameters"


async def _waiting(world: World) -> dict[str, Any]:
    """An onboarding of the vendor that supplies its workspace itself, carried as far as it comes."""
    operation = await world.onboard("smartsheet")
    assert operation["state"] == "waiting", operation
    return operation


async def test_operation_waits_for_the_vendors_parameter_after_its_handoff(wider_world: World) -> None:
    """The vendor is mailed our metadata, then the operation waits for what it supplies; no address is guessed."""
    operation = await _waiting(wider_world)
    assert operation["waiting_for"]["what"] == "parameters"
    assert operation["waiting_for"]["whom"] == "support@smartsheet.com"
    (mail,) = handoffs(await wider_world.mailbox())
    assert "federationmetadata.xml?appid=" in mail["text"]
    application = await wider_world.application("smartsheet")
    assert (application["identifierUris"], application["web"]["redirectUris"]) == ([], [])


async def test_supplied_parameter_lets_the_operation_go_on(wider_world: World) -> None:
    """With the value the same operation writes the addresses and then waits for the acknowledgement."""
    operation = await _waiting(wider_world)
    reply = await wider_world.api("PUT", PATH, {"Workspace": "contoso"})
    assert (reply.status, reply.body["operation"]) == (202, operation["operation"])
    assert reply.headers["Location"] == f"/api/operations/{operation['operation']}"
    rested = await wider_world.rest(operation["operation"])
    assert rested["waiting_for"]["what"] == "acknowledgement"
    application = await wider_world.application("smartsheet")
    assert application["identifierUris"] == ["https://sso.smartsheet.com/contoso"]
    assert application["web"]["redirectUris"] == ["https://sso.smartsheet.com/contoso/acs"]
    assert "gatehouse:parameter:Workspace=contoso" in application["tags"]
    assert (await wider_world.plan("smartsheet"))["steps"] == []


async def test_wrong_value_is_refused_and_nothing_goes_on(wider_world: World) -> None:
    """A value that does not have the profile's form is refused with its field; the operation waits on."""
    operation = await _waiting(wider_world)
    bodies: list[Any] = [{"Workspace": "Contoso!"}, {"Workspace": "evil.example/contoso"}, {"Workspace": 7}, {}, []]
    for body in bodies:
        before = await wider_world.last_call()
        reply = await wider_world.api("PUT", PATH, body)
        assert reply.status == 400, body
        assert await wider_world.writes(before) == []
    unknown = await wider_world.api("PUT", PATH, {"Workspace": "contoso", "Colour": "red"})
    assert [reason["field"] for reason in unknown.body["reasons"]] == ["parameters.Colour"]
    assert (await wider_world.operation(operation["operation"]))["waiting_for"]["what"] == "parameters"


async def test_parameter_of_the_request_is_not_taken_from_the_vendor(world: World) -> None:
    """What the onboarding request supplies is not changed by this call: SmartTrace's instance name stays."""
    await world.onboard("smarttrace")
    reply = await world.api("PUT", "/applications/smarttrace/default/parameters", {"InstanceName": "fabrikam"})
    assert reply.status == 400
    assert "not by the vendor" in reply.body["reasons"][0]["detail"]


async def test_parameters_of_an_unknown_application_are_refused(wider_world: World) -> None:
    """An application that was never onboarded takes no parameters: 404."""
    assert (await wider_world.api("PUT", PATH, {"Workspace": "contoso"})).status == 404


async def test_broken_profile_says_so_wherever_it_is_asked_for(wider_world: World) -> None:
    """A profile that its maintainer broke is a problem document with what is wrong in it, on every route."""
    broken = "/applications/broken/default"
    for method, path in (
        ("GET", broken),
        ("GET", "/vendors/broken"),
        ("POST", f"{broken}/handoffs"),
        ("PUT", f"{broken}/parameters"),
    ):
        reply = await wider_world.api(method, path, {"Workspace": "contoso"} if method == "PUT" else None)
        assert reply.status == 502, path
        assert "vendors/broken.toml" in reply.body["reasons"][0]["detail"]
    asked = await wider_world.api("POST", "/onboardings", {"vendor": "broken", "owner": "app-owner@contoso.com"})
    assert asked.status == 400
    assert "vendors/broken.toml" in asked.body["reasons"][0]["detail"]
