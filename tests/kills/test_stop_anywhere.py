"""A host that is killed anywhere leaves nothing behind but what the next one brings to its end."""

import random
from dataclasses import replace

import pytest

from tests.kills.calls import Cut
from tests.kills.choosing import chosen, some
from tests.kills.cutting import Result, Undisturbed, cut
from tests.kills.ground import SEED, SOAK, Ground
from tests.kills.pool import Pool
from tests.kills.report import Tally
from tests.kills.rotations import ROTATIONS, Rotation
from tests.kills.stories import STORIES, Story

PAIRS = 4
LESS = 60  # one of so many of the rotations' cases, beside one of each kind


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
async def test_story_converges_wherever_its_host_is_killed(pool: Pool, story: Story) -> None:
    """Killed before a call, after its effect or before its answer is recorded, every story ends as undisturbed."""
    # A share is drawn from all stories together, so that each kind of call is among it at least once.
    known = await pool.undisturbed(*([story] if SOAK else STORIES))
    cases = [((each, moment), _kinds(moment)) for each in known for moment in each.cuts]
    mine = [moment for each, moment in chosen(cases) if each.story is story]
    found = next(each for each in known if each.story is story)
    tally = Tally(f"killed, {found.story.name}, {len(found.cuts) // 2} calls in three places")
    results = await pool.each(mine, lambda ground, moment: cut(ground, found, [moment]))
    tally.close(results, len(found.cuts), "converge")


@pytest.mark.parametrize("story", ROTATIONS, ids=[story.name for story in ROTATIONS])
async def test_rotation_converges_wherever_its_host_is_killed(pool: Pool, story: Rotation) -> None:
    """Killed anywhere a rotation ends as undisturbed; meanwhile people sign in, and the vault gives what is proved."""
    known = await pool.undisturbed(*([story] if SOAK else ROTATIONS))
    # Where a call is cut is tried of every kind in the stories above; here each kind of call is cut somewhere, and each
    # story once.
    cases = [
        ((each, moment), {each.story.name} | {name for name, _ in _kinds(moment)})
        for each in known
        for moment in each.cuts
    ]
    mine = [moment for each, moment in chosen(cases, share=LESS) if each.story is story]
    found = next(each for each in known if each.story is story)
    tally = Tally(f"killed, {story.name}, {len(found.cuts) // 2} calls in three places")
    results = await pool.each(mine, lambda ground, moment: cut(ground, found, [moment]))
    tally.close(results, len(found.cuts), "converge")


async def test_story_converges_when_its_next_host_is_killed_too(pool: Pool) -> None:
    """A host that takes over from a killed one may be killed as well."""
    known = await pool.undisturbed(*STORIES)
    drawn = random.Random(SEED)
    pairs = [
        (each, (first, replace(second, nth=1)))
        for each in known
        for first, second in zip(each.cuts, drawn.sample(each.cuts, len(each.cuts)), strict=True)
    ]
    tally = Tally("killed twice, seeded pairs")

    async def run(ground: Ground, case: tuple[Undisturbed, tuple[Cut, Cut]]) -> Result:
        return await cut(ground, case[0], case[1])

    mine = some(pairs, PAIRS, "pairs")
    tally.close(await pool.each(mine, run), len(mine), "converge")


def _kinds(moment: Cut) -> set[tuple[str, str]]:
    """The name of the call as the record shows it, and the place."""
    return {(name.partition(" Partition")[0], place) for name, place in moment.kinds}
