"""One run at a time: the lease is renewed beside whatever its holder does, and a holder that lost it is told."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from clients.ledger import Changed, Lease
from clients.tenant.parts import READ_PAUSE, Parts
from sso.errors import NotReady

RENEWAL = 20.0  # seconds after which a lease of 60 s is renewed
BUSY_PAUSE = 15.0  # seconds until what another run holds is tried again


@dataclass
class Held:
    """A lease in use; `lost` once another run has taken it."""

    lease: Lease
    lost: bool = False


@asynccontextmanager
async def leased(parts: Parts, name: str, now: Callable[[], datetime]) -> AsyncIterator[Held | None]:
    """Hold the right to what has this name; None while another run holds it."""
    lease = await parts.ledger.take_lease(name, secrets.token_hex(8), now(), parts.settings.wait_scale)
    if lease is None:
        yield None
        return
    held, over = Held(lease), asyncio.Event()
    keeping = asyncio.create_task(_keep(parts, held, now, over))
    try:
        yield held
    finally:
        over.set()
        await keeping  # a renewal that is on its way changes the row that is given back
        await parts.ledger.release_lease(held.lease)


async def _keep(parts: Parts, held: Held, now: Callable[[], datetime], over: asyncio.Event) -> None:
    """Renew the lease as long as it is held, however long one step takes."""
    pause = RENEWAL
    while not held.lost:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), pause * parts.settings.wait_scale)
            return
        try:
            held.lease = await parts.ledger.renew_lease(held.lease, now(), parts.settings.wait_scale)
            pause = RENEWAL
        except Changed:
            held.lost = True
        except NotReady:
            pause = READ_PAUSE  # there is time for some more tries before it is over
