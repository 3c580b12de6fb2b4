"""The stories of people that are cut: an HR system says that somebody joins, moves or leaves."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sandbox.hr_system import encoded
from tests.kills.ground import LOOK, SETTLE, Ground
from tests.kills.reader import keep_secret
from tests.kills.stories import Begun, Story, taken
from tests.people.hr_system import KEY, delivery, event

SUBJECT = "helpdesk@contoso.com"
RECORDED = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)  # one event for all runs: what is sent twice
GRACE = timedelta(days=14)  # as tests/kills/entitlements.toml says
DEFAULT_ACCESS = str(UUID(int=0))
# ClickTime's people are added and removed by hand, by the owner; Thoropass is asked by mail to remove one.
APPLICATIONS = {"clicktime": "ClickTime", "hellotracks": "Hellotracks", "thoropass": "Thoropass"}
DISABLED = "users.user_UpdateUser"


class Person(Story):
    """Somebody of whom one thing is said; rules give and take access to three applications."""

    vendor = "hellotracks"
    mails_are_noted_in = "operation"

    def __init__(self, name: str, kind: str, department: str | None, *, holds: set[str], ends_with: set[str]) -> None:
        self.name, self._kind = name, kind
        self._attributes = {"department": department} if department else {}
        self._holds, self._ends_with = holds, ends_with

    async def prepare(self, ground: Ground) -> None:
        """Applications that stand and whose vendors are set up, what is held of them, and the HR system's key."""
        await keep_secret(ground, "gatehouse-webhook-hr-events", encoded(KEY))
        users = {user["userPrincipalName"]: user for user in (await ground.dump())["users"]}
        owner, person = users["app-owner@contoso.com"], users[SUBJECT]
        for number, (vendor, name) in enumerate(APPLICATIONS.items(), 1):
            application, principal, assignment = (str(UUID(int=2**100 * kind + number)) for kind in (1, 2, 3))
            tags = ["gatehouse", f"gatehouse:{vendor}/default", f"gatehouse:owner:{owner['id']}"]
            common = {"appId": str(UUID(int=2**100 * 4 + number)), "displayName": name, "tags": tags}
            unique = {"uniqueName": f"gatehouse-{vendor}-default"}
            await ground.control("PUT", f"/objects/applications/{application}", {**common, **unique})
            closed = {"appRoleAssignmentRequired": True}
            await ground.control("PUT", f"/objects/service_principals/{principal}", {**common, **closed})
            if vendor in self._holds:
                held = _assignment(person, principal, name)
                await ground.control("PUT", f"/objects/assignments/{assignment}", held)

    async def begin(self, ground: Ground) -> Begun:
        """Send the event, signed; sent once more it is the same delivery, signed anew."""
        said = event(self._kind, RECORDED, SUBJECT, attributes=self._attributes)
        given = delivery(said, datetime.now(UTC), f"msg_{self._kind}")
        return await taken(lambda: ground.api("POST", "/hr-events", data=given.body, headers=dict(given.headers)))

    async def people(self, ground: Ground) -> None:
        """Nobody has to do anything."""

    async def proof(self, ground: Ground) -> None:
        """The person holds exactly what is asked for; the account of a leaver was disabled once."""
        dump = await ground.dump()
        person = next(user for user in dump["users"] if user["userPrincipalName"] == SUBJECT)
        held = sorted(one["resourceDisplayName"] for one in dump["assignments"] if one["principalId"] == person["id"])
        assert held == sorted(APPLICATIONS[vendor] for vendor in self._ends_with)
        leaves = self._kind == "leaver"
        assert person["accountEnabled"] is not leaves
        calls = await ground.calls()
        ended = [call for call in calls if call["operation"] == DISABLED and (call["status"] or 500) < 300]
        assert len(ended) == leaves, f"The account was disabled {len(ended)} times."


class GraceOver(Person):
    """Somebody has moved, and the grace of what no rule gives any more is over: the sweep takes it up."""

    begins_late = True
    ends_with_people = True

    async def prepare(self, ground: Ground) -> None:
        """The day after a grace that began with the move."""
        await super().prepare(ground)
        begun = await super().begin(ground)
        assert begun.taken, begun.reasons
        await ground.come_to_rest(sweep=False)
        await ground.age("operation", GRACE, "not_before")
        await ground.amend("person", _begun_before)

    async def begin(self, ground: Ground) -> Begun:
        """Let the timer run until nothing is waited for any more."""
        async with asyncio.timeout(SETTLE):
            while not await self._has_ended(ground):
                await ground.sweep()
                for _ in range(20):
                    if not await self._has_ended(ground):
                        await asyncio.sleep(LOOK)
        return Begun(taken=True)

    async def people(self, ground: Ground) -> None:
        """The next sweep takes up what a killed host has left."""
        await self.begin(ground)

    async def _has_ended(self, ground: Ground) -> bool:
        return all(operation["state"] in {"done", "failed"} for operation in await ground.operations())


def _assignment(person: dict[str, Any], principal: str, name: str) -> dict[str, Any]:
    return {
        "deletedDateTime": None,
        "appRoleId": DEFAULT_ACCESS,
        "createdDateTime": "2026-01-01T00:00:00Z",
        "principalDisplayName": person["displayName"],
        "principalId": person["id"],
        "principalType": "User",
        "resourceDisplayName": name,
        "resourceId": principal,
    }


def _begun_before(person: dict[str, Any]) -> dict[str, Any]:
    """A person's row in which every grace began so much earlier that it is over."""
    earlier = [
        [key, role, (datetime.fromisoformat(since) - GRACE).isoformat()] for key, role, since in person["losing"]
    ]
    return {"losing": earlier}


PEOPLE: tuple[Person, ...] = (
    Person("joiner", "joiner", "Sales", holds=set(), ends_with={"clicktime", "hellotracks"}),
    Person("mover", "mover", "Legal", holds={"clicktime", "hellotracks"}, ends_with={"hellotracks", "thoropass"}),
    GraceOver("end of a grace", "mover", "Legal", holds={"hellotracks"}, ends_with={"thoropass"}),
    Person("leaver", "leaver", None, holds=set(APPLICATIONS), ends_with=set()),
)
