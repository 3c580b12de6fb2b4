"""Which cases a run takes: all of them in a soak, else a seeded tenth with at least one of each kind."""

import random
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from tests.kills.ground import SEED, SOAK

Case = TypeVar("Case")
SHARE = 10


def chosen(cases: Sequence[tuple[Case, Iterable[Hashable]]], *, share: int = SHARE) -> list[Case]:
    """Of cases with their kinds: each kind once, then more until there are enough."""
    if SOAK:
        return [case for case, _ in cases]
    drawn = random.Random(SEED).sample(list(cases), len(cases))
    taken: list[int] = []
    covered: set[Hashable] = set()
    # What covers two kinds at once comes first, so that covering takes few.
    for place in sorted(range(len(drawn)), key=lambda place: -len(set(drawn[place][1]))):
        kinds = set(drawn[place][1])
        if not kinds <= covered:
            covered |= kinds
            taken.append(place)
    enough = len(cases) // share
    taken += [place for place in range(len(drawn)) if place not in taken][: max(0, enough - len(taken))]
    return [drawn[place][0] for place in taken]


def some(cases: Sequence[Case], count: int, what: str) -> list[Case]:
    """So many of the cases, drawn by the seed; a soak takes ten times as many."""
    drawn = random.Random(f"{SEED} {what}")
    return drawn.sample(list(cases), min(len(cases), count * (SHARE if SOAK else 1)))
