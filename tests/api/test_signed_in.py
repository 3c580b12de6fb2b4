"""Callers who must be signed in: the platform's header decides, and only where the deployment says so."""

from collections.abc import AsyncIterator

import pytest

from tests.api.answers import nothing_changes, problem, shaped
from tests.api.hosts import OtherHost, another_host
from tests.rules.test_caller import header
from tests.world import World, request

NAME = ("preferred_username", "helpdesk@contoso.com")
READ, ONBOARD, OPERATE = (("roles", f"Gatehouse.{role}") for role in ("Read", "Onboard", "Operate"))
PRINCIPAL = "X-MS-CLIENT-PRINCIPAL"


@pytest.fixture(scope="module")
async def strict(quiet: World) -> AsyncIterator[OtherHost]:
    """A host of a deployment that demands a sign-in."""
    async with another_host(quiet, {"GATEHOUSE_REQUIRE_SIGNED_IN": "true"}) as host:
        yield host


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("POST", "/api/onboardings", ONBOARD),
        ("POST", "/api/onboardings?mode=plan", ONBOARD),
        ("GET", "/api/operations", READ),
        ("GET", "/api/operations/unknown", READ),
        ("POST", "/api/operations/unknown/replay", OPERATE),
        ("POST", "/api/operations/unknown/release", OPERATE),
        ("GET", "/api/applications", READ),
        ("GET", "/api/applications/thoropass/default", READ),
        ("PUT", "/api/applications/thoropass/default/parameters", OPERATE),
        ("POST", "/api/applications/thoropass/default/handoffs", OPERATE),
        ("POST", "/api/applications/thoropass/default/acknowledgements", OPERATE),
        ("GET", "/api/vendors", READ),
        ("GET", "/api/vendors/thoropass", READ),
        ("POST", "/api/entitlements/preview", READ),
        ("GET", "/api/health", READ),
    ],
)
async def test_each_route_demands_its_role(
    quiet: World, strict: OtherHost, method: str, path: str, role: tuple[str, str]
) -> None:
    """Without the header 401, with another role 403, with the role the call itself is answered."""
    async with nothing_changes(quiet):
        problem(await strict.call(method, path), 401, "caller")
        problem(await strict.call(method, path, **{PRINCIPAL: "no header of the platform"}), 401, "caller")
        others = [other for other in (READ, ONBOARD, OPERATE) if other != role]
        problem(await strict.call(method, path, **{PRINCIPAL: header(NAME, *others)}), 403, "caller")
        allowed = await strict.call(method, path, **{PRINCIPAL: header(NAME, role)})
        assert allowed.status not in {401, 403}


async def test_caller_is_shown_beside_the_claim(quiet: World, strict: OtherHost) -> None:
    """The operation shows who called, beside who is said to have asked."""
    body = request("thoropass", requested_by="somebody@contoso.com", assignments=None)
    reply = await strict.call("POST", "/api/onboardings", body, **{PRINCIPAL: header(NAME, ONBOARD)})
    assert reply.status == 202, reply.text
    shaped("operation", reply.body)
    found = await quiet.rest(reply.body["operation"])
    assert (found["caller"], found["requested_by"]) == ("helpdesk@contoso.com", "somebody@contoso.com")


async def test_page_of_a_vendor_needs_no_sign_in(strict: OtherHost) -> None:
    """The vendor has no account with us: its page is guarded by link and code alone."""
    assert (await strict.call("GET", f"/api/handoffs/{'x' * 43}")).status == 404


async def test_header_is_ignored_where_anyone_could_send_it(quiet: World) -> None:
    """Without the setting the header is no proof, so it neither opens anything nor is shown."""
    headers = {PRINCIPAL: header(NAME, ONBOARD)}
    reply = await quiet.api("POST", "/onboardings", request("hellotracks", assignments=None), headers=headers)
    assert reply.status == 202, reply.text
    assert reply.body["caller"] is None
    assert (await quiet.rest(reply.body["operation"]))["caller"] is None
