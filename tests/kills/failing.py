"""The n-th call fails: once, and the story goes on by itself; for good, and it ends in a state that says why."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.kills.calls import calls_of_the_app
from tests.kills.cutting import Result, Run, Undisturbed
from tests.kills.ground import Ground

NAMED = {"permission", "consent", "parameters"}
FOUND_OUT = 20.0  # seconds of the wall until a failure that lasts must have been named


@dataclass(frozen=True)
class Once:
    """Call `nth` of the story is answered 503."""

    nth: int

    def __str__(self) -> str:
        return f"call {self.nth} is answered 503, once"


@dataclass(frozen=True)
class ForGood:
    """Every call of one name is refused."""

    service: str
    operation: str

    def __str__(self) -> str:
        return f"every {self.service} {self.operation} is refused"


def lasting(calls: Iterable[Mapping[str, Any]]) -> list[ForGood]:
    """One failure for each name of a call to the tenant; without its ledger the app cannot say anything at all."""
    names = {(call["service"], call["operation"]) for call in calls_of_the_app(calls)}
    return [ForGood(*name) for name in sorted(names) if name[0] in {"graph", "vault", "authority"}]


async def fail_once(ground: Ground, known: Undisturbed, once: Once) -> Result:
    """Let one call fail, and say what is not as it should be; not reached where the story has fewer calls."""
    run = Run(ground, known.story)
    await run.prepare()
    result = Result(known.story.name, [once])
    await ground.faults([{"operation": "*", "nth": once.nth, "fault": "unavailable"}])
    begun = await known.story.begin(ground)
    if not begun.taken:
        if not begun.reasons:
            result.wrongs.append("The request was refused without a reason.")
        begun = await known.story.begin(ground)
        run.unanswered = not begun.taken
    await run.converge(known, result, mails=0)
    hits = await ground.hits()
    result.reached = bool(hits)
    result.faults += [f"{hit['fault']} {hit['service']} {hit['operation']}" for hit in hits]
    return result


async def fail_for_good(ground: Ground, known: Undisturbed, failure: ForGood) -> tuple[Result, str]:
    """Refuse every call of a name until that is named, then no more; returns also how it was named."""
    run = Run(ground, known.story)
    await run.prepare()
    result = Result(known.story.name, [failure])
    plan = {"service": failure.service, "operation": failure.operation, "times": None, "fault": "refuse"}
    await ground.faults([plan])
    begun = await known.story.begin(ground)
    named = f"refused: {begun.reasons[0]}" if begun.reasons else await _named(ground)
    result.reached = bool(await ground.hits())
    if named is None:
        states = [(o["state"], o["waiting_for"], o["reasons"]) for o in await ground.operations()]
        result.wrongs.append(f"Nothing says what is wrong: {states}.")
    await ground.faults([])
    run.unanswered = not begun.taken
    if await ground.operations():  # none where the request itself was refused
        await ground.come_to_rest(sweep=True)  # a run that moves yet may not be replayed
    for operation in await ground.operations():
        if operation["state"] in {"failed", "waiting"}:
            reply = await ground.api("POST", f"/operations/{operation['id']}/replay")
            assert reply.status == 202, reply.text
    await run.converge(known, result, mails=0, told=True)
    return result, named or ""


async def _named(ground: Ground) -> str | None:
    """The state in which an operation names what failed; None where it never does."""
    try:
        async with asyncio.timeout(FOUND_OUT):
            while True:
                for operation in await ground.operations():
                    what = (operation["waiting_for"] or {}).get("what")
                    if operation["reasons"] and (operation["state"] == "failed" or what in NAMED or what is not None):
                        return f"{what or operation['state']}: {operation['reasons'][0]['detail']}"
                    if what == "acknowledgement" and await ground.is_quiet():
                        return "not needed"
                await asyncio.sleep(0.1)
    except TimeoutError:
        return None
