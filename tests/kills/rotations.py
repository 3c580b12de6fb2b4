"""The stories of a client secret's renewal that are cut: asked for, due, compromised, unheard, retired."""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.kills.ground import SETTLE, Ground
from tests.kills.reader import read_public_secret
from tests.kills.stories import Begun, Story, taken
from tests.world import request

DAY = timedelta(days=1)
LIFETIME = 180 * DAY


class Rotation(Story):
    """A secret whose vendor is set up is succeeded because somebody asks for it."""

    vendor = "smarttrace"
    begins_late = True
    repeatable = False
    sign_in_throughout = True

    def __init__(self, name: str, reason: str = "planned") -> None:
        self.name, self.reason = name, reason
        self.sign_in_throughout = reason != "compromised"

    async def prepare(self, ground: Ground) -> None:
        """An onboarded application whose vendor is set up, and a host that has done nothing yet."""
        await self._set_up(ground)
        await ground.new_host()

    async def begin(self, ground: Ground) -> Begun:
        """Ask for the rotation; one that is there already is what was asked for."""
        path = f"/applications/{self.vendor}/default/rotations"
        begun = await taken(lambda: ground.api("POST", path, {"reason": self.reason}))
        return Begun(begun.taken or any("already" in reason for reason in begun.reasons), begun.reasons)

    async def at_every_moment(self, ground: Ground) -> None:
        """Whoever reads the vault gets what the token service takes; unless it was compromised, people sign in."""
        assert await read_public_secret(ground, self.vendor) == 200
        if self.sign_in_throughout:
            inside = await ground.sign_in(self.vendor)
            assert inside["signed_in"], inside["reason"]

    async def people(self, ground: Ground) -> None:
        """The vendor is set up anew and says so, and the operation that waited for that moves on."""
        await Story.people(self, ground)
        await has_heard(ground)

    async def _set_up(self, ground: Ground) -> None:
        reply = await ground.api("POST", "/onboardings", request(self.vendor))
        assert reply.status == 202, reply.text
        await ground.come_to_rest(sweep=False)
        await Story.people(self, ground)


class FoundByTimer(Rotation):
    """The timer finds a secret that ends within the time for its renewal."""

    async def prepare(self, ground: Ground) -> None:
        """The secret ends in thirty days."""
        await self._set_up(ground)
        await end_secrets(ground, self.vendor, in_days=30)
        await ground.new_host()

    async def begin(self, ground: Ground) -> Begun:
        """Let the timer run, until it has opened what is due."""
        before = len(await ground.operations())
        await ground.call("POST", f"{ground.state.host}/admin/functions/find_due", {})
        async with asyncio.timeout(SETTLE):
            while len(await ground.operations()) <= before:  # noqa: ASYNC110  # the host is another process
                await asyncio.sleep(0.03)
        return Begun(taken=True)


class _Woken(Rotation):
    """What goes on by itself once time has passed: the sweep takes it up."""

    ends_with_people = True

    async def begin(self, ground: Ground) -> Begun:
        """Let the sweep run until nothing is due any more."""
        async with asyncio.timeout(SETTLE):
            while await is_due(ground) or not await ground.is_quiet():
                await ground.sweep()
                await asyncio.sleep(0.2)
        return Begun(taken=True)

    async def people(self, ground: Ground) -> None:
        """The next sweep takes up what a killed host has left, then the vendor acts."""
        await self.begin(ground)
        await self.act(ground)

    async def act(self, ground: Ground) -> None:
        """What the vendor does."""
        await Rotation.people(self, ground)

    async def _rotated(self, ground: Ground) -> None:
        await self._set_up(ground)
        begun = await Rotation.begin(self, ground)
        assert begun.taken, begun.reasons
        await ground.come_to_rest(sweep=False)


class Unheard(_Woken):
    """Nobody acknowledges: owner and operators are warned of the old one's end, and the vendor is reminded."""

    async def prepare(self, ground: Ground) -> None:
        """A week after the hand-off, ten days before the old secret's end."""
        await self._rotated(ground)
        await end_secrets(ground, self.vendor, in_days=10, which=0)
        await ground.age("page", 8 * DAY, "link_mailed", "created")
        await ground.age("operation", 8 * DAY, "not_before")
        await ground.new_host()


class Retired(_Woken):
    """The overlap after the acknowledgement is over: the old secret is removed."""

    async def prepare(self, ground: Ground) -> None:
        """Fifteen days after the acknowledgement."""
        await self._rotated(ground)
        await Rotation.people(self, ground)
        await ground.age("acknowledgement", 15 * DAY, "at")
        await ground.age("operation", 15 * DAY, "not_before")
        await ground.new_host()

    async def act(self, ground: Ground) -> None:
        """Nobody has to do anything any more."""


ROTATIONS: tuple[Rotation, ...] = (
    Rotation("rotation on request"),
    FoundByTimer("rotation found by the timer"),
    Rotation("rotation of a compromised secret", "compromised"),
    Unheard("reminder and warning"),
    Retired("retirement after the overlap"),
)


async def has_heard(ground: Ground) -> None:
    """Wait until no operation waits for an acknowledgement that was given: a message tells it."""
    async with asyncio.timeout(SETTLE):
        while not await ground.is_quiet() or any(
            operation["state"] == "waiting" and operation["waiting_for"]["what"] == "acknowledgement"
            for operation in await ground.operations()
        ):
            await ground.sweep()
            await asyncio.sleep(0.1)


async def end_secrets(ground: Ground, vendor: str, *, in_days: int, which: int | None = None) -> None:
    """Let secrets end at midnight in so many days: every one, or the `which`-th by age."""
    application = await ground.application(vendor)
    passwords = sorted(application["passwordCredentials"], key=lambda password: str(password["startDateTime"]))
    ends = (datetime.now(UTC) + in_days * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    life = {"startDateTime": _written(ends - LIFETIME), "endDateTime": _written(ends)}
    changed = [
        {**password, **life} if which in (None, number) else password for number, password in enumerate(passwords)
    ]
    body = {"passwordCredentials": changed}
    await ground.control("PUT", f"/objects/applications/{application['id']}", body)


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def is_due(ground: Ground) -> bool:
    """Whether the time of an unfinished operation has passed."""
    now = datetime.now(UTC)
    return any(
        operation["state"] not in {"done", "failed"} and datetime.fromisoformat(operation["not_before"]) < now
        for operation in await ground.operations()
    )
