"""The brake: what takes something away stops when it becomes too much in a day, and goes on when an operator says so.

Too much is more than a share of all there is *and* more than a floor, so that a small tenant is not stopped by its
third removal, and a great one not by its hundredth. Each kind of removal has one brake, with a memory of a day.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from sso.model import OperationId

# Of old credentials, of people who leave, of access that people lose otherwise.
Kind = Literal["retirement", "leaver", "removal"]
WINDOW = timedelta(days=1)
COUNTED = timedelta(hours=1)  # how long a count of everything is good: what a day may take away changes little by then
# What one row of the ledger has room for; a day that takes more is far above any floor.
REMEMBERED = 3_000
RELEASES = 1_000  # operations, each of which may take away many


@dataclass(frozen=True)
class Limit:
    """The largest share of everything that a day may take away, and the number up to which no share is asked."""

    share: float
    floor: int

    def allows(self, count: int, of: int) -> bool:
        """Whether so many in a day, out of so many, are few enough."""
        return count <= self.floor or count <= self.share * of


@dataclass(frozen=True)
class Brake:
    """What a kind of removal has taken in the last day, whom it stopped, and who may go on."""

    taken: Mapping[str, datetime] = field(default_factory=dict)  # the name of each thing, and when it was taken
    held: tuple[OperationId, ...] = ()  # stopped, in the order in which they came
    released: tuple[OperationId, ...] = ()
    told: datetime | None = None  # when the operators were told of those that are held
    of: int = 0  # how much there is in all, as it was counted last
    counted: datetime | None = None
    etag: str | None = field(default=None, compare=False)

    def needs_count(self, now: datetime) -> bool:
        """Whether it is not known, or no longer, how much there is in all."""
        return self.counted is None or now - self.counted > COUNTED

    def count(self, now: datetime) -> int:
        """How many were taken within the window."""
        return sum(now - at < WINDOW for at in self.taken.values())

    def passes(self, operation: OperationId, names: frozenset[str], limit: Limit, of: int, now: datetime) -> bool:
        """Whether an operation may take all of these away now; one that was stopped waits until it is released."""
        more = len(names - self.taken.keys())
        if operation in self.released or more == 0:
            return True
        return operation not in self.held and limit.allows(self.count(now) + more, of)

    def take(self, names: frozenset[str], now: datetime) -> "Brake":
        """The brake once these are taken away; the same name counts once."""
        recent = [(other, at) for other, at in self.taken.items() if other not in names and now - at < WINDOW]
        taken = [*recent, *((name, self.taken.get(name, now)) for name in sorted(names))]
        return replace(self, taken=dict(taken[-REMEMBERED:]))

    def hold(self, operation: OperationId) -> "Brake":
        """The brake once it has stopped this operation."""
        return self if operation in self.held else replace(self, held=(*self.held, operation))

    def tells(self, operation: OperationId) -> bool:
        """Whether this operation is the one that tells the operators of all that are held."""
        return self.told is None and self.held[:1] == (operation,)

    def release(self) -> "Brake":
        """The brake once everything that it has stopped may go on; what comes later is stopped and told of again."""
        return replace(self, held=(), released=(*self.released, *self.held)[-RELEASES:], told=None)
