"""Timer triggers, and the schedules they follow."""

from datetime import UTC, datetime

import pytest

from sandbox.certificate_authority import LoopbackCertificate
from sandbox.host.schedule import Schedule, ScheduleError
from tests.host.conftest import serving


async def test_runs_at_start_and_by_hand(certificate: LoopbackCertificate, storage: str) -> None:
    """A timer with run_on_startup runs when the host starts, and any timer runs by hand, with its next date."""
    async with serving(certificate, storage) as host:
        first = await host.reports.next("yearly")
        assert first["past_due"] is False
        assert first["status"]["Last"].startswith("0001-01-01T")
        async with host.client.post(f"{host.url}/admin/functions/yearly", json={}) as response:
            assert response.status == 202
        second = await host.reports.next("yearly")
        assert second["status"]["Last"].startswith("20")
        assert "-01-01T03:00:00" in second["status"]["Next"]


async def test_ticks_on_its_schedule_without_a_record_below_a_minute(
    certificate: LoopbackCertificate, storage: str
) -> None:
    """A timer of every second ticks again and again; the host keeps no record of one that frequent."""
    async with serving(certificate, storage, TICK_SCHEDULE="* * * * * *") as host:
        ticks = [await host.reports.next("tick") for _ in range(3)]
    assert ticks == [{"past_due": False, "status": {}}] * 3


async def test_follows_the_time_of_the_sandbox(certificate: LoopbackCertificate, storage: str) -> None:
    """Where the sandbox's time runs a hundredfold, a timer of every minute ticks twice within two seconds."""
    async with serving(
        certificate,
        storage,
        TICK_SCHEDULE="0 * * * * *",
        GATEHOUSE_WAIT_SCALE="0.01",
    ) as host:
        first, second = [await host.reports.next("tick") for _ in range(2)]
    assert first["status"]["Last"].startswith("0001-01-01T")
    assert datetime.fromisoformat(second["status"]["Last"]).second < 30


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("0 */5 * * * *", (2026, 3, 1, 10, 4, 59), (2026, 3, 1, 10, 5, 0)),
        ("30 */5 * * * *", (2026, 3, 1, 10, 5, 0), (2026, 3, 1, 10, 5, 30)),
        ("*/5 * * * *", (2026, 3, 1, 10, 5, 1), (2026, 3, 1, 10, 10, 0)),
        ("0 0 3 * * MON-FRI", (2026, 3, 6, 4, 0, 0), (2026, 3, 9, 3, 0, 0)),
        ("0 0 3 13 * 5", (2026, 1, 1, 0, 0, 0), (2026, 2, 13, 3, 0, 0)),
        ("0 0 0 29 2 *", (2026, 1, 1, 0, 0, 0), (2028, 2, 29, 0, 0, 0)),
        ("0 0 0 1 JUL *", (2026, 1, 1, 0, 0, 0), (2026, 7, 1, 0, 0, 0)),
    ],
)
def test_reads_six_fields(expression: str, after: tuple[int, ...], due: tuple[int, ...]) -> None:
    """Seconds come first, five fields mean whole minutes, and day and weekday must both fit."""
    moment = datetime(*after, tzinfo=UTC)  # type: ignore[misc,arg-type]
    assert Schedule(expression).next_after(moment) == datetime(*due, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    "expression", ["", "* * * *", "00:05:00", "61 * * * * *", "* * * * * 7", "0 0 0 L * *", "0 0 0 31 2 *", "@daily"]
)
def test_refuses_what_is_no_schedule(expression: str) -> None:
    """A schedule that NCRONTAB cannot read, or that is never due, is refused."""
    with pytest.raises(ScheduleError):
        Schedule(expression)
