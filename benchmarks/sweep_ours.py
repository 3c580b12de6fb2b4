"""Ours: the timer's look at every application for what is due."""

import asyncio
import json
import resource
import time
from datetime import UTC, datetime

import handlers.rotation
from clients.settings import read_settings
from clients.tenant import Tenant


async def main() -> None:
    """Print how many were due, the seconds of the look, and the process' peak of memory in MiB."""
    tenant = Tenant.connect(read_settings())
    began = time.perf_counter()
    due = await handlers.rotation.tick(tenant, datetime.now(UTC))
    seconds = time.perf_counter() - began
    await tenant.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"due": due, "seconds": seconds, "peak": peak}), flush=True)


asyncio.run(main())
