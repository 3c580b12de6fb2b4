"""What happens to the old secret once the new one is handed over: the table's rows, each as a case of its own."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.model import KeyId, PasswordCredential
from sso.rotation import (
    LOOK_AGAIN,
    SECRET_TABLE,
    SUCCESSION_TABLE,
    WARN_BEFORE,
    Succession,
    SuccessionStep,
    after_handoff,
    is_due,
    wake,
)

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OLD = PasswordCredential(KeyId("old"), "gatehouse-smarttrace-default 2026-09-01", NOW - 150 * DAY, NOW + 30 * DAY)
TOLD = Succession(
    old=OLD,
    compromised=False,
    remind_at=NOW + DAY,
    warned=False,
    acknowledged=None,
    overlap=14 * DAY,
    now=NOW,
)
CASES = {
    "The old secret is removed, and the new one acknowledged.": replace(TOLD, old=None, acknowledged=NOW - DAY),
    "The old secret is compromised and still there.": replace(TOLD, compromised=True),
    "The new secret is acknowledged and the overlap is over.": replace(TOLD, acknowledged=NOW - 14 * DAY),
    "The new secret is acknowledged and the overlap runs.": replace(TOLD, acknowledged=NOW - 13 * DAY),
    "Nobody has acknowledged, the old secret ends within 14 days, and the owner was not warned.": replace(
        TOLD, old=replace(OLD, ends=NOW + 14 * DAY)
    ),
    "Nobody has acknowledged, and the last mail is older than the interval of reminders.": replace(TOLD, remind_at=NOW),
    "Nobody has acknowledged: the old secret stays to its natural end.": TOLD,
}


@pytest.mark.parametrize("row", SUCCESSION_TABLE, ids=[sentence for sentence, _, _ in SUCCESSION_TABLE])
def test_row_decides_its_case(row: tuple[str, object, SuccessionStep]) -> None:
    """Every row of the table is reached by a case, and decides it."""
    sentence, _, step = row
    assert after_handoff(CASES[sentence]) is step


def test_page_shows_the_tables_of_the_code() -> None:
    """docs/credentials.md and the code say the same, row by row and in the same order."""
    page = Path("docs/credentials.md").read_text("utf-8").partition("## Signing certificates")[0]
    lines = page.splitlines()
    shown = [line for line in lines if line.startswith("| ") and line.split(" | ")[0].endswith(".")]
    rows = [*SECRET_TABLE, *SUCCESSION_TABLE]
    assert shown == [f"| {sentence} | {step.value} |" for sentence, _, step in rows]


instants = st.integers(min_value=-400, max_value=400).map(lambda days: NOW + days * DAY)
successions = st.builds(
    Succession,
    old=st.none()
    | st.builds(PasswordCredential, st.just(KeyId("old")), st.just("x"), st.just(NOW - 400 * DAY), instants),
    compromised=st.just(False),
    remind_at=st.none() | instants,
    warned=st.booleans(),
    acknowledged=st.none() | instants,
    overlap=st.integers(min_value=0, max_value=60).map(lambda days: days * DAY),
    now=st.just(NOW),
)


@given(successions)
def test_old_secret_is_never_retired_before_the_acknowledgement(succession: Succession) -> None:
    """Unless it is compromised, the old secret goes only after somebody acknowledged the new one and the overlap."""
    if after_handoff(succession) is SuccessionStep.RETIRE:
        assert succession.acknowledged is not None
        assert succession.now - succession.acknowledged >= succession.overlap


@given(successions)
def test_what_waits_wakes_when_something_is_to_be_done(succession: Succession) -> None:
    """A succession that waits is looked at again exactly when another row decides, and not before."""
    if after_handoff(succession) in {SuccessionStep.WAIT_OVERLAP, SuccessionStep.WAIT_VENDOR}:
        then = wake(succession)
        assert then > succession.now
        if then == succession.now + LOOK_AGAIN:  # another operation's page: it is only looked at
            return
        assert after_handoff(replace(succession, now=then)) not in {
            SuccessionStep.WAIT_OVERLAP,
            SuccessionStep.WAIT_VENDOR,
        }
        if then - DAY > succession.now:
            assert after_handoff(replace(succession, now=then - DAY)) is after_handoff(succession)


def test_owner_is_warned_once() -> None:
    """A warning is not repeated; reminders go on."""
    ending = replace(TOLD, old=replace(OLD, ends=NOW + WARN_BEFORE / 2))
    assert after_handoff(ending) is SuccessionStep.WARN
    assert after_handoff(replace(ending, warned=True)) is SuccessionStep.WAIT_VENDOR


def test_what_has_ended_is_warned_of_no_more() -> None:
    """A warning is about what comes: of an old secret that has ended, reminders alone remain."""
    assert after_handoff(replace(TOLD, old=replace(OLD, ends=NOW))) is SuccessionStep.WAIT_VENDOR


def test_short_life_is_not_due_at_once() -> None:
    """A secret whose whole life is shorter than the time for its renewal is due at half of it, not at its birth."""
    short = replace(OLD, starts=NOW, ends=NOW + 30 * DAY)
    assert not is_due(short, 45 * DAY, NOW + 14 * DAY)
    assert is_due(short, 45 * DAY, NOW + 15 * DAY)


def test_successor_is_minted_in_time() -> None:
    """A secret is due from `renew_before` ahead of its end on, and not a second earlier."""
    assert is_due(OLD, 30 * DAY, NOW)
    assert not is_due(OLD, 30 * DAY - timedelta(seconds=1), NOW)
