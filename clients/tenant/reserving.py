"""Reserving writes in the budget that all instances share, before they are made."""

import asyncio
from datetime import datetime, timedelta

from clients.ledger import Changed
from clients.tenant.parts import RACES, Parts
from sso.budget import ask
from sso.errors import NotReady


async def reserve(parts: Parts, writes: int, now: datetime, *, urgent: bool = False, in_line: bool = False) -> None:
    """Return when so many writes may be made; raises `NotReady` with the time after which to ask again.

    Only a place that is seconds away is waited for here: whatever is further gives its message back.
    """
    if not writes:
        return
    loop, scale = asyncio.get_running_loop(), parts.settings.wait_scale
    began = loop.time()
    for _ in range(RACES):
        found = await parts.ledger.find_budget()
        moment = now + timedelta(seconds=loop.time() - began)
        place = ask(found, writes, moment, urgent=urgent, in_line=in_line, scale=scale)
        try:
            if place.granted or found is None or place.budget.line != found.line:
                await parts.ledger.put_budget(place.budget)
        except Changed:
            continue
        if place.granted:
            await asyncio.sleep(place.wait * scale)
            return
        msg = "Graph's write budget is reserved by others for now."
        raise NotReady(msg, retry_after=place.wait, waiting_for="throttling")
    msg = "The write budget changes faster than it can be reserved."
    raise NotReady(msg, retry_after=1.0, waiting_for="throttling")
