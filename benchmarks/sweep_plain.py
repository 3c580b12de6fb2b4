"""The plain way: the same client asks for one application after the other."""

import asyncio
import json
import resource
import time
from datetime import UTC, datetime, timedelta

from clients.settings import read_settings
from clients.tenant import Tenant

NOTICE = timedelta(days=45)


async def main() -> None:
    """Print how many were due, the seconds of the look, and the process' peak of memory in MiB."""
    tenant = Tenant.connect(read_settings())
    known = [application.object_id for _, application in await tenant.graph.managed()]  # where a list of ours would be
    began, due = time.perf_counter(), 0
    for object_id in known:
        application = await tenant.graph.application(object_id)
        passwords = application.passwords if application else ()
        due += any(password.ends - NOTICE <= datetime.now(UTC) for password in passwords)
    seconds = time.perf_counter() - began
    await tenant.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"due": due, "seconds": seconds, "peak": peak}), flush=True)


asyncio.run(main())
