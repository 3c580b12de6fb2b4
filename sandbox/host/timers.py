"""Timer triggers: one run at a time, the next one armed when the last has ended."""

import asyncio
import contextlib
import json
import time
from datetime import UTC, datetime, timedelta

from azure.functions.meta import Datum

from sandbox.host.index import ServedFunction
from sandbox.host.invocation import InvocationError, Invoker
from sandbox.host.schedule import Schedule

# However fast the sandbox's time runs, a timer leaves the machine room for other things.
_SHORTEST_PAUSE = 0.2


class Timer:
    """Runs one function on its schedule, in the sandbox's time: `scale` wall seconds per sandbox second."""

    def __init__(self, function: ServedFunction, schedule: Schedule, invoker: Invoker, scale: float) -> None:
        self._function = function
        self._schedule = schedule
        self._invoker = invoker
        self._scale = scale
        self._began = datetime.now(UTC), time.monotonic()
        monitored = function.trigger.get("useMonitor")
        self._monitored = monitored is not False and not schedule.is_frequent(self._now())
        # The record that the real host keeps in a blob; here it lives as long as the process.
        self._last: datetime | None = None

    async def run(self) -> None:
        """Tick until cancelled; a failure is logged by the invocation and not retried."""
        if self._function.trigger.get("runOnStartup"):
            await self.run_once()
        while True:
            due = self._schedule.next_after(self._now())
            await asyncio.sleep(max((due - self._now()).total_seconds() * self._scale, _SHORTEST_PAUSE))
            await self.run_once()

    async def run_once(self) -> None:
        """Call the function now, whatever the schedule says."""
        started = self._now()
        status = None
        if self._monitored:
            following = self._schedule.next_after(started)
            last = self._last or datetime(1, 1, 1, tzinfo=UTC)
            status = {"Last": _text(last), "Next": _text(following), "LastUpdated": _text(self._last or started)}
        data = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": False}
        with contextlib.suppress(InvocationError):
            await self._invoker.invoke(self._function, Datum(json.dumps(data), "json"), {})
        self._last = started

    def _now(self) -> datetime:
        wall, monotonic = self._began
        return wall + timedelta(seconds=(time.monotonic() - monotonic) / self._scale)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
