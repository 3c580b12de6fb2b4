"""The stories of a renewal that are cut: of a client secret, and of a signing certificate.

Secret: asked for, due, compromised, unheard, retired. Certificate: announced, activated by the vendor's press, retired.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.kills.ground import SETTLE, Ground
from tests.kills.reader import read_public_secret
from tests.kills.stories import Begun, Story, taken
from tests.world import request

DAY = timedelta(days=1)
LIFETIME = 180 * DAY
SECRET = "smarttrace"  # the vendor whose client secret is renewed; a certificate has no name in the vault


class Rotation(Story):
    """A secret or certificate whose vendor is set up is succeeded because somebody asks for it."""

    begins_late = True
    repeatable = False
    sign_in_throughout = True

    def __init__(self, name: str, reason: str = "planned", vendor: str = SECRET) -> None:
        self.name, self.reason, self.vendor = name, reason, vendor
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
        if self.vendor == SECRET:
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
    """The overlap after the acknowledgement is over: the old secret, or certificate, is removed."""

    async def prepare(self, ground: Ground) -> None:
        """Fifteen days after the acknowledgement."""
        await self._rotated(ground)
        await Rotation.people(self, ground)
        await ground.age("acknowledgement", 15 * DAY, "at")
        await ground.age("operation", 15 * DAY, "not_before")
        await ground.new_host()

    async def act(self, ground: Ground) -> None:
        """Nobody has to do anything any more."""


class Pressed(Rotation):
    """The vendor presses "activate now": in one run a certificate is added, signs, and takes the old one's place.

    From the press until the next mail the vendor reads the metadata again and again, and its people wait: only the end
    of it is a promise.
    """

    ends_with_people = True
    sign_in_throughout = False

    async def prepare(self, ground: Ground) -> None:
        """The page with the button is mailed, and a host that has done nothing yet."""
        await self._set_up(ground)
        begun = await Rotation.begin(self, ground)
        assert begun.taken, begun.reasons
        await ground.come_to_rest(sweep=False)
        await ground.new_host()

    async def begin(self, ground: Ground) -> Begun:
        """Press, and acknowledge what the next mail tells."""
        return await self._follow(ground, sweep=False)

    async def people(self, ground: Ground) -> None:
        """Go on where a killed host has left them: look at the newest mail until it can be acknowledged."""
        begun = await self._follow(ground, sweep=True)
        assert begun.taken, begun.reasons
        await has_heard(ground)

    async def _follow(self, ground: Ground, *, sweep: bool) -> Begun:
        collected: dict[str, object] = {}
        try:
            async with asyncio.timeout(SETTLE):
                while not (collected := await ground.collect(self.vendor))["acknowledged"]:
                    await self._news(ground, sweep=sweep)
        except TimeoutError:
            return Begun(taken=False, reasons=(str(collected.get("reason")),))
        return Begun(taken=True)

    async def _news(self, ground: Ground, *, sweep: bool) -> None:
        """Wait a while for the next mail, without a look at the page: each would be one of the calls that are cut."""
        count = len(await ground.mailbox())
        for _ in range(20):
            if len(await ground.mailbox()) > count:
                return
            if sweep:
                await ground.sweep()
            await asyncio.sleep(0.1)


ROTATIONS: tuple[Rotation, ...] = (
    Rotation("rotation on request"),
    FoundByTimer("rotation found by the timer"),
    Rotation("rotation of a compromised secret", "compromised"),
    Unheard("reminder and warning"),
    Retired("retirement after the overlap"),
    Rotation("announcement of a certificate", vendor="clicktime"),
    Pressed("activate now, pressed on the page", vendor="thoropass"),
    Retired("retirement of a certificate after the overlap", vendor="clicktime"),
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
