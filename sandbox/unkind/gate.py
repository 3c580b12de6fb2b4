"""The gate before every service: a call meets here what the plan or the seed has for it, and may be parked."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import ceil
from typing import Any, TypeVar

from sandbox.clock import Clock
from sandbox.unkind.draws import Draws
from sandbox.unkind.plan import Fault, Planned, next_fault
from sandbox.unkind.switches import Switches

T = TypeVar("T")

_LONGEST_WAIT = 10
"""Seconds of a drawn Retry-After."""


@dataclass(frozen=True)
class Passage:
    """One call on its way through the gate."""

    service: str
    operation: str
    """As GET /calls shows it."""
    key: str
    """What the call is about, the same in every run with this seed."""
    path: str
    is_random: bool
    """Whether the seed may have something for it, and not the plan alone."""
    park: Callable[[], None]
    """Shows the call in GET /calls before it is answered."""
    is_gone: Callable[[], bool]
    """Whether its caller has hung up."""


class Faulted(Exception):
    """The call is answered with this, and had no effect."""

    def __init__(self, fault: Fault, headers: dict[str, str]) -> None:
        super().__init__(fault.kind)
        self.fault = fault
        self.status = fault.status or 503
        self.headers = headers


class AnswerLost(Exception):
    """The call is over and its caller does not learn how: a gateway's status, or None for a cut connection."""

    def __init__(self, status: int | None, outcome: Any) -> None:
        super().__init__("The answer is lost.")
        self.status = status
        self.outcome = outcome
        """What would have been answered; None where the call had no effect."""


class Gate:
    """Lets calls through, and notes which ones met a fault."""

    def __init__(self, draws: Draws, clock: Clock, switches: Callable[[], Switches]) -> None:
        self._draws = draws
        self._clock = clock
        self._switches = switches
        self._released = asyncio.Event()
        self._closed = False
        self._permitted: dict[tuple[str, str, str], datetime] = {}
        self.plan: list[Planned] = []
        self.hits: list[dict[str, Any]] = []
        self.impatient: list[dict[str, Any]] = []
        """Calls that came again before the time that a 429 or 503 had named."""

    def follow(self, plan: Sequence[Planned]) -> None:
        """Follow another plan from now on, and release every parked call."""
        self.plan = list(plan)
        self._release()

    def close(self) -> None:
        """Release every parked call without letting it have an effect any more."""
        self._closed = True
        self._release()

    async def through(self, passage: Passage, act: Callable[[], Awaitable[T]]) -> T:
        """Let a call have its effect, unless it meets something; raises Faulted and AnswerLost."""
        self._note_impatience(passage)
        fault = next_fault(self.plan, passage.service, passage.operation, passage.path)
        drawn = self._drawn(passage)
        fault = fault or drawn
        if fault is None:
            return await act()
        self.note(passage, fault.kind, when=fault.when)
        match fault.kind:
            case "delay":
                await self.wait(fault.seconds)
            case "refuse" | "throttle" | "unavailable":
                raise self._faulted(passage, fault)
            case "hold" if fault.when == "before":
                await self._park(passage)
        try:
            result: T = await act()
        except Exception as refusal:
            await self._after(passage, fault, refusal)
            raise
        await self._after(passage, fault, result)
        return result

    async def wait(self, seconds: float) -> None:
        """Wait on the sandbox's clock."""
        if seconds > 0:
            await asyncio.sleep(seconds / self._clock.rate)

    def note(self, passage: Passage, fault: str, **more: Any) -> None:
        """Remember that a call met something, for a failing test's message."""
        self.hits.append(
            {
                "at": self._clock.now().isoformat(timespec="milliseconds"),
                "service": passage.service,
                "operation": passage.operation,
                "key": passage.key,
                "fault": fault,
                **more,
            }
        )

    def permit_after(self, passage: Passage, seconds: float) -> None:
        """Remember when the same call may come again."""
        self._permitted[_same(passage)] = self._clock.now() + timedelta(seconds=seconds)

    def _drawn(self, passage: Passage) -> Fault | None:
        if not passage.is_random:
            return None
        switches, key = self._switches(), (passage.service, passage.operation, passage.key)
        # Each is drawn for every call, so that changing one share does not change what the others come to.
        throttled = self._draws.hits(switches.throttle_share, "throttle", *key)
        unavailable = self._draws.hits(switches.unavailable_share, "unavailable", *key)
        lost = self._draws.hits(switches.lost_answer_share, "lose_answer", *key)
        form = self._draws.fraction("form", *key)
        seconds = 1 + self._draws.pick(_LONGEST_WAIT, "seconds", *key)
        if throttled:
            # graph-contract section 20: whole seconds mostly; an HTTP date is as good (RFC 9110), and none happens.
            return Fault("throttle", status=429, retry_after=None if form > 0.85 else seconds, as_date=form > 0.7)
        if unavailable:
            return Fault("unavailable", status=504 if form > 0.7 else 503, retry_after=seconds if form < 0.3 else None)
        return Fault("lose_answer", status=504 if form > 0.5 else None) if lost else None

    def _faulted(self, passage: Passage, fault: Fault) -> Faulted:
        if fault.retry_after is None:
            return Faulted(fault, {})
        self.permit_after(passage, fault.retry_after)
        if not fault.as_date:
            return Faulted(fault, {"Retry-After": str(fault.retry_after)})
        # A date is read against the reader's own clock, which is the wall's; it has whole seconds alone.
        moment = datetime.fromtimestamp(ceil(datetime.now(UTC).timestamp() + fault.retry_after), UTC)
        return Faulted(fault, {"Retry-After": format_datetime(moment, usegmt=True)})

    async def _after(self, passage: Passage, fault: Fault, outcome: Any) -> None:
        if fault.kind == "lose_answer":
            raise AnswerLost(fault.status, outcome)
        if fault.kind == "hold" and fault.when == "after":
            passage.park()
            with suppress(AnswerLost):
                await self._wait_for_release(passage)

    async def _park(self, passage: Passage) -> None:
        passage.park()
        await self._wait_for_release(passage)

    async def _wait_for_release(self, passage: Passage) -> None:
        await self._released.wait()
        # A caller that died before its call has not made it.
        if passage.is_gone() or self._closed:
            raise AnswerLost(None, None)

    def _release(self) -> None:
        self._released.set()
        self._released = asyncio.Event()

    def _note_impatience(self, passage: Passage) -> None:
        permitted = self._permitted.pop(_same(passage), None)
        now = self._clock.now()
        # A sleep that ends on time may be measured a moment early.
        if permitted is not None and now + timedelta(milliseconds=5 * self._clock.rate) < permitted:
            early = (permitted - now).total_seconds()
            self.impatient.append({"operation": passage.operation, "key": passage.key, "seconds_early": early})


def _same(passage: Passage) -> tuple[str, str, str]:
    return passage.service, passage.operation, passage.key
