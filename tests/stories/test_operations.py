"""Operations afterwards: replayed where that can help, ended by whoever acknowledges."""

import pytest

import handlers.operations
from sso.operation import Operation
from tests.stories.hostless import Hostless
from tests.world import VENDORS, World


async def test_failed_operation_is_replayed_from_what_is_there_now(world: World) -> None:
    """What failed for want of addresses goes on, as the same operation, once the gallery has them."""
    await world.control("PUT", "/switches", {"presets": "none"})
    failed = await world.onboard("thoropass")
    assert failed["state"] == "failed"
    made = (await world.application("thoropass"))["id"]
    await world.control("PUT", "/switches", {"presets": "template"})
    reply = await world.api("POST", f"/operations/{failed['operation']}/replay")
    assert (reply.status, reply.headers["Location"]) == (202, f"/api/operations/{failed['operation']}")
    again = await world.rest(failed["operation"])
    assert (again["state"], again["reasons"]) == ("waiting", [])
    assert (await world.application("thoropass"))["id"] == made
    collected = await world.collect("thoropass")
    assert collected["acknowledged"], collected["reason"]
    assert (await world.sign_in("thoropass"))["signed_in"]


async def _fails_untold(hostless: Hostless) -> Operation:
    """An onboarding that fails for want of addresses, while no mail can be sent; afterwards it can."""
    refused = {"operation": "users.user.sendMail", "fault": "refuse", "times": None}
    await hostless.world.control("PUT", "/switches", {"presets": "none"})
    await hostless.world.control("PUT", "/faults", [refused])
    accepted = await hostless.accept("thoropass")
    await hostless.run_all()
    await hostless.world.control("PUT", "/faults", [])
    failed = await hostless.operation(accepted.id)
    assert (failed.state, await hostless.world.mailbox()) == ("failed", [])
    return failed


async def test_mail_of_a_failure_that_was_cut_is_sent_by_the_sweep_once(hostless: Hostless) -> None:
    """What failed and was told nobody is told once two minutes have passed; then never again."""
    failed = await _fails_untold(hostless)
    await hostless.sweep()
    assert await hostless.world.mailbox() == []  # the run that failed may be about to
    for _ in range(2):
        await hostless.pass_time(minutes=3)
        await hostless.sweep()
        (mail,) = await hostless.world.mailbox()
        assert mail["to"] == ["app-owner@contoso.com"]
        assert failed.id in mail["text"]
        assert failed.reasons[0].detail.split()[0] in mail["text"]


async def test_failure_that_is_replayed_before_anybody_was_told_is_told_no_more(hostless: Hostless) -> None:
    """Once somebody has looked after it, the mail of what failed is void."""
    failed = await _fails_untold(hostless)
    await handlers.operations.replay(hostless.tenant, failed.id, hostless.now)
    await hostless.pass_time(minutes=3)
    await handlers.operations.sweep(hostless.tenant, hostless.now)
    assert await hostless.world.mailbox() == []


async def test_waiting_operation_is_replayed_without_a_second_mail(world: World) -> None:
    """A replay of what waits for its acknowledgement writes nothing, mails nobody and waits again."""
    waiting = await world.onboard("hellotracks")
    before = await world.last_call()
    reply = await world.api("POST", f"/operations/{waiting['operation']}/replay")
    assert reply.status == 202
    again = await world.rest(waiting["operation"])
    assert (again["state"], again["waiting_for"]["what"]) == ("waiting", "acknowledgement")
    assert await world.writes(before) == []


async def test_done_operation_is_not_replayed(world: World) -> None:
    """A replay of what is done is 409 and says so."""
    done = await world.onboard("clicktime")
    await world.collect("clicktime")
    reply = await world.api("POST", f"/operations/{done['operation']}/replay")
    assert reply.status == 409
    assert "is done" in reply.body["reasons"][0]["detail"]


async def test_unknown_operation_is_not_replayed(world: World) -> None:
    """A replay of an operation that is not there is 404."""
    assert (await world.api("POST", "/operations/8204294286139-00000000/replay")).status == 404


@pytest.mark.parametrize("vendor", VENDORS)
async def test_acknowledgement_by_telephone_ends_the_operation(world: World, vendor: str) -> None:
    """Key ID or thumbprint, sent to the API with who said so, acknowledges: the operation is done, the page closed."""
    waiting = await world.onboard(vendor)
    shown = (await world.api("GET", f"/applications/{vendor}/default")).body
    (credential,) = shown["credentials"]
    field = "key_id" if credential["type"] == "client_secret" else "thumbprint"
    body = {field: credential["id"].lower(), "by": "Dana of the vendor", "note": "by telephone"}
    reply = await world.api("POST", f"/applications/{vendor}/default/acknowledgements", body)
    assert reply.status == 200, reply.text
    assert (await world.operation(waiting["operation"]))["state"] == "done"
    after = (await world.api("GET", f"/applications/{vendor}/default")).body
    assert after["handoff"]["state"] == "acknowledged"
    assert await world.plan(vendor) == {"steps": [], "notes": []}


async def test_acknowledgement_of_an_unknown_credential_is_refused(world: World) -> None:
    """A key ID or thumbprint that the application does not have is 404, and the operation waits on."""
    waiting = await world.onboard("clicktime")
    body = {"thumbprint": "00" * 20, "by": "Dana of the vendor"}
    reply = await world.api("POST", "/applications/clicktime/default/acknowledgements", body)
    assert reply.status == 404
    assert (await world.operation(waiting["operation"]))["state"] == "waiting"


async def test_acknowledgement_of_an_unknown_application_is_refused(world: World) -> None:
    """An application that was never onboarded is 404."""
    body = {"thumbprint": "00" * 20, "by": "Dana of the vendor"}
    assert (await world.api("POST", "/applications/clicktime/default/acknowledgements", body)).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/applications/nobody/default"),
        ("POST", "/applications/nobody/default/handoffs"),
        ("PUT", "/applications/nobody/default/parameters"),
        ("POST", "/applications/nobody/default/acknowledgements"),
        ("POST", "/applications/clicktime/Not-A-Name/handoffs"),
    ],
)
async def test_application_that_cannot_be_is_not_found(running_world: World, method: str, path: str) -> None:
    """A vendor that is not in the catalogue, or a malformed instance, is 404 with a problem document."""
    reply = await running_world.api(method, path, {"key_id": "x", "by": "x"} if "ack" in path else {"Workspace": "x"})
    assert reply.status == 404, reply.text
    assert reply.headers["Content-Type"].startswith("application/problem+json")
