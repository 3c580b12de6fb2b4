"""Sandbox time: ends of credentials, validity of certificates and `exp` in the vault follow this clock alone."""

from datetime import UTC, datetime, timedelta
from time import monotonic


class Clock:
    """Tells the sandbox's time, which may be set and may run faster than the wall."""

    def __init__(self, rate: float = 1.0) -> None:
        self._initial_rate = rate
        self.rate = rate
        self._base = datetime.now(UTC)
        self._started = monotonic()

    def now(self) -> datetime:
        """Return the sandbox's present, aware, in UTC."""
        return self._base + timedelta(seconds=(monotonic() - self._started) * self.rate)

    def set(self, now: datetime | None = None, rate: float | None = None) -> None:
        """Continue from another instant, at another rate, or both; what is not given stays."""
        now = self.now() if now is None else now
        if now.tzinfo is None:
            raise ValueError(f"The clock needs an aware time; {now.isoformat()} has no time zone. Add 'Z'.")
        self.rate = self.rate if rate is None else rate
        self._base = now.astimezone(UTC)
        self._started = monotonic()

    def reset(self) -> None:
        """Return to the wall's time and the first rate."""
        self.set(datetime.now(UTC), self._initial_rate)


def graph_time(instant: datetime) -> str:
    """Write an instant as Graph does: whole seconds, UTC, `Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 instant; without a zone it is UTC, as Graph takes it; raises ValueError."""
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
