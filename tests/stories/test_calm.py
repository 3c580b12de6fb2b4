"""In a calm tenant: one run, its assignment messages, nothing delayed, and `waiting` only when everyone is recorded."""

import pytest

from tests.stories.administrator import change, group
from tests.stories.hostless import Delivered, Hostless
from tests.world import VENDORS, World


@pytest.mark.parametrize("vendor", VENDORS)
async def test_one_run_and_its_assignments_reach_the_acknowledgement(hostless: Hostless, vendor: str) -> None:
    """One message is run once, sends one message of assignments at once, and after that nothing is left to do."""
    accepted = await hostless.accept(vendor)
    (first,) = await hostless.take()
    assert first == Delivered("onboardings", accepted.id, None)
    await hostless.run(first)
    running = await hostless.operation(accepted.id)
    assert (running.state, running.waiting_for) == ("running", None)
    assert all(step.state == "done" for step in running.steps)
    (second,) = await hostless.take()
    assert second == Delivered("assignments", accepted.id, 1)
    assert await hostless.left() == {}
    await hostless.run(second)
    waiting = await hostless.operation(accepted.id)
    assert waiting.state == "waiting"
    assert waiting.waiting_for is not None
    assert waiting.waiting_for.what == "acknowledgement"
    assert await hostless.left() == {}


async def test_many_principals_travel_in_batches_of_twenty(hostless: Hostless) -> None:
    """45 principals are three messages, and the operation waits for the vendor only after the last of them."""
    users = [
        user["userPrincipalName"]
        for user in (await hostless.world.dump())["users"]
        if user["accountEnabled"] and user["userType"] == "Member"
    ][:44]
    accepted = await hostless.accept("clicktime", assignments={"users": users, "groups": ["Sales"]})
    (first,) = await hostless.take()
    await hostless.run(first)
    batches = await hostless.take()
    assert batches == [Delivered("assignments", accepted.id, number) for number in (1, 2, 3)]
    for batch in batches:
        assert (await hostless.operation(accepted.id)).state == "running"
        await hostless.run(batch)
    assert (await hostless.operation(accepted.id)).state == "waiting"
    service_principal = await hostless.world.service_principal("clicktime")
    assignments = (await hostless.world.dump())["assignments"]
    assert len([a for a in assignments if a["resourceId"] == service_principal["id"]]) == 45
    sizes = [
        len(call["request"]["requests"])
        for call in await hostless.world.calls()
        if call["operation"] == "batch" and all(r["method"] == "POST" for r in call["request"]["requests"])
    ]
    assert sorted(sizes) == [5, 20, 20]


async def test_message_that_comes_twice_grants_nothing_twice(hostless: Hostless) -> None:
    """A repeated message of either queue makes no second application, assignment or mail."""
    await hostless.accept("hellotracks")
    (first,) = await hostless.take()
    await hostless.run(first)
    (second,) = await hostless.take()
    await hostless.run(second)
    before, mails = await hostless.world.last_call(), await hostless.world.mailbox()
    await hostless.run(second)
    await hostless.run(first)
    assert await hostless.world.writes(before) == []
    assert await hostless.world.mailbox() == mails


async def test_refused_principal_is_recorded_with_its_reason(hostless: Hostless) -> None:
    """A group that can no longer be assigned is refused with its reason, the others get in, and the vendor is told."""
    accepted = await hostless.accept("clicktime")
    sales = await group(hostless.world, "Sales")
    await change(hostless.world, "groups", sales["id"], securityEnabled=False)
    for _ in range(2):
        for message in await hostless.take():
            await hostless.run(message)
    waiting = await hostless.operation(accepted.id)
    assert waiting.state == "waiting"
    (reason,) = waiting.reasons
    assert reason.field == "assignments"
    assert "Sales" in reason.detail
    assert sales["id"] in reason.detail
    names = {entry["principalDisplayName"] for entry in (await hostless.world.dump())["assignments"]}
    assert "B.Simon" in names
    assert "Sales" not in names


async def test_principal_that_never_appears_is_refused_in_the_end(hostless: Hostless) -> None:
    """A person deleted between check and run is looked for again for a while, then refused with the reason."""
    accepted = await hostless.accept("clicktime", assignments={"users": ["b.simon@contoso.com"]})
    people = (await hostless.world.dump())["users"]
    simon = next(person for person in people if person["userPrincipalName"] == "b.simon@contoso.com")
    await hostless.world.control("DELETE", f"/objects/users/{simon['id']}")
    (first,) = await hostless.take()
    await hostless.run(first)
    (batch,) = await hostless.take()
    for _ in range(100):
        await hostless.run(batch)
        hostless.later(minutes=1)
        if (await hostless.operation(accepted.id)).state != "running":
            break
    waiting = await hostless.operation(accepted.id)
    assert waiting.state == "waiting"
    (reason,) = waiting.reasons
    assert simon["id"] in reason.detail


async def test_role_that_does_not_exist_fails_with_those_that_do(world: World) -> None:
    """A role that the application does not publish fails the operation, which names the roles there are."""
    operation = await world.onboard("clicktime", assignments={"users": ["b.simon@contoso.com"], "role": "Captain"})
    assert operation["state"] == "failed"
    (reason,) = operation["reasons"]
    assert reason["field"] == "assignments.role"
    assert "'Captain'" in reason["detail"]
    assert "'User', 'msiam_access'" in reason["detail"]


async def test_role_of_the_request_is_the_one_that_is_given(world: World) -> None:
    """A request that names a role of the application gives that role."""
    await world.onboard("clicktime", assignments={"users": ["b.simon@contoso.com"], "role": "msiam_access"})
    service_principal = await world.service_principal("clicktime")
    roles = {role["id"]: role["displayName"] for role in service_principal["appRoles"]}
    assignments = (await world.dump())["assignments"]
    given = [roles[a["appRoleId"]] for a in assignments if a["resourceId"] == service_principal["id"]]
    assert given == ["msiam_access"]
