"""Intents: a row before each call that would make a second thing if it were made twice.

no row                    the first attempt: one empty read is enough
a row without an answer   the outcome is unknown: "absent" is believed after five empty reads 5 s apart
a row with an answer      made: while it does not show, a replica lags, and nothing is made again
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from clients.ledger import Changed, Intent
from clients.tenant.parts import READ_PAUSE, READS, Parts, Work
from sso.errors import GatehouseError, NotReady

# An answer older than any replica's lag says nothing any more: what it made may have been removed since.
BELIEVED = timedelta(hours=1)


@dataclass
class Attempt:
    """One call that is about to be made; `answer` is the id of what it made."""

    answer: str | None = None


@asynccontextmanager
async def intent(
    parts: Parts, work: Work, call: str, now: datetime, seen: Callable[[str], bool] = lambda _: False
) -> AsyncIterator[Attempt]:
    """Note a call before it is made, and its answer afterwards; raises `NotReady` while an earlier one may show yet.

    `seen` says whether the thing of an id is among what was observed. A call that was refused for certain leaves no
    row behind.
    """
    key, ledger = work.request.key, parts.ledger
    made = Intent(call, work.operation.id, now)
    try:
        await ledger.add_intent(key, made)
    except Changed:
        made = await _once_more(parts, work, made, seen)
    attempt = Attempt()
    try:
        yield attempt
    except NotReady as error:
        if not error.unknown:
            await ledger.close_intent(key, call)
        raise
    except GatehouseError:
        await ledger.close_intent(key, call)
        raise
    await ledger.put_intent(key, replace(made, answer=attempt.answer))


async def _once_more(parts: Parts, work: Work, made: Intent, seen: Callable[[str], bool]) -> Intent:
    """Note another attempt of a call; raises `NotReady` while an earlier one may show yet."""
    key, now = work.request.key, made.at
    found = await parts.ledger.find_intent(key, made.call)
    if found and found.answer and not seen(found.answer) and now - found.at < BELIEVED:
        msg = f"What '{made.call}' made for {key} is not in every replica yet."
        raise NotReady(msg, retry_after=READ_PAUSE)
    if found and not found.answer and found.empty_reads + 1 < READS:
        await _count_empty_read(parts, work, found, now)
    made = replace(made, attempts=found.attempts + 1 if found else 1)
    await parts.ledger.put_intent(key, made)
    return made


async def _count_empty_read(parts: Parts, work: Work, found: Intent, now: datetime) -> None:
    """Count this observation as one that shows nothing; always raises `NotReady`."""
    pause = timedelta(seconds=READ_PAUSE * parts.settings.wait_scale)
    if found.last_read is None or now - found.last_read >= pause:
        found = replace(found, empty_reads=found.empty_reads + 1, last_read=now)
        await parts.ledger.put_intent(work.request.key, found)
    msg = f"An earlier '{found.call}' may have been carried out; {found.empty_reads} looks found nothing of it."
    raise NotReady(msg, retry_after=READ_PAUSE)
