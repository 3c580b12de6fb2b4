"""Storms: every story ends well, nothing is asked again too early or for ever, and nothing is made twice."""

import asyncio
from typing import Any

import pytest

from tests.kills.ground import SEED, SOAK
from tests.numbers import say
from tests.storms.conftest import Worlds
from tests.storms.weather import (
    ADD_CERTIFICATE,
    ADD_SECRET,
    ASSIGN,
    INSTANTIATE,
    NON_IDEMPOTENT,
    RATE,
    SEND_MAIL,
    bounded,
    patient,
    told,
)
from tests.world import VENDORS

# Two worlds in `make test`, twenty in `make soak`; a failing one says its seed, and GATEHOUSE_SEED repeats it.
SEEDS = range(SEED, SEED + (10 if SOAK else 1))
WEATHER: dict[str, dict[str, Any]] = {
    "30 % throttled": {"throttle_share": 0.3},
    "20 % unavailable": {"unavailable_share": 0.2},
    "20 % of the answers lost": {"lost_answer_share": 0.2},
}


@pytest.mark.parametrize(
    ("weather", "vendor"),
    [
        ("30 % throttled", "thoropass"),
        ("30 % throttled", "hellotracks"),
        ("20 % unavailable", "smarttrace"),
        ("20 % of the answers lost", "clicktime"),
        ("20 % of the answers lost", "ilogon_mha"),
    ],
)
async def test_a_story_ends_well_in_a_storm(worlds: Worlds, weather: str, vendor: str) -> None:
    """The person signs in, one of each thing exists, attempts are bounded, and no refusal's time was ignored."""
    stormy = await worlds.world(7, calm=True)
    async with told(stormy, weather=weather):
        await stormy.world.control("PUT", "/switches", WEATHER[weather])
        operation = await stormy.onboard(vendor)
        assert operation["state"] == "waiting", operation
        await patient(stormy)
        await bounded(stormy, reads=60, writes=10)
        await stormy.world.control("PUT", "/switches", dict.fromkeys(WEATHER[weather], 0.0))
        await stormy.sign_in(vendor)
        await stormy.single(vendor)
        met = len((await stormy.faults())["hits"])
        say(f"storm ({weather}), {vendor}: {met} calls met it, none came back too early, the story ended well")


@pytest.mark.parametrize(
    ("operation", "vendor", "most"),
    [
        (INSTANTIATE, "clicktime", 1),
        (ADD_CERTIFICATE, "clicktime", 1),
        # A secret whose value was lost with the answer is worth nothing: it is removed, and another is minted.
        (ADD_SECRET, "hellotracks", 2),
        (ASSIGN, "hellotracks", 4),
        # Nobody can see whether a mail was taken: at most the cut one is doubled.
        (SEND_MAIL, "hellotracks", 3),
    ],
)
async def test_a_call_that_makes_something_is_recovered_and_not_repeated(
    worlds: Worlds, operation: str, vendor: str, most: int
) -> None:
    """Answered 504 after its effect it is made no second time before its recovery has looked, and one is left."""
    stormy = await worlds.world(7, calm=True)
    async with told(stormy, operation=operation):
        fault = {"operation": operation, "service": "graph", "fault": "lose_answer", "status": 504}
        await stormy.world.control("PUT", "/faults", [fault])
        await stormy.story(vendor)
        calls = await stormy.world.calls()
        made = [call for call in calls if call["operation"] == operation]
        assert 1 <= len(made) <= most, len(made)
        cut = made[0]
        assert cut["fault"] == "lose_answer"
        if len(made) > 1 and operation != SEND_MAIL:
            between = [call for call in calls if cut["seq"] < call["seq"] < made[1]["seq"]]
            assert any(call["service"] == "graph" and call["method"] == "GET" for call in between) or (
                operation == ASSIGN  # its repetition is success
            )


@pytest.mark.parametrize("status", [503, 504])
@pytest.mark.parametrize("vendor", ["thoropass", "hellotracks"])
async def test_nothing_is_made_twice_where_the_first_of_everything_fails(
    worlds: Worlds, status: int, vendor: str
) -> None:
    """Each call that makes something is refused once without effect, and is made once in the end."""
    stormy = await worlds.world(7, calm=True)
    async with told(stormy, status=status):
        plan = [
            {"operation": operation, "service": "graph", "fault": "unavailable", "status": status}
            for operation in NON_IDEMPOTENT
        ]
        await stormy.world.control("PUT", "/faults", plan)
        await stormy.story(vendor)


@pytest.mark.parametrize("form", [5, "date:5", None])
async def test_a_refused_call_waits_for_its_time(worlds: Worlds, form: int | str | None) -> None:
    """Every kind of Graph call is refused once with 429; whatever form the time has, none comes back before it."""
    stormy = await worlds.world(7, calm=True)
    async with told(stormy, retry_after=form):
        await stormy.onboard("thoropass")
        kinds = sorted({c["operation"] for c in await stormy.world.calls() if c["service"] == "graph"})
        await stormy.world.reset()
        plan = [{"operation": kind, "service": "graph", "fault": "throttle", "retry_after": form} for kind in kinds]
        await stormy.world.control("PUT", "/faults", plan)
        await stormy.story("thoropass")
        assert (await stormy.faults())["hits"]
        await patient(stormy)


async def test_a_minute_without_the_tenant_is_outlived(worlds: Worlds) -> None:
    """Graph, token service and vault answer nothing but 503 for a minute; the story ends as if they had."""
    stormy = await worlds.world(7, calm=True)
    async with told(stormy, brown_out="60 s"):
        out = [
            {"operation": "*", "service": service, "fault": "unavailable", "times": None}
            for service in ("graph", "authority", "vault")
        ]
        accepted = asyncio.create_task(stormy.onboard("hellotracks"))
        await _begun(stormy)
        await stormy.world.control("PUT", "/faults", out)
        await asyncio.sleep(60 / RATE)
        await stormy.world.control("PUT", "/faults", [])
        operation = await accepted
        assert operation["state"] == "waiting", operation
        await stormy.sign_in("hellotracks")
        await stormy.single("hellotracks")


async def _begun(stormy: Any) -> None:
    """Until the first thing was made."""
    async with asyncio.timeout(30):
        while not await stormy.world.writes():  # noqa: ASYNC110  # the sandbox is another process
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("seed", "lag"), [(seed, lag) for seed in SEEDS for lag in ("normal", "bad")])
async def test_the_five_come_through_an_unkind_tenant(worlds: Worlds, seed: int, lag: Any) -> None:
    """All five vendors, asked for at once, are onboarded and signed in to, and one of each thing exists."""
    stormy = await worlds.world(seed, calm=False, lag=lag)
    async with told(stormy, lag=lag):
        await asyncio.gather(*(stormy.story(vendor) for vendor in VENDORS))
        hits = (await stormy.faults())["hits"]
        assert hits
        say(f"unkind tenant (seed {seed}, lag {lag}): 5 of 5 vendors signed in to, {len(hits)} calls met faults")
