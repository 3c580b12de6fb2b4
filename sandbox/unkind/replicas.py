"""Read replicas of the directory: each learns of each write after a lag of its own (graph-contract section 4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

REPLICAS = 3
_ALWAYS = datetime.min.replace(tzinfo=UTC)

Lags = Sequence[timedelta]
"""One for each replica."""


@dataclass(frozen=True)
class _Version:
    value: dict[str, Any] | None
    """The object as a whole, never changed after it was written; None where it is gone."""
    known_at: tuple[datetime, ...]


class Replicas:
    """The recent past of every object that was just written, as far as some replica still lives in it.

    The directory is the write store; an object without a past here is the same everywhere.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._pasts: dict[tuple[str, str], list[_Version]] = {}

    def wrote(
        self,
        kind: str,
        object_id: str,
        old: dict[str, Any] | None,
        new: dict[str, Any] | None,
        lags: Lags,
        at: datetime | None = None,
    ) -> None:
        """Note a write of now or of some time ago; replicas learn of an object's writes in their order."""
        past = self._past(kind, object_id)
        if not past and not any(lags):
            return
        past = past or [_Version(old, (_ALWAYS,) * REPLICAS)]
        written = at or self._now()
        known_at = tuple(max(before, written + lag) for before, lag in zip(past[-1].known_at, lags, strict=True))
        self._pasts[kind, object_id] = [*past, _Version(new, known_at)]

    def forget(self, kind: str, object_id: str) -> None:
        """Let every replica have the present of an object: an administrator's hand has changed it."""
        self._pasts.pop((kind, object_id), None)

    def catch_up(self) -> None:
        """Let every replica have the present of everything."""
        self._pasts.clear()

    def recent(self, kind: str) -> list[str]:
        """Return the ids of a kind's objects that are not the same everywhere."""
        return [
            object_id for of_kind, object_id in list(self._pasts) if of_kind == kind and self._past(kind, object_id)
        ]

    def at(self, kind: str, object_id: str, replica: int, present: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return an object as one replica has it, given what the write store has."""
        past = self._past(kind, object_id)
        if not past:
            return present
        now = self._now()
        return next(version.value for version in reversed(past) if version.known_at[replica] <= now)

    def laggiest(self, kind: str, object_id: str, present: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return an object as the replica has it that is furthest behind."""
        past = self._past(kind, object_id)
        if not past:
            return present
        now = self._now()
        return next(version.value for version in reversed(past) if max(version.known_at) <= now)

    def _past(self, kind: str, object_id: str) -> list[_Version]:
        past = self._pasts.get((kind, object_id), [])
        if past and max(past[-1].known_at) <= self._now():
            del self._pasts[kind, object_id]
            return []
        return past
