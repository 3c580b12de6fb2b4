"""Access given and taken by name: `POST …/assignments`, and what its batches come to."""

from collections.abc import Mapping
from typing import Any

import pytest

import handlers.assignment
import handlers.operations
from sso.caller import Caller
from sso.model import OperationId, key_of
from sso.operation import Operation
from tests.api.answers import nothing_changes, problem, shaped
from tests.stories.hostless import Hostless
from tests.world import World

PATH = "/applications/hellotracks/default/assignments"
KEY = key_of("hellotracks", "default")

BAD: Mapping[str, tuple[Any, int, str]] = {
    "nobody is named": ({}, 400, ""),
    "no object": ([], 400, ""),
    "no list": ({"add": "b.simon@contoso.com"}, 400, "add"),
    "an unknown person": ({"add": ["nobody@contoso.com", "b.simon@contoso.com"]}, 400, "add[0]"),
    "an ambiguous group": ({"add": ["Project Phoenix"]}, 400, "add[0]"),
    "a group that cannot be assigned": ({"add": ["All Employees"]}, 400, "add[0]"),
    "both ways": ({"add": ["b.simon@contoso.com"], "remove": ["B.Simon@contoso.com"]}, 400, "remove"),
    "both ways by two names": ({"add": ["b.simon@contoso.com"], "remove": ["britta.simon@contoso.com"]}, 400, "remove"),
    "an unknown role": ({"add": ["b.simon@contoso.com"], "role": "Emperor"}, 400, "role"),
    "an unknown field": ({"add": ["b.simon@contoso.com"], "users": []}, 400, "users"),
    "too many": ({"add": [f"person{n}@contoso.com" for n in range(1001)]}, 400, ""),
    "too long": ({"add": ["x" * 200 + f"{n}" for n in range(700)]}, 413, ""),
}


async def _onboarded(world: World) -> None:
    await world.onboard("hellotracks", assignments=None)
    await world.collect("hellotracks")


async def _people(world: World, count: int, skip: int = 0) -> list[str]:
    """Names of people who can be assigned, in one order."""
    users = (await world.dump())["users"]
    return sorted(user["userPrincipalName"] for user in users if user["accountEnabled"])[skip : skip + count]


async def _assigned(world: World) -> set[str]:
    """Whose assignments there are, by object ID."""
    resource = (await world.service_principal("hellotracks"))["id"]
    return {a["principalId"] for a in (await world.dump())["assignments"] if a["resourceId"] == resource}


async def _change(world: World, **body: Any) -> dict[str, Any]:
    reply = await world.api("POST", PATH, body)
    assert reply.status == 202, reply.text
    return dict(shaped("operation", await world.rest(reply.body["operation"])))


class TestStory:
    """From the request to a sign-in, with a host."""

    async def test_people_and_groups_get_and_lose_access(self, world: World) -> None:
        """Forty-five people and a group are given access in three batches; one of them loses it and is refused."""
        await _onboarded(world)
        before = await world.last_call()
        named = await _people(world, 45)
        if "b.simon@contoso.com" not in named:
            named[0] = "b.simon@contoso.com"
        done = await _change(world, add=[*named, "Field Organisation"], ticket="IT-7")
        assert (done["kind"], done["state"], done["ticket"]) == ("assignment", "done", "IT-7")
        assert [(step["step"], step["state"]) for step in done["steps"]] == [("assign", "done")]
        assert len(await _assigned(world)) == 46
        batches = [c for c in await world.calls(before) if c["operation"] == "batch" and c["method"] == "POST"]
        written = [c for c in await world.writes(before) if c["operation"].endswith("CreateAppRoleAssignedTo")]
        assert len(written) == 46
        assert len(batches) < 46
        assert (await world.sign_in("hellotracks"))["signed_in"]
        done = await _change(world, remove=["britta.simon@contoso.com"], add=named[1:3])
        assert (done["state"], done["reasons"]) == ("done", [])
        assert "AADSTS50105" in (await world.sign_in("hellotracks"))["reason"]
        assert len(await _assigned(world)) == 45

    async def test_access_that_remains_through_a_group_is_named(self, world: World) -> None:
        """Whoever belongs to an assigned group keeps access; plan and operation name the group."""
        await _onboarded(world)
        await _change(world, add=["b.simon@contoso.com", "Sales"])
        plan = await world.api("POST", f"{PATH}?mode=plan", {"remove": ["b.simon@contoso.com"]})
        shaped("plan", plan.body)
        assert [step["step"] for step in plan.body["steps"]] == ["revoke"]
        assert any("keeps access through the group 'Sales'" in note for note in plan.body["notes"])
        done = await _change(world, remove=["b.simon@contoso.com"])
        assert done["state"] == "done"
        assert "keeps access through the group 'Sales'" in done["reasons"][0]["detail"]
        assert (await world.sign_in("hellotracks"))["signed_in"]

    async def test_nested_groups_are_said_to_get_nothing(self, world: World) -> None:
        """A plan that assigns a group with a group inside says that the inner one's members get nothing."""
        await _onboarded(world)
        async with nothing_changes(world):
            plan = await world.api("POST", f"{PATH}?mode=plan", {"add": ["Field Organisation"]})
        assert any("Inside 'Field Organisation' is 'Sales'" in note for note in plan.body["notes"])

    async def test_repeat_of_a_ticket_answers_with_its_operation(self, world: World) -> None:
        """The same request under one header is one operation; another body under it is 409."""
        await _onboarded(world)
        headers = {"Idempotency-Key": "once"}
        first = await world.api("POST", PATH, {"add": ["b.simon@contoso.com"]}, headers=headers)
        again = await world.api("POST", PATH, {"add": ["b.simon@contoso.com"]}, headers=headers)
        assert (first.status, again.status) == (202, 202)
        assert first.body["operation"] == again.body["operation"]
        other = await world.api("POST", PATH, {"remove": ["b.simon@contoso.com"]}, headers=headers)
        problem(other, 409, "Idempotency-Key")

    async def test_bad_request_is_refused_with_every_reason(self, world: World) -> None:
        """What is malformed, unknown, ambiguous or too much is named by its field, and nothing is written."""
        await _onboarded(world)
        async with nothing_changes(world):
            for name, (body, status, field) in BAD.items():
                reply = await world.api("POST", PATH, body)
                assert reply.status == status, name
                problem(reply, status, field)

    async def test_application_must_be_onboarded(self, world: World) -> None:
        """An application that is not there, and a vendor that is not, are 404."""
        body = {"add": ["b.simon@contoso.com"]}
        problem(await world.api("POST", "/applications/clicktime/default/assignments", body), 404, "instance")
        problem(await world.api("POST", "/applications/nobody/default/assignments", body), 404, "vendor")


class TestBatches:
    """One message after the other, with a time that the test gives."""

    async def test_refused_person_fails_alone_and_is_replayed(self, hostless: Hostless) -> None:
        """Somebody at Entra's limit is refused with the reason while the others get access; a replay tries again."""
        operation = await self._accepted(hostless, add=await _people(hostless.world, 3))
        await hostless.world.control("PUT", "/switches", {"most_assignments": 0})
        await hostless.run_all()
        failed = await hostless.operation(operation.id)
        assert failed.state == "failed"
        assert len(failed.reasons) == 3
        assert all("1,500" in reason.detail for reason in failed.reasons)
        await hostless.world.control("PUT", "/switches", {"most_assignments": 1500})
        again = await handlers.operations.replay(hostless.tenant, operation.id, hostless.now)
        assert [step.state for step in again.steps] == ["planned"]
        await hostless.run_all()
        done = await hostless.operation(operation.id)
        assert (done.state, done.reasons) == ("done", ())
        assert len(await _assigned(hostless.world)) == 3

    async def test_throttled_items_come_again_after_their_delay(self, hostless: Hostless) -> None:
        """What is throttled stays open with its time, the rest of its batch is recorded, and later it is made."""
        operation = await self._accepted(hostless, add=await _people(hostless.world, 5))
        fault = {"operation": "servicePrincipals.CreateAppRoleAssignedTo", "service": "graph", "fault": "throttle"}
        await hostless.world.control("PUT", "/faults", [{**fault, "nth": 2, "retry_after": 40}])
        await hostless.run_all()
        (batch,) = await hostless.tenant.ledger.batches(operation.id)
        assert [change.state for change in batch.changes].count("done") == 4
        assert (batch.not_before - hostless.now).total_seconds() == pytest.approx(40, abs=2)
        await handlers.assignment.run(hostless.tenant, operation.id, 1, hostless.later(seconds=10))
        assert len(await _assigned(hostless.world)) == 4  # too early: another delivery
        await hostless.close()  # another process, which has been told nothing of a pause
        await handlers.assignment.run(hostless.tenant, operation.id, 1, hostless.later(seconds=31))
        assert (await hostless.operation(operation.id)).state == "done"
        assert len(await _assigned(hostless.world)) == 5

    async def test_removal_of_nothing_is_success_after_several_looks(self, hostless: Hostless) -> None:
        """Who has no assignment is looked for five times, because a replica may lag; then it counts as gone."""
        operation = await self._accepted(hostless, remove=["b.simon@contoso.com"])
        await hostless.run_all()
        looks = 1
        while not (await hostless.operation(operation.id)).finished:
            await handlers.assignment.run(hostless.tenant, operation.id, 1, hostless.later(seconds=6))
            looks += 1
        done = await hostless.operation(operation.id)
        assert (done.state, done.reasons, looks) == ("done", (), 5)

    async def test_lost_message_of_a_batch_is_sent_again_and_no_other(self, hostless: Hostless) -> None:
        """The sweep sends again what is overdue alone, so that messages do not multiply."""
        operation = await self._accepted(hostless, add=await _people(hostless.world, 25))
        (first,) = await hostless.take()
        await hostless.run(first)
        assert [message.batch for message in await hostless.take()] == [1, 2]  # both are lost
        await handlers.assignment.run(hostless.tenant, operation.id, 2, hostless.now)
        await handlers.assignment.start(hostless.tenant, operation.id, hostless.later(seconds=30))
        assert await hostless.take() == []
        await handlers.assignment.start(hostless.tenant, operation.id, hostless.later(minutes=2))
        assert [message.batch for message in await hostless.take()] == [1]
        await handlers.assignment.run(hostless.tenant, operation.id, 1, hostless.now)
        assert (await hostless.operation(operation.id)).state == "done"

    async def _onboarded(self, hostless: Hostless) -> None:
        await hostless.accept("hellotracks", assignments=None)
        await hostless.run_all()

    async def _accept(self, hostless: Hostless, **body: Any) -> Operation:
        return await handlers.assignment.accept(hostless.tenant, KEY, body, Caller(), hostless.now)

    async def _accepted(self, hostless: Hostless, **body: Any) -> Operation:
        await self._onboarded(hostless)
        operation = await self._accept(hostless, **body)
        return await hostless.operation(OperationId(operation.id))
