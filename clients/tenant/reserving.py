"""Reserving writes in the budget that all instances share, before they are made."""

import asyncio
from datetime import datetime, timedelta

from clients.ledger import Changed
from clients.tenant.parts import RACES, Parts
from sso.budget import HOVER, ask
from sso.errors import NotReady


async def reserve(parts: Parts, writes: int, now: datetime, *, urgent: bool = False, in_line: bool = False) -> None:
    """Return when so many writes may be made; raises `NotReady` with the time after which to ask again.

    A place that is near is waited for here, one that is not is worth giving the message back.
    """
    loop, scale = asyncio.get_running_loop(), parts.settings.wait_scale
    began, races = loop.time(), 0
    while writes:
        passed = loop.time() - began
        found = await parts.ledger.find_budget()
        place = ask(found, writes, now + timedelta(seconds=passed), urgent=urgent, in_line=in_line, scale=scale)
        if place.granted or found is None or place.budget.line != found.line:
            try:
                await parts.ledger.put_budget(place.budget)
            except Changed:
                races += 1
                if races > RACES:
                    place_taken = "The write budget changes faster than it can be reserved."
                    raise NotReady(place_taken, retry_after=1.0, waiting_for="throttling") from None
                continue
        if not place.granted and place.wait + passed / scale > HOVER:
            msg = "Graph's write budget is reserved by others for now."
            raise NotReady(msg, retry_after=place.wait, waiting_for="throttling")
        in_line = True
        await asyncio.sleep(place.wait * scale)
        if place.granted:
            return
