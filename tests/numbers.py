"""The numbers of a run, shown when it ends; with several workers, those of each."""

from typing import Any, Protocol

import pytest

LINES: list[str] = []


class Terminal(Protocol):
    """What pytest hands to its summary."""

    def section(self, title: str) -> None:
        """Begin a part of the summary."""

    def line(self, msg: str) -> None:
        """Print a line of it."""


def say(line: str) -> None:
    """Add a line to the summary."""
    LINES.append(line)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a worker's numbers to the process that prints them."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["numbers"] = list(LINES)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take a worker's numbers; one that crashed has none."""
    LINES.extend(getattr(node, "workeroutput", {}).get("numbers", []))


def pytest_terminal_summary(terminalreporter: Terminal) -> None:
    """Print the numbers."""
    if LINES:
        terminalreporter.section("numbers")
        for line in LINES:
            terminalreporter.line(line)
