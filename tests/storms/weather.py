"""What a story meets in a storm, and what must hold after it."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.world import World, request

RATE = 20.0  # sandbox seconds per second
PATIENCE = 90.0  # seconds on the wall for one story: half an hour of the sandbox's
INSTANTIATE = "applicationTemplates.applicationTemplate.instantiate"
ADD_SECRET = "applications.application.addPassword"
ADD_CERTIFICATE = "servicePrincipals.servicePrincipal.addTokenSigningCertificate"
ASSIGN = "servicePrincipals.CreateAppRoleAssignedTo"
SEND_MAIL = "users.user.sendMail"
NON_IDEMPOTENT = (INSTANTIATE, ADD_SECRET, ADD_CERTIFICATE, ASSIGN, SEND_MAIL)
SAML = frozenset({"clicktime", "thoropass"})


class Stormy:
    """A world, and the stories told in it."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def onboard(self, vendor: str, **changes: Any) -> dict[str, Any]:
        """Ask until the request is taken, as a ticket system does, and wait until the operation rests."""
        async with asyncio.timeout(PATIENCE):
            while True:
                reply = await self.world.api("POST", "/onboardings", request(vendor, **changes))
                if reply.status == 202:
                    return await self.world.rest(reply.body["operation"], within=PATIENCE)
                assert reply.status == 503, reply.text
                await asyncio.sleep(float(reply.headers["Retry-After"]) / RATE)

    async def sign_in(self, vendor: str) -> None:
        """Let the vendor's side set itself up, and see who gets in."""
        collected = await self.world.collect(vendor)
        assert collected["acknowledged"], collected["reason"]
        try:
            async with asyncio.timeout(PATIENCE):
                # Entra itself learns of an assignment with a lag; a person tries again.
                while not (inside := await self.world.sign_in(vendor))["signed_in"]:
                    assert "AADSTS50105" in inside["reason"], inside["reason"]
                    await asyncio.sleep(0.5)
        except TimeoutError:
            found = (await self.world.api("GET", f"/operations?vendor={vendor}")).body
            raise AssertionError(f"Nobody gets into {vendor}, and its operations say: {found}") from None
        assert not (await self.world.sign_in(vendor, "helpdesk"))["signed_in"]

    async def story(self, vendor: str) -> None:
        """The whole of one onboarding."""
        operation = await self.onboard(vendor)
        assert operation["state"] == "waiting", operation
        assert operation["waiting_for"]["what"] == "acknowledgement", operation
        await self.sign_in(vendor)
        await self.single(vendor)

    async def single(self, vendor: str) -> None:
        """There is one of everything that is to be one."""
        dump = await self.world.dump()
        marker = f"gatehouse-{vendor}-default"
        mine = [a for a in dump["applications"] if a["uniqueName"] == marker or a["displayName"] == marker]
        assert len(mine) == 1, mine
        principals = [s for s in dump["service_principals"] if s["appId"] == mine[0]["appId"]]
        assert len(principals) == 1, principals
        assigned = Counter(a["principalId"] for a in dump["assignments"] if a["resourceId"] == principals[0]["id"])
        assert len(assigned) == 2, assigned
        assert set(assigned.values()) == {1}, assigned
        if vendor in SAML:
            assert len(principals[0]["keyCredentials"]) == 2, principals[0]["keyCredentials"]  # Verify and Sign of one
        else:
            assert len(mine[0]["passwordCredentials"]) == 1, mine[0]["passwordCredentials"]

    async def whole(self, vendor: str, instance: str) -> None:
        """One application and service principal of the key, each secret with its version, nothing doubled."""
        dump, marker = await self.world.dump(), f"gatehouse-{vendor}-{instance}"
        mine = [a for a in dump["applications"] if a["uniqueName"] == marker or a["displayName"] == marker]
        assert len(mine) == 1, (marker, mine)
        principals = [s for s in dump["service_principals"] if s["appId"] == mine[0]["appId"]]
        assert len(principals) == 1, (marker, principals)
        held = {version["tags"].get("key-id") for name in dump["vault"].values() for version in name["versions"]}
        lost = [p["keyId"] for p in mine[0]["passwordCredentials"] if p["keyId"] not in held]
        assert lost == [], (marker, lost)
        assigned = Counter(a["principalId"] for a in dump["assignments"] if a["resourceId"] == principals[0]["id"])
        assert set(assigned.values()) <= {1}, (marker, assigned)

    async def faults(self) -> dict[str, Any]:
        """What the tenant did to whom."""
        return dict(await self.world.control("GET", "/faults"))

    async def count(self, operation: str) -> int:
        """How often a call was made on the wire."""
        return sum(call["operation"] == operation for call in await self.world.calls())


@asynccontextmanager
async def told(stormy: Stormy, **weather: Any) -> AsyncIterator[None]:
    """Print seed and faults with a failure, so that it can be repeated."""
    try:
        yield
    except BaseException:
        faults = await stormy.faults()
        sys.stderr.write(f"seed {faults['seed']}, weather {json.dumps(weather)}; these calls met something:\n")
        sys.stderr.writelines(f"  {json.dumps(hit)}\n" for hit in faults["hits"])
        raise


async def patient(stormy: Stormy) -> None:
    """Nothing came again before the time that a refusal had named."""
    impatient = (await stormy.faults())["impatient"]
    assert impatient == [], impatient


async def bounded(stormy: Stormy, *, reads: int, writes: int) -> None:
    """The same read and the same kind of write were not tried more often than that."""
    calls = [c for c in await stormy.world.calls() if c["service"] == "graph" and c["operation"] != "batch"]
    tried = Counter((c["method"], c["path"]) for c in calls if c["method"] == "GET")
    tried += Counter((c["method"], c["operation"]) for c in calls if c["method"] != "GET")
    excess = {call: times for call, times in tried.items() if times > (reads if call[0] == "GET" else writes)}
    assert excess == {}, excess
