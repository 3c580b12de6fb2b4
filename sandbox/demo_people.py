"""The demo's people: somebody joins, moves and leaves, as an HR system says, and rules decide what they get.

key into the vault -> joiner signed in -> mover's access changed -> leaver refused everywhere
"""

from collections.abc import Mapping
from typing import Any

from sandbox.demo_display import Display
from sandbox.demo_wire import Missing, Wire, eventually
from sandbox.hr_system import HrSystem

ENGINEER = {"department": "Sales", "jobTitle": "Sales Engineer", "country": "DE"}
LAWYER = {"department": "Legal", "jobTitle": "Counsel", "country": "DE"}
# By the rules of docs/entitlements.toml: what an engineer has, and what a lawyer has.
RULED_GROUP = "Identity Team"
FIELD, COMPLIANCE = "hellotracks", "thoropass"


class People:
    """One person, from the first day to the last."""

    def __init__(self, wire: Wire, display: Display) -> None:
        self._wire = wire
        self._display = display
        self._hr_system = HrSystem(wire)
        self._names: dict[str, str] = {}

    async def come_and_go(self) -> None:
        """Tell of a joiner, a mover and a leaver; raises `Missing` where access does not follow."""
        for vendor in (FIELD, COMPLIANCE):
            self._names[vendor] = (await self._wire.api("GET", f"/vendors/{vendor}"))["name"]
        person = await self._newcomer()
        self._display.begin("", f"{person} joins, moves and leaves, as the HR system says")
        await self._hr_system.keep_key()
        await self._says("joiner", person, ENGINEER)
        await self._sees(person, FIELD, inside=True)
        await self._sees(person, COMPLIANCE, inside=False)
        await self._says("mover", person, LAWYER)
        await self._sees(person, COMPLIANCE, inside=True)
        await self._sees(person, FIELD, inside=False)
        await self._says("leaver", person, {})
        await self._sees(person, COMPLIANCE, inside=False)
        await self._sees(person, FIELD, inside=False)

    async def _newcomer(self) -> str:
        """Somebody who has nothing yet: assigned to nothing, and in no group that is, or that a rule names."""
        dump = await self._wire.control("GET", "/dump")
        busy = {assignment["principalId"] for assignment in dump["assignments"]}
        groups = [g for g in dump["groups"] if g["id"] in busy or g["displayName"] == RULED_GROUP]
        busy |= {member for group in groups for member in group["members"]}
        free = [
            str(user["userPrincipalName"])
            for user in dump["users"]
            if user["id"] not in busy and user["accountEnabled"] and user.get("userType") == "Member"
        ]
        if not free:
            raise Missing("everybody has some access already, so nobody can join.")
        return min(free)

    async def _says(self, kind: str, person: str, attributes: Mapping[str, str]) -> None:
        """Send one signed event and wait until it is worked."""
        [accepted] = await self._hr_system.say(kind, [person], attributes)

        async def worked() -> Any:
            found = await self._wire.api("GET", f"/operations/{accepted['operation']}")
            return found if found["state"] in {"done", "failed", "waiting"} and found["steps"] else None

        found = await eventually(worked)
        if not found or found["state"] == "failed":
            reasons = found["reasons"] if found else [{"detail": "it was not worked in time"}]
            raise Missing(f"the {kind}: {' '.join(reason['detail'] for reason in reasons)}")
        for step in found["steps"]:
            self._display.step("", kind, step["sentence"])

    async def _sees(self, person: str, vendor: str, *, inside: bool) -> None:
        """Sign the person in at a vendor, or see that they are refused."""
        who, tried = {"vendor": vendor, "instance": "default", "user": person}, []

        async def so() -> bool:
            tried.append(await self._wire.control("POST", "/sign-in", who))
            return bool(tried[-1]["signed_in"]) is inside

        if not await eventually(so):
            raise Missing(f"{person} is {'not let in at' if inside else 'let in at'} {self._names[vendor]}.")
        code = "" if inside else f", who may not any more or not yet ({tried[-1]['reason'].partition(':')[0]})"
        self._display.step("", "signed in" if inside else "refused", f"{person} at {self._names[vendor]}{code}.")
