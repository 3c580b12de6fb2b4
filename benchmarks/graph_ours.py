"""Ours: the same list by the app's own client of Graph."""

import asyncio
import os

from benchmarks.credential import credential
from clients.graph import Graph


async def main() -> None:
    """Print how many there are."""
    async with credential() as signed_in:
        graph = Graph(os.environ["GATEHOUSE_GRAPH_URL"], signed_in)
        print("service principals", len(await graph.managed_service_principals()), flush=True)
        await graph.close()


asyncio.run(main())
