"""The freeze calendar: what it holds up, for how long, and what goes on in spite of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso import steps
from sso.freeze import FINISHES, NOTICE, REMOVES, hold_up
from sso.model import KeyId
from sso.steps import Step
from vendors.windows import LONGEST, over, parse_window, window_problem

DAY = timedelta(days=1)
NOW = datetime(2026, 12, 22, 9, 30, tzinfo=UTC)
OVER = datetime(2027, 1, 6, tzinfo=UTC)
MINT = steps.MintSecret(sentence="Mint.", display_name="x", ends=NOW)
PROMOTE = steps.PromoteSecret(sentence="Promote.", staged=None)
HAND_OVER = steps.MailHandoff(sentence="Mail.")
CODE = steps.MailCode(sentence="Mail the code.")
RETIRE = steps.RetireSecret(sentence="Remove.", key_id=KeyId("old"))
REMIND = steps.Remind(sentence="Remind.")
WARN = steps.WarnOfEnd(sentence="Warn.", ends=NOW)

days = st.dates(date(2026, 1, 1), date(2030, 12, 31))
moments = st.datetimes(datetime(2026, 1, 1), datetime(2030, 12, 31)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001  # made aware at once
once = st.tuples(days, st.integers(0, LONGEST - 1)).map(lambda d: f"{d[0]}..{d[0] + d[1] * DAY}")
yearly = st.tuples(days, st.integers(0, LONGEST - 2)).map(lambda d: f"{d[0]:%m-%d}..{d[0] + d[1] * DAY:%m-%d}")
weekly = st.sampled_from(["sat..sun", "fri", "fri..mon", "mon..thu", "sun..mon"])
windows = st.lists(once | yearly | weekly, max_size=4).map(tuple)
plans = st.lists(st.sampled_from([MINT, PROMOTE, HAND_OVER, CODE, RETIRE, REMIND, WARN]), max_size=6)

HOLDS: Mapping[tuple[str, str], bool] = {
    ("2026-12-20..2027-01-05", "2026-12-20"): True,
    ("2026-12-20..2027-01-05", "2027-01-05"): True,
    ("2026-12-20..2027-01-05", "2027-01-06"): False,
    ("2026-12-20..2027-01-05", "2027-12-24"): False,
    ("2026-12-24", "2026-12-24"): True,
    ("12-20..01-05", "2029-01-05"): True,
    ("12-20..01-05", "2029-12-20"): True,
    ("12-20..01-05", "2029-12-19"): False,
    ("02-28..03-01", "2028-02-29"): True,
    ("02-28..03-01", "2027-03-01"): True,
    ("sat..sun", "2026-11-28"): True,
    ("sat..sun", "2026-11-27"): False,
    ("fri..mon", "2026-11-30"): True,
    ("fri..mon", "2026-12-01"): False,
}


@pytest.mark.parametrize(("case", "held"), HOLDS.items(), ids=[" on ".join(case) for case in HOLDS])
def test_window_holds_its_days_and_no_others(case: tuple[str, str], held: bool) -> None:
    """Both ends belong to a window; one that ends before it begins goes over the turn of year or week."""
    assert parse_window(case[0]).holds(date.fromisoformat(case[1])) is held


@pytest.mark.parametrize(
    "text",
    ["", "x", "mon..sun", "sun..sat", "02-30", "2027-01-05..2026-12-20", "01-01..12-31", "fri..12-24", "a..b..c"],
)
def test_what_is_no_window_is_refused_with_the_forms(text: str) -> None:
    """Every other text is refused, and the sentence shows how windows are written."""
    problem = window_problem(text)
    assert problem is not None
    assert "12-20..01-05" in problem


@given(windows, moments)
def test_freeze_is_over_at_the_first_open_day(chosen: tuple[str, ...], now: datetime) -> None:
    """Every day until then is held by some window, the day itself by none, and without a window there is no freeze."""
    parsed, end = [parse_window(text) for text in chosen], over(chosen, now)
    if end is None:
        assert not any(window.holds(now.date()) for window in parsed)
        return
    assert end > now
    assert end - now < timedelta(days=367)
    if end - now < timedelta(days=366):
        assert not any(window.holds(end.date()) for window in parsed)
    for past in range((end.date() - now.date()).days):
        assert any(window.holds(now.date() + past * DAY) for window in parsed)


def test_without_a_freeze_everything_is_taken() -> None:
    """Outside every window the plan is as it was."""
    assert hold_up([MINT, PROMOTE, RETIRE], None, NOW, NOW) == ((MINT, PROMOTE, RETIRE), None)


def test_nothing_is_begun_in_a_freeze() -> None:
    """Minting, handing over, reminding and removing wait for its end, which the pause names."""
    for step in (MINT, HAND_OVER, REMIND, RETIRE):
        taken, pause = hold_up([step, PROMOTE], OVER, NOW + 100 * DAY, NOW)
        assert taken == ()
        assert pause is not None
        assert (pause.what, pause.whom, pause.until) == ("time", "the end of the freeze on 2027-01-06", OVER)


def test_what_was_begun_is_finished() -> None:
    """A staged secret is proved, a page's code is mailed and an end is warned of, freeze or not."""
    begun = (PROMOTE, CODE, WARN)
    assert hold_up(begun, OVER, NOW + 100 * DAY, NOW) == (begun, None)


def test_waiting_never_lets_a_credential_end() -> None:
    """What ends before a vendor had two weeks after the freeze is renewed within it, and the step says why."""
    ends = OVER + NOTICE - timedelta(seconds=1)
    taken, pause = hold_up([MINT, PROMOTE, HAND_OVER], OVER, ends, NOW)
    assert pause is None
    assert [step.name for step in taken] == ["mint_secret", "promote_secret", "mail_handoff"]
    assert (
        taken[0].sentence == "Mint. In spite of the freeze until 2027-01-06: the credential in use ends on 2027-01-19."
    )


def test_somebody_is_warned_of_an_end_within_a_freeze() -> None:
    """What waits for the end of a freeze is looked at before it, when a warning falls due."""
    _, pause = hold_up([RETIRE], OVER, NOW + NOTICE + DAY, NOW)
    assert pause is not None
    assert pause.until == NOW + DAY


@given(plans, moments, st.integers(1, 60), st.none() | st.integers(-30, 200))
def test_freeze_takes_only_what_it_may(planned: list[Step], now: datetime, left: int, ends_in: int | None) -> None:
    """What is taken is the plan up to the first step that waits; an old credential is never removed in a freeze."""
    end, ends = now + left * DAY, None if ends_in is None else now + ends_in * DAY
    taken, pause = hold_up(planned, end, ends, now)
    assert [step.name for step in taken] == [step.name for step in planned[: len(taken)]]
    assert not any(isinstance(step, REMOVES) for step in taken)
    if ends is None or ends >= end + NOTICE:
        assert all(isinstance(step, FINISHES) for step in taken)
    if pause is None:
        assert len(taken) == len(planned)
    else:
        assert now < pause.until <= end
        assert replace(pause, until=end).what == "time"
