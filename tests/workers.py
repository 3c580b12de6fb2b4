"""How the tests are shared among workers: a file stays in one, so that its sandboxes are started once."""

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

# Sandboxes at speed, whose hosts are killed or stormed at: one at a time, and first, because they take longest.
ONE_AT_A_TIME = ("tests/kills/", "tests/writers/", "tests/storms/")
LONG = "tests/years/"  # second, so that nobody waits for it alone in the end


class Sharing(LoadFileScheduling):
    """Each worker gets a file at a time; what a busy machine disturbs is one piece of work."""

    def _split_scope(self, nodeid: str) -> str:
        return ONE_AT_A_TIME[0] if nodeid.startswith(ONE_AT_A_TIME) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    """Share by our own rule."""
    return Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: (not item.nodeid.startswith(ONE_AT_A_TIME), not item.nodeid.startswith(LONG)))
