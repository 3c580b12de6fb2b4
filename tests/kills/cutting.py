"""One case: a story is begun, its host is killed at a named moment and started again, and the ends are compared."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import aiohttp

from tests.kills.calls import Cut, cuts_of
from tests.kills.end_state import EndState, differences
from tests.kills.ground import LOOK, SEED, Ground
from tests.kills.stories import Story

REACH = 15.0  # seconds of the wall until a story must have come to the call that is to be cut
MAIL = "users.user.sendMail"


class NotReached(Exception):
    """The story went by without the call that was to be cut."""


@dataclass
class Undisturbed:
    """How a story ends when nothing happens."""

    story: Story
    calls: list[dict[str, Any]]
    cuts: list[Cut]
    ends: list[EndState]
    """At rest before people act, and after; where a secret can be lost, also what its renewal leaves behind."""
    renewed: EndState | None = None


@dataclass
class Result:
    """How one case ended."""

    story: str
    moments: Sequence[object]
    wrongs: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Which calls met what."""
    reached: bool = True

    def __str__(self) -> str:
        lines = [f"seed {SEED}, {self.story}: {'; then '.join(map(str, self.moments))}"]
        return "\n    ".join([*lines, *self.faults, *self.wrongs])


async def undisturbed(ground: Ground, story: Story) -> Undisturbed:
    """Run a story with a host that nobody kills, twice: what only one of the runs called is no moment to count on."""
    first, _ = await _unhurried(ground, story)
    second, ends = await _unhurried(ground, story)
    names = {moment.name for moment in cuts_of(first)}
    found = Undisturbed(story, second, [moment for moment in cuts_of(second) if moment.name in names], ends)
    if story.loses:
        again = Run(ground, story)
        await again.prepare()
        await story.lose(ground)
        found.renewed = await again.end()
    return found


async def _unhurried(ground: Ground, story: Story) -> tuple[list[dict[str, Any]], list[EndState]]:
    run = Run(ground, story)
    await run.prepare()
    begun = await story.begin(ground)
    assert begun.taken, begun.reasons
    await ground.come_to_rest(sweep=False)
    calls = await ground.calls(run.since)
    ends = [await run.end()]
    await story.people(ground)
    await ground.come_to_rest(sweep=False)
    await story.proof(ground)
    ends.append(await run.end())
    for end in ends:
        assert end.wrongs() == []
    return calls, ends


async def cut(ground: Ground, known: Undisturbed, cuts: Sequence[Cut]) -> Result:
    """Run a story, kill its host at each of these moments in turn, and say what is not as it should be."""
    story = known.story
    run = Run(ground, story)
    await run.prepare()
    result = Result(story.name, cuts)
    try:
        mails = await _die_at(run, cuts, result)
        await run.converge(known, result, mails)
    except NotReached as error:
        result.reached = False
        result.wrongs.append(str(error))
    return result


async def _die_at(run: "Run", cuts: Sequence[Cut], result: Result) -> int:
    """Be killed at each moment; returns how many mails were cut."""
    ground, story, mails = run.ground, run.story, 0
    for place, moment in enumerate(cuts):
        await ground.faults([moment.plan])
        going_on = asyncio.create_task(_go_on(run, first=place == 0))
        held: dict[str, Any] | None = None
        try:
            held = await _reach(run, moment, going_on)
            result.faults.append(f"held {moment.when} {held['service']} {held['method']} {held['path']}")
        except NotReached:
            if place == 0:
                raise
            # What the second kill was to cut had been done before the first.
        finally:
            run.unanswered |= place == 0 and not going_on.done() and not story.ends_with_people
            await ground.kill()
            if held:  # what the host did beside this call until now was cut with it
                mails += unrecorded_mails(await ground.calls(run.since), held, moment, story.mails_are_noted_in)
            going_on.cancel()
            await asyncio.gather(going_on, return_exceptions=True)
            await ground.make_overdue()
            await ground.new_host()
            await ground.faults([])
        try:
            await story.at_every_moment(ground)
        except AssertionError as error:
            result.wrongs.append(f"When the host was dead: {error}")
    return mails


async def _reach(run: "Run", moment: Cut, going_on: asyncio.Task[None]) -> dict[str, Any]:
    """Wait until the call is held; raises `NotReached`."""
    ground = run.ground
    try:
        async with asyncio.timeout(REACH):
            while not (held := await ground.parked(run.since)):
                if going_on.done() and await ground.is_quiet() and not await ground.parked(run.since):
                    raise NotReached(f"The story ended without {moment}.")
                await asyncio.sleep(LOOK)
    except TimeoutError:
        raise NotReached(f"{moment} did not come within {REACH:.0f} s.") from None
    return held


def unrecorded_mails(
    calls: Sequence[Mapping[str, Any]], held: Mapping[str, Any], moment: Cut, noted_in: str = "page"
) -> int:
    """How many mails were taken of which no row of that partition says so yet: only those may come twice.

    Link and code go at the same moment, and each is noted by a write of its own.
    """
    unrecorded = 0
    for call in calls:
        happened = call["status"] is not None or (call["seq"] == held["seq"] and moment.when == "after")
        if happened and call["operation"] == MAIL:
            unrecorded += 1
        elif happened and call["method"] == "PUT" and f"PartitionKey='{noted_in}'" in unquote(call["path"]):
            unrecorded = max(unrecorded - ((call["status"] or 204) < 300), 0)
    return unrecorded


async def _go_on(run: "Run", *, first: bool) -> None:
    if first or not await run.has_begun():
        await run.story.begin(run.ground)
    if not first:
        await run.ground.come_to_rest(sweep=True)


def compare(expected: EndState, end: EndState, mails: int, *, told: bool) -> list[str]:
    """What is not as it ends undisturbed; so many mails may have come twice, and with `told` others beside them."""
    found = differences(expected.tenant, end.tenant)
    states, wanted = states_of(end), states_of(expected)
    if states - wanted:
        found.append(f"operations: expected {wanted}, found {states}")
    counts, more = end.mail_counts, end.mail_counts - expected.mail_counts
    if told:
        more = Counter({mail: count for mail, count in more.items() if mail in expected.mail_counts})
    found += [f"a mail was never sent: {mail}" for mail in expected.mail_counts - counts]
    if sum(more.values()) > mails:
        found.append(f"{mails} mails may have come twice; too many are {dict(more)}")
    if len(end.references) > len(expected.references):
        found.append(f"expected {len(expected.references)} references in the mails, found {end.references}")
    return found


def states_of(end: EndState) -> set[tuple[str, str | None]]:
    """In which states the operations rest."""
    return {(entry["state"], (entry["waiting_for"] or {}).get("what")) for entry in end.operations}


class Run:
    """One run from the seed on."""

    def __init__(self, ground: Ground, story: Story) -> None:
        self.ground = ground
        self.story = story
        self.since = 0
        self.before: dict[str, Any] = {}
        self._operations = 0
        self.unanswered = False
        """Whether the caller does not know if its request was taken."""

    async def prepare(self) -> None:
        """Bring everything to where the story begins; a long way there is gone once on each ground."""
        ground, story = self.ground, self.story
        if story.begins_late:
            name = story.name.replace(" ", "-").replace(",", "")
            self.before = await ground.where_it_begins(name, lambda: story.prepare(ground))
        else:
            await ground.afresh()
            self.before = await ground.dump()
            await story.prepare(ground)
        self._operations = len(await self.ground.operations())
        self.since = await self.ground.last_call()

    async def has_begun(self) -> bool:
        """Whether the request has become an operation, or needs none."""
        return self.story.ends_with_people or len(await self.ground.operations()) > self._operations

    async def end(self) -> EndState:
        """What is there now."""
        ground = self.ground
        return EndState(self.before, await ground.dump(), await ground.mailbox(), await ground.operations())

    async def converge(self, known: "Undisturbed", result: Result, mails: int, *, told: bool = False) -> None:
        """Come to rest, let people do their part, and note every difference from the undisturbed end.

        So many mails may have come twice; with `told`, people were also told of what went wrong.
        """
        ground, story = self.ground, self.story
        try:
            if self.unanswered and not await self.has_begun():
                # A caller that got no answer, and finds no operation, sends its request once more.
                begun = await story.begin(ground)
                assert begun.taken, begun.reasons
            await ground.come_to_rest(sweep=True)
            await ground.faults([])  # what has not failed by now is no call of the story's, but of people's browsers
            end = await self.end()
            result.wrongs += end.wrongs()
            if not story.ends_with_people:
                result.wrongs += compare(known.ends[0], end, mails, told=told)
            await story.people(ground)
            await ground.come_to_rest(sweep=True)
            await story.proof(ground)
            if self.unanswered and story.repeatable:
                # A caller that got no answer sends its request again, now that everything is there.
                begun = await story.begin(ground)
                assert begun.taken, begun.reasons
                await ground.come_to_rest(sweep=True)
            end = await self.end()
            wrongs = compare(known.ends[1], end, mails, told=told)
            if wrongs and known.renewed:
                wrongs = compare(known.renewed, end, mails, told=told) and wrongs
            result.wrongs += end.wrongs() + wrongs
        except (AssertionError, aiohttp.ClientError) as error:
            result.wrongs.append(f"{type(error).__name__}: {error}")
        except TimeoutError:
            states = [(o["state"], o["waiting_for"], o["reasons"]) for o in await ground.operations()]
            result.wrongs.append(f"It never came to rest: {states}.")
