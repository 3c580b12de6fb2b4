"""What every running sandbox has recorded is read after each test, which fails by what nobody publishes."""

from collections.abc import AsyncIterator

import pytest

from tests.numbers import say
from tests.watching import WATCHES, Watch


@pytest.fixture(autouse=True)
async def published() -> AsyncIterator[None]:
    """What was said during the test is what Graph publishes."""
    yield
    for watch in WATCHES:
        await watch.look()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """Tell how much was read."""
    if Watch.bodies:
        say(f"read against what Graph publishes: {Watch.bodies} bodies of requests and answers")
