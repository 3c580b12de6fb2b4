"""A tenant whose clock a test moves, so that nothing has to be waited for."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from tests.sandbox.conftest import Contoso, Reply

FIVE_MINUTES = 300


async def be_unkind(contoso: Contoso, **switches: object) -> None:
    """Choose what the tenant is to be like."""
    reply = await contoso.control("PUT", "/switches", switches)
    assert reply.status == 200, reply.body


async def later(contoso: Contoso, seconds: float = FIVE_MINUTES) -> None:
    """Let some time pass on the sandbox's clock; after five minutes every replica knows everything."""
    moment = contoso.tenant.clock.now() + timedelta(seconds=seconds)
    await contoso.control("PUT", "/clock", {"now": moment.isoformat()})


async def over_time(contoso: Contoso, call: Callable[[], Awaitable[Reply]], *, minutes: int = 5) -> list[Reply]:
    """Make a call every two seconds for some minutes."""
    replies = []
    for _ in range(minutes * 30):
        replies.append(await call())
        await later(contoso, 2)
    return replies
