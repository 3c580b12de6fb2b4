"""A week of mixed traffic on the sandbox's clock with random faults, and what must hold after each step."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from tests.kills.ground import SEED, SOAK
from tests.numbers import say
from tests.storms.conftest import Worlds
from tests.storms.weather import Stormy, patient, told

STEPS = 84 if SOAK else 6  # one every two hours
PAUSE = timedelta(hours=2)
MANY = ("smarttrace", "hellotracks", "ilogon_mha")
WEATHER = (
    {"throttle_share": 0.1, "unavailable_share": 0.0, "lost_answer_share": 0.0},
    {"throttle_share": 0.0, "unavailable_share": 0.1, "lost_answer_share": 0.0},
    {"throttle_share": 0.0, "unavailable_share": 0.0, "lost_answer_share": 0.1},
    {"throttle_share": 0.02, "unavailable_share": 0.02, "lost_answer_share": 0.02},
)


class Week:
    """What happens in a company in a week, drawn from a seed."""

    def __init__(self, stormy: Stormy, seed: int) -> None:
        self.stormy = stormy
        self.chance = random.Random(seed)
        self.keys: list[tuple[str, str]] = []
        self.done: Counter[str] = Counter()

    async def step(self) -> None:
        """One thing happens, in some weather; afterwards everything that must hold does."""
        await self.stormy.world.control("PUT", "/switches", self.chance.choice(WEATHER))
        happening: Callable[[], Awaitable[None]] = self.onboard
        if self.keys and self.chance.random() > 0.4:
            happening = self.chance.choice([self.repeat, self.collect, self.hand_off_again, self.assign])
        await happening()
        self.done[happening.__name__] += 1
        await self.stormy.world.control("PUT", "/switches", dict.fromkeys(WEATHER[0], 0.0))
        for vendor, instance in self.keys:
            await self.stormy.whole(vendor, instance)
        await patient(self.stormy)
        await self._later()

    async def onboard(self) -> None:
        """Another instance of some vendor."""
        key = self.chance.choice(MANY), f"site-{len(self.keys) + 1}"
        await self._ask(*key)
        self.keys.append(key)

    async def repeat(self) -> None:
        """The same request again."""
        await self._ask(*self.chance.choice(self.keys))

    async def assign(self) -> None:
        """A request that names one more person."""
        await self._ask(*self.chance.choice(self.keys), users=["b.simon@contoso.com", "app-owner@contoso.com"])

    async def collect(self) -> None:
        """The vendor's side or our administrator does what the newest hand-off says, and a person signs in."""
        vendor, instance = self.chance.choice(self.keys)
        await self.stormy.world.control("PUT", "/switches", dict.fromkeys(WEATHER[0], 0.0))
        collected = await self.stormy.world.collect(vendor, instance)
        if collected["acknowledged"]:
            inside = await self.stormy.world.sign_in(vendor, instance=instance)
            assert inside["signed_in"], inside["reason"]

    async def hand_off_again(self) -> None:
        """Somebody lost the link."""
        vendor, instance = self.chance.choice(self.keys)
        reply = await self.stormy.world.api("POST", f"/applications/{vendor}/{instance}/handoffs")
        assert reply.status in {202, 503}, reply.text
        if reply.status == 202:
            await self._rested(await self.stormy.world.rest(reply.body["operation"], within=90))

    async def _ask(self, vendor: str, instance: str, users: list[str] | None = None) -> None:
        parameters = {"InstanceName": instance} if vendor == "smarttrace" else {}
        people = {"users": users or ["b.simon@contoso.com"], "groups": ["Sales"]}
        await self._rested(
            await self.stormy.onboard(vendor, instance=instance, parameters=parameters, assignments=people)
        )

    async def _rested(self, operation: dict[str, Any]) -> None:
        assert operation["state"] in {"waiting", "done"}, operation

    async def _later(self) -> None:
        now = datetime.fromisoformat((await self.stormy.world.control("GET", "/clock"))["now"])
        await self.stormy.world.control("PUT", "/clock", {"now": (now + PAUSE).isoformat()})


async def test_a_week_passes(worlds: Worlds) -> None:
    """Whatever comes and whatever fails, each key has one application, every secret its version, nothing is doubled."""
    stormy = await worlds.world(SEED, calm=True)
    week = Week(stormy, SEED)
    async with told(stormy, week=SEED):
        for _ in range(STEPS):
            await week.step()
    hits = (await stormy.faults())["hits"]
    say(
        f"week (seed {SEED}): {STEPS} steps {dict(week.done)}, {len(hits)} calls met faults, invariants held after each"
    )
