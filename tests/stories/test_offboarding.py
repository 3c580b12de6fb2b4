"""A vendor is taken out of use: at once for sign-in, for good after its days, and back by the same request."""

from typing import Any

import pytest

import handlers.assignment
import handlers.offboarding
import handlers.onboarding
import handlers.operations
from sso.caller import Caller
from sso.errors import Refused
from sso.model import key_of
from sso.operation import Operation
from tests.api.answers import nothing_changes, problem, shaped
from tests.stories.administrator import graph
from tests.stories.hostless import Hostless
from tests.world import World, request

KEY = key_of("smarttrace", "default")


async def _onboarded(hostless: Hostless, vendor: str = "smarttrace") -> None:
    await hostless.accept(vendor)
    await hostless.run_all()


async def _offboarded(hostless: Hostless, vendor: str = "smarttrace") -> Operation:
    await _onboarded(hostless, vendor)
    operation = await handlers.offboarding.accept(hostless.tenant, key_of(vendor, "default"), Caller(), hostless.now)
    await hostless.run_all()
    return await hostless.operation(operation.id)


async def _waits_no_more(hostless: Hostless, operation: Operation) -> Operation:
    """The operation once its days are over and the sweep has sent its message."""
    hostless.later(days=14, minutes=3)
    assert await handlers.operations.sweep(hostless.tenant, hostless.now) >= 1
    await hostless.run_all()
    return await hostless.operation(operation.id)


async def _vault(world: World) -> dict[str, list[bool]]:
    """Which versions of the client secret are enabled, by name."""
    vault = (await world.dump())["vault"]
    return {name: [version["enabled"] for version in entry["versions"]] for name, entry in vault.items()}


async def test_sign_in_stops_at_once_and_the_request_brings_it_back(world: World) -> None:
    """Nobody signs in, the vault is closed, the vendor told; asked for again, the old secret works as before."""
    await world.onboard("smarttrace")
    await world.collect("smarttrace")
    assert (await world.sign_in("smarttrace"))["signed_in"]
    mails = len(await world.mailbox())
    async with nothing_changes(world):
        plan = await world.api("DELETE", "/applications/smarttrace/default?mode=plan")
    shaped("plan", plan.body)
    assert [step["step"] for step in plan.body["steps"]] == ["disable_sign_in", "disable_version", "tell_offboarded"]
    assert "can no longer sign in" in plan.body["steps"][0]["affects"]
    assert "is deleted" in plan.body["notes"][0]
    reply = await world.api("DELETE", "/applications/smarttrace/default")
    assert reply.status == 202
    operation = shaped("operation", reply.body)["operation"]
    waiting = await _until_waiting(world, operation)
    assert (waiting["kind"], waiting["waiting_for"]["what"]) == ("offboarding", "time")
    assert [step["state"] for step in waiting["steps"]] == ["done", "done", "done"]
    (told,) = (await world.mailbox())[mails:]
    assert told["to"] == ["app-owner@contoso.com"]
    assert "access has ended" in told["subject"]
    assert "AADSTS7000112" in (await world.sign_in("smarttrace"))["reason"]
    assert not any(enabled for versions in (await _vault(world)).values() for enabled in versions)
    shown = (await world.api("GET", "/applications/smarttrace/default")).body
    assert any("offboarded since" in line for line in shown["drift"])
    again = await world.api("DELETE", "/applications/smarttrace/default")
    assert (again.status, again.body["operation"]) == (202, operation)
    for path, body in (("rotations", {"reason": "test"}), ("handoffs", None), ("assignments", {"add": ["Sales"]})):
        problem(await world.api("POST", f"/applications/smarttrace/default/{path}", body), 409, "instance")
    back = await world.onboard("smarttrace")
    assert "mint_secret" not in {step["step"] for step in back["steps"]}
    assert (await world.sign_in("smarttrace"))["signed_in"]
    service_principal = await world.service_principal("smarttrace")
    assert service_principal["accountEnabled"]
    assert not [tag for tag in service_principal["tags"] if "offboarded" in tag]
    problem(await world.api("DELETE", "/applications/clicktime/default"), 404, "instance")


async def _until_waiting(world: World, operation: str) -> dict[str, Any]:
    while (found := await world.operation(operation))["state"] not in {"waiting", "done", "failed"}:
        pass
    return found


@pytest.mark.parametrize("vendor", ["smarttrace", "clicktime", "hellotracks"])
async def test_after_its_days_it_is_deleted_and_can_be_restored(hostless: Hostless, vendor: str) -> None:
    """Deleted when its time has come and not before; asked for again, both objects and all assignments are restored."""
    operation = await _offboarded(hostless, vendor)
    before = await hostless.world.application(vendor)
    hostless.later(days=13)
    await handlers.onboarding.run(hostless.tenant, operation.id, hostless.now)
    assert (await hostless.world.application(vendor))["id"] == before["id"]
    hostless.later(days=-13)
    done = await _waits_no_more(hostless, operation)
    assert (done.state, done.steps[-1].step, done.reasons) == ("done", "delete_application", ())
    assert before["id"] not in {entry["id"] for entry in (await hostless.world.dump())["applications"]}
    with pytest.raises(Refused, match="restores it"):
        await handlers.offboarding.accept(hostless.tenant, key_of(vendor, "default"), Caller(), hostless.now)
    plan = await handlers.intake.preview(hostless.tenant, request(vendor), hostless.now)
    assert [step.name for step in plan.steps] == ["restore_application", "restore_service_principal"]
    accepted = await hostless.accept(vendor)
    await hostless.run_all()
    restored = await hostless.operation(accepted.id)
    assert [step.step for step in restored.steps][:2] == ["restore_application", "restore_service_principal"]
    assert (await hostless.world.application(vendor))["id"] == before["id"]
    assert (await hostless.world.service_principal(vendor))["accountEnabled"]
    resource = (await hostless.world.service_principal(vendor))["id"]
    dump = await hostless.world.dump()
    assert sum(entry["resourceId"] == resource for entry in dump["assignments"]) == 2
    assert len(before["passwordCredentials"]) == len((await hostless.world.application(vendor))["passwordCredentials"])


async def test_without_the_directory_role_the_refusal_names_it(hostless: Hostless) -> None:
    """A restore that needs a role waits for it, and says which and where; once it is given it goes on."""
    operation = await _offboarded(hostless)
    await _waits_no_more(hostless, operation)
    await hostless.world.control("PUT", "/switches", {"identity_may_restore": False})
    accepted = await hostless.accept("smarttrace")
    await hostless.run_all()
    stopped = await hostless.operation(accepted.id)
    assert stopped.waiting_for is not None
    assert stopped.waiting_for.what == "permission"
    assert "Cloud Application Administrator" in stopped.reasons[0].detail
    await hostless.world.control("PUT", "/switches", {"identity_may_restore": True})
    await handlers.onboarding.run(hostless.tenant, accepted.id, hostless.later(hours=2))
    assert (await hostless.world.service_principal("smarttrace"))["accountEnabled"]


async def test_deletion_needs_the_tag_of_the_start(hostless: Hostless) -> None:
    """Where somebody has taken the tag away or enabled sign-in meanwhile, nothing is deleted and the operation ends."""
    operation = await _offboarded(hostless)
    found = await hostless.world.service_principal("smarttrace")
    await graph(hostless.world, "PATCH", f"/servicePrincipals/{found['id']}", {"accountEnabled": True})
    done = await _waits_no_more(hostless, operation)
    assert done.state == "done"
    assert "undone" in done.reasons[0].detail
    assert (await hostless.world.application("smarttrace"))["uniqueName"] == KEY.marker


async def test_what_was_under_way_ends(hostless: Hostless) -> None:
    """An onboarding that waits for its acknowledgement ends, so that nobody is reminded of what is out of use."""
    await _onboarded(hostless)
    (waiting,) = await hostless.tenant.ledger.unfinished_of(KEY)
    operation = await handlers.offboarding.accept(hostless.tenant, KEY, Caller(), hostless.now)
    await hostless.run_all()
    ended = await hostless.operation(waiting.id)
    assert ended.state == "failed"
    assert operation.id in ended.reasons[0].detail
    assert {page.state for page in await hostless.tenant.ledger.pages(KEY)} == {"replaced"}
    assert await handlers.rotation.tick(hostless.tenant, hostless.later(days=13)) == 0


async def test_disabled_by_hand_stays_disabled(world: World) -> None:
    """Without the tag a disabled service principal is drift: listed, and not enabled by an onboarding."""
    await world.onboard("hellotracks")
    found = await world.service_principal("hellotracks")
    await graph(world, "PATCH", f"/servicePrincipals/{found['id']}", {"accountEnabled": False})
    shown = (await world.api("GET", "/applications/hellotracks/default")).body
    assert any("is disabled" in line for line in shown["drift"])
    await world.onboard("hellotracks")
    assert not (await world.service_principal("hellotracks"))["accountEnabled"]
