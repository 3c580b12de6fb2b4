"""NCRONTAB schedules: six fields with the seconds first, in UTC; five fields mean whole minutes."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from cronsim import CronSim, CronSimError

_FIELD = re.compile(r"[0-9A-Za-z*/,-]+")
# NCRONTAB has no L, W or #, and Sunday is 0 only: what cronsim allows beyond that is refused.
_BEYOND = re.compile(r"L", re.IGNORECASE)
_MONTHS_AND_DAYS = re.compile(r"JUL", re.IGNORECASE)


class ScheduleError(Exception):
    """A schedule that the host refuses."""


class Schedule:
    """When a timer is due."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        if len(fields) == 5:
            fields = ["0", *fields]
        if len(fields) != 6 or not all(_FIELD.fullmatch(field) for field in fields):
            raise ScheduleError(
                f"the schedule {expression!r} must have six fields: second minute hour day month weekday"
            )
        if any(_BEYOND.search(_MONTHS_AND_DAYS.sub("", field)) for field in fields) or "7" in re.split(
            "[,-]", fields[5]
        ):
            raise ScheduleError(f"the schedule {expression!r} holds what NCRONTAB does not know: L, or 7 for Sunday")
        self.expression = expression
        self._fields = [field.upper() for field in fields]
        try:
            self.next_after(datetime(2026, 1, 1))  # noqa: DTZ001 - only parsed
        except CronSimError as error:
            raise ScheduleError(f"the schedule {expression!r} cannot be read: {error}") from error
        except StopIteration:
            raise ScheduleError(f"the schedule {expression!r} is never due") from None

    def next_after(self, moment: datetime) -> datetime:
        """The first due moment strictly after `moment`."""
        return next(self._moments(moment))

    def is_frequent(self, moment: datetime) -> bool:
        """True below one minute between two runs: the host keeps no record of such timers."""
        first, second = islice(self._moments(moment), 2)
        return second - first < timedelta(minutes=1)

    def _moments(self, after: datetime) -> Iterator[datetime]:
        """Due moments: NCRONTAB wants day *and* weekday to fit, where cron takes either."""
        *others, weekday = self._fields
        both = others[3] != "*" and weekday != "*"
        if not both:
            yield from CronSim(" ".join(self._fields), after)
            return
        weekdays = CronSim(f"0 0 0 * * {weekday}", after).weekdays
        for moment in islice(CronSim(" ".join([*others, "*"]), after), 100_000):
            if moment.isoweekday() % 7 in weekdays:
                yield moment
