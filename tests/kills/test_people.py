"""A host that is killed while somebody joins, moves or leaves: no access is lost or doubled, no account ended twice."""

import pytest

from tests.kills.choosing import chosen
from tests.kills.cutting import cut
from tests.kills.ground import SOAK
from tests.kills.people import PEOPLE, Person
from tests.kills.pool import Pool
from tests.kills.report import Tally

LESS = 16  # one of so many cases, and one of each kind of call


@pytest.mark.parametrize("story", PEOPLE, ids=[story.name for story in PEOPLE])
async def test_person_ends_as_undisturbed_wherever_the_host_is_killed(pool: Pool, story: Person) -> None:
    """Killed anywhere an event ends in the access it asks for, with each mail once but one that was cut."""
    known = await pool.undisturbed(*([story] if SOAK else PEOPLE))
    cases = [((each, moment), moment.calls) for each in known for moment in each.cuts]
    mine = [moment for each, moment in chosen(cases, share=LESS) if each.story is story]
    found = next(each for each in known if each.story is story)
    tally = Tally(f"killed, {story.name}, {len(found.cuts) // 2} calls in three places")
    results = await pool.each(mine, lambda ground, moment: cut(ground, found, [moment]))
    tally.close(results, len(found.cuts), "converge")
