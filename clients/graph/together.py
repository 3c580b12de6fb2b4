"""What is done together: questions, of which none goes on alone when one has failed, and writes, which all end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, overload

from sso.errors import GatehouseError

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
Asked = Coroutine[Any, Any, A]


@overload
async def together(first: Asked[A], second: Asked[B], /) -> tuple[A, B]: ...
@overload
async def together(first: Asked[A], second: Asked[B], third: Asked[C], /) -> tuple[A, B, C]: ...
@overload
async def together(first: Asked[A], second: Asked[B], third: Asked[C], fourth: Asked[D], /) -> tuple[A, B, C, D]: ...
async def together(*questions: Asked[Any]) -> tuple[Any, ...]:
    """The answers in order; the first failure is raised once the others have stopped.

    `asyncio.gather` alone would let them go on, and ask again what the caller's next try asks too.
    """
    tasks = [asyncio.ensure_future(question) for question in questions]
    try:
        return tuple(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def attempted(*writes: Asked[A]) -> tuple[A | GatehouseError, ...]:
    """What each write came to once all of them have ended: its value, or our error; any other exception is raised."""
    results = await asyncio.gather(*writes, return_exceptions=True)
    came_to: list[A | GatehouseError] = []
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, GatehouseError):
            raise result
        came_to.append(result)
    return tuple(came_to)
