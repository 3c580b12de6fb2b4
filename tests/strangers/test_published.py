"""What is said on the wire, read against the published description; `looking.py` reads it after every test."""

import copy

import pytest

from tests.adoption.by_hand import make, offer
from tests.published import problems_of
from tests.stories.administrator import graph
from tests.world import VENDORS, World


async def test_every_body_of_every_story_keeps_to_the_published_description(world: World) -> None:
    """Requests and answers of plans, onboardings, an adoption, hand-offs and readings hold nothing unpublished."""
    await offer(world, await make(world, "smarttrace"), "smarttrace")
    for vendor in VENDORS:
        await world.plan(vendor)
        await world.onboard(vendor)
        await world.collect(vendor)
        await world.api("GET", f"/applications/{vendor}/default")
    await world.api("GET", "/applications")
    await world.api("GET", "/health")
    read, problems = problems_of(await world.calls())
    assert problems == []
    assert read > 200


async def test_the_beta_read_keeps_to_its_documentation(world: World) -> None:
    """Where addresses stand in the gallery's entry alone, what is read of the beta is what is documented of it."""
    await world.control("PUT", "/switches", {"presets": "template"})
    await world.onboard("thoropass")
    calls = [call for call in await world.calls() if call["path"].startswith("/beta/")]
    assert calls
    assert problems_of(calls) == (len(calls), [])


async def test_an_unpublished_word_is_found(world: World) -> None:
    """The same reading finds a property, a type and an operation that nobody publishes."""
    await world.onboard("hellotracks")
    calls = await world.calls()
    patched = next(call for call in calls if call["operation"].endswith("UpdateByUniqueName"))
    for body, name, value in (("request", "replyUrls", []), ("response", "displayName", 5)):
        broken = copy.deepcopy(patched)
        broken[body][name] = value
        assert problems_of([broken])[1]
    assert problems_of([{**patched, "operation": "PATCH /everything"}])[1]


async def test_whoever_asks_for_what_nobody_publishes_is_found(world: World) -> None:
    """What is read after each test is every call, also one that was refused."""
    await world.watch.look()
    with pytest.raises(AssertionError, match="error"):
        await graph(world, "GET", "/everything")
    with pytest.raises(AssertionError, match="not as Graph publishes it"):
        await world.watch.look()
    await world.watch.look()
