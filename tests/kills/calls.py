"""The external calls of a story, and the places at which it can be cut."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

Place = Literal["before", "after", "answered"]
READS = {"GET", "HEAD"}
LEDGER = {"table", "queue"}
_ROW = re.compile(r"\(PartitionKey='(?P<partition>\w+)(?P<rest>[^']*)',\s*RowKey='(?P<row>[^']*)'\)")


@dataclass(frozen=True)
class Cut:
    """One moment at which the host is killed: the n-th call of its name, before it or after its effect."""

    service: str
    operation: str
    part: str | None
    """What tells rows of one table apart: a part of the path that is the same in every run."""
    nth: int
    when: Literal["before", "after"]
    number: int
    """Which call of the undisturbed story it is."""
    kinds: frozenset[tuple[str, Place]]
    """What is cut here. Held at a ledger's call, a process has the answer of the call before and nothing recorded."""

    @property
    def name(self) -> tuple[str, str, str | None, int, str]:
        """What tells it from every other moment, in every run."""
        return self.service, self.operation, self.part, self.nth, self.when

    @property
    def calls(self) -> set[str]:
        """The names of the calls that are cut here, wherever."""
        return {name for name, _ in self.kinds}

    @property
    def plan(self) -> dict[str, Any]:
        """The entry of the fault plan that holds the call."""
        entry = {"service": self.service, "operation": self.operation, "nth": self.nth, "fault": "hold"}
        return {**entry, "when": self.when} | ({"path": self.part} if self.part else {})

    def __str__(self) -> str:
        part = f" of {self.part}" if self.part else ""
        return f"call {self.number}, {self.when} {self.service} {self.operation}{part}, number {self.nth} of its name"


def calls_of_the_app(calls: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The external calls: a batch is one call, and each write in it has an effect of its own."""
    return [call for call in calls if not (call.get("batch") and call["method"] in READS)]


def cuts_of(calls: Iterable[Mapping[str, Any]]) -> list[Cut]:
    """Every moment at which these calls can be cut.

    Three places for each call: before it, after its effect, and after its answer with nothing of it recorded. The third
    is the moment before the ledger's call that follows, so it is one run with that call's first place.
    """
    cuts: list[Cut] = []
    seen: Counter[tuple[str, str, str | None]] = Counter()
    unrecorded: list[str] = []
    for number, call in enumerate(calls_of_the_app(calls), 1):
        name = (call["service"], call["operation"], _part(call))
        seen[name] += 1
        answered: frozenset[tuple[str, Place]] = frozenset()
        if call["service"] in LEDGER:
            answered = frozenset((operation, "answered") for operation in unrecorded)
            unrecorded = []
        else:
            unrecorded.append(call["operation"])
        kind = kind_of(call)
        before: frozenset[tuple[str, Place]] = frozenset({(kind, "before")})
        after: frozenset[tuple[str, Place]] = frozenset({(kind, "after")})
        cuts += [
            Cut(*name, seen[name], "before", number, before | answered),
            Cut(*name, seen[name], "after", number, after),
        ]
    return cuts


def kind_of(call: Mapping[str, Any]) -> str:
    """The name of a call with the partition of its row, where it has one."""
    row = _ROW.search(unquote(call["path"]))
    return f"{call['operation']} {row['partition']}" if row else str(call["operation"])


def _part(call: Mapping[str, Any]) -> str | None:
    row = _ROW.search(unquote(call["path"]))
    if row is None:
        return None
    if row["partition"] == "intent":
        return row[0]
    return f"PartitionKey='{row['partition']}"
