"""Every call of an onboarding fails: once, or for good."""

import pytest

from tests.kills.choosing import some
from tests.kills.cutting import Result
from tests.kills.failing import ForGood, Once, fail_for_good, fail_once, lasting
from tests.kills.ground import SOAK, Ground
from tests.kills.pool import Pool
from tests.kills.report import Tally
from tests.kills.stories import STORIES, Story
from tests.numbers import say

ONBOARDINGS = STORIES[:3]
NAMES = [story.name for story in ONBOARDINGS]
LEAST = 4


@pytest.mark.parametrize("story", ONBOARDINGS, ids=NAMES)
async def test_story_goes_on_by_itself_after_a_passing_failure(pool: Pool, story: Story) -> None:
    """Whichever call is answered 503, from the first on until a run passes untouched, the story ends as undisturbed."""
    (known,) = await pool.undisturbed(story)
    count = len(known.calls)
    tally = Tally(f"failed once, {story.name}")

    async def run(ground: Ground, once: Once) -> Result:
        return await fail_once(ground, known, once)

    every = [Once(nth) for nth in range(1, count + 1)]
    results = await pool.each(every if SOAK else some(every, LEAST, story.name), run)
    untouched = count
    while SOAK and results[-1].reached:
        untouched += 1
        results += await pool.each([Once(untouched)], run)
    tally.close(results, count, "converge")


@pytest.mark.parametrize("story", ONBOARDINGS, ids=NAMES)
async def test_lasting_failure_is_named(pool: Pool, story: Story) -> None:
    """A call refused for good ends in a state that says why; repaired and replayed, the story ends as undisturbed."""
    (known,) = await pool.undisturbed(story)
    tally = Tally(f"refused for good, {story.name}")

    async def run(ground: Ground, failure: ForGood) -> Result:
        result, named = await fail_for_good(ground, known, failure)
        if SOAK:
            say(f"    {failure.operation}: {named}")
        return result

    every = lasting(known.calls)
    tally.close(await pool.each(every if SOAK else some(every, LEAST, story.name), run), len(every), "are named")
