"""Windows of a freeze calendar, as settings and profiles write them: whole days in UTC, both ends included.

2026-12-20..2027-01-05    once        2026-12-24
12-20..01-05              each year   12-24
sat..sun                  each week   fri
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST = 92  # days: a quarter of a year; more would hold up every credential of 180 days
FORMS = "such as 2026-12-20..2027-01-05, 12-20..01-05 for each year, or sat..sun for each week"
_LEAP_YEAR = 2028  # a window of each year may name 02-29


@dataclass(frozen=True)
class Window:
    """Days on which nothing is begun; `place` tells where in its year or week, or in all time, a day stands."""

    first: int
    last: int
    place: Callable[[date], int]

    def holds(self, day: date) -> bool:
        """Whether a day is one of the window's; one that ends before it begins goes over the turn."""
        place = self.place(day)
        if self.first <= self.last:
            return self.first <= place <= self.last
        return place >= self.first or place <= self.last


def _in_year(day: date) -> int:
    return date(_LEAP_YEAR, day.month, day.day).toordinal()


# The form of an end, how its place is read, how a day finds its own, after how many places the next turn begins (0:
# never), and how many days a window may have.
_FORMS: tuple[tuple[str, Callable[[str], int], Callable[[date], int], int, int], ...] = (
    (r"\d{4}-\d{2}-\d{2}", lambda text: date.fromisoformat(text).toordinal(), date.toordinal, 0, LONGEST),
    (r"\d{2}-\d{2}", lambda text: date.fromisoformat(f"{_LEAP_YEAR}-{text}").toordinal(), _in_year, 366, LONGEST),
    ("|".join(WEEK), WEEK.index, date.weekday, 7, 6),
)


def parse_window(text: str) -> Window:
    """Read one window; raises `ValueError` that says what was expected."""
    first, _, last = text.partition("..") if ".." in text else (text, "", text)
    for form, read, place, turn, longest in _FORMS:
        if re.fullmatch(form, first) and re.fullmatch(form, last):
            window = Window(read(first), read(last), place)
            days = window.last - window.first + 1
            days += turn if days < 1 else 0
            if not 0 < days <= longest:
                msg = f"'{text}' has {days} days; a window has at least one and at most {longest}"
                raise ValueError(msg)
            return window
    msg = f"'{text}' is no window"
    raise ValueError(msg)


def window_problem(text: str) -> str | None:
    """What is wrong with a window, in a sentence; None where nothing is."""
    try:
        parse_window(text)
    except ValueError as error:
        # Python's own sentence about a day that does not exist, such as 02-30, is as good as ours.
        return f"must be days {FORMS}: {error}"
    return None


def over(windows: tuple[str, ...], now: datetime) -> datetime | None:
    """When the freeze of these windows that runs now is over, one window after another; None where none runs."""
    day, parsed = now.astimezone(UTC).date(), tuple(parse_window(text) for text in windows)
    first = day
    while any(window.holds(day) for window in parsed) and day - first < timedelta(days=366):
        day += timedelta(days=1)
    return None if day == first else datetime(day.year, day.month, day.day, tzinfo=UTC)
