"""A signing certificate's rollover: the table's rows, each as a case of its own, and what no row may ever do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.model import Thumbprint, TokenSigningCertificate
from sso.rollover import ROLLOVER_TABLE, Rollover, RolloverStep, next_rollover_step, wake

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WAITS = {RolloverStep.WAIT_OVERLAP, RolloverStep.WAIT_POLL, RolloverStep.WAIT_VENDOR}


def certificate(thumbprint: str, starts: datetime, ends: datetime) -> TokenSigningCertificate:
    """A signing certificate of ours."""
    return TokenSigningCertificate(Thumbprint(thumbprint), "CN=gatehouse-clicktime-default", starts, ends, b"")


OLD = certificate("OLD", NOW - 1000 * DAY, NOW + 50 * DAY)
NEW = certificate("NEW", NOW - DAY, NOW + 1000 * DAY)
TOLD = Rollover(
    mode="single",
    old=OLD,
    removable=True,
    new=NEW,
    signs=False,
    compromised=False,
    told=True,
    pressed=False,
    remind_at=NOW + DAY,
    warned=False,
    acknowledged=None,
    poll=DAY,
    overlap=14 * DAY,
    now=NOW,
)
SIGNS = replace(TOLD, signs=True, acknowledged=NOW - DAY)
CASES = {
    "The old certificate is compromised, or 'activate now' was pressed, and there is no new one.": replace(
        TOLD, pressed=True, new=None
    ),
    "The old certificate is compromised, or 'activate now' was pressed, and the new one does not sign.": replace(
        TOLD, pressed=True
    ),
    "The vendor keeps one from the metadata, 'activate now' was pressed, and the new one signs.": replace(
        TOLD, mode="metadata_single", pressed=True, signs=True, told=False
    ),
    "There is no new one, the old one has not ended, and the vendor does not mind a second in the metadata.": replace(
        TOLD, new=None, told=False
    ),
    "Nobody was told of what is there now.": replace(TOLD, told=False),
    "The old certificate is compromised and still there.": replace(TOLD, compromised=True, signs=True),
    "The new one does not sign, and the vendor keeps all from the metadata and has read it twice since.": replace(
        TOLD, mode="metadata", now=NOW + DAY
    ),
    "The new one does not sign and is acknowledged.": replace(TOLD, mode="several", acknowledged=NOW - DAY),
    "The new one signs, the vendor has it, and the old one is removed or not ours to remove.": replace(SIGNS, old=None),
    "The new one signs, the vendor has it, and the overlap is over.": replace(SIGNS, acknowledged=NOW - 14 * DAY),
    "The new one signs, the vendor has it, and the overlap runs.": SIGNS,
    "The new one does not sign, the old one ends within 14 days, and the owner was not warned.": replace(
        TOLD, old=replace(OLD, ends=NOW + 14 * DAY)
    ),
    "The new one does not sign, and the vendor keeps all from the metadata.": replace(TOLD, mode="metadata"),
    "The vendor has not acted, and the last mail is older than the interval of reminders.": replace(
        TOLD, remind_at=NOW
    ),
    "The vendor has not acted: the old certificate stays.": TOLD,
}


@pytest.mark.parametrize("row", ROLLOVER_TABLE, ids=[sentence for sentence, _, _ in ROLLOVER_TABLE])
def test_row_decides_its_case(row: tuple[str, object, RolloverStep]) -> None:
    """Every row of the table is reached by a case, and decides it."""
    sentence, condition, step = row
    assert next(found for found in ROLLOVER_TABLE if found[1](CASES[sentence]))[1] is condition
    assert next_rollover_step(CASES[sentence]) is step


def test_page_shows_the_table_of_the_code() -> None:
    """docs/credentials.md and the code say the same, row by row and in the same order."""
    page = Path("docs/credentials.md").read_text("utf-8").partition("## Signing certificates")[2]
    lines = page.partition("\n## ")[0].splitlines()
    shown = [line for line in lines if line.startswith("| ") and line.split(" | ")[0].endswith(".")]
    assert shown == [f"| {sentence} | {step.value} |" for sentence, _, step in ROLLOVER_TABLE]


def test_ended_certificate_gets_no_successor_before_somebody_is_ready() -> None:
    """Where the certificate in use has ended a new one would sign at once: the vendor is asked before it is added."""
    ended = replace(TOLD, old=replace(OLD, ends=NOW), new=None, told=False)
    assert next_rollover_step(ended) is RolloverStep.ANNOUNCE
    assert next_rollover_step(replace(ended, told=True)) is RolloverStep.WAIT_VENDOR
    assert next_rollover_step(replace(ended, told=True, pressed=True)) is RolloverStep.ADD


def test_what_has_ended_is_warned_of_no_more() -> None:
    """A warning is about what comes: of a certificate that has ended, reminders alone remain, and it wakes for them."""
    ended = replace(TOLD, old=replace(OLD, ends=NOW))
    assert next_rollover_step(ended) is RolloverStep.WAIT_VENDOR
    assert wake(ended) == ended.remind_at


def test_vendor_that_keeps_one_from_the_metadata_sees_no_second_before_it_is_ready() -> None:
    """Nothing is added for `metadata_single` until "activate now" is pressed; then all happens in one run."""
    waiting = replace(TOLD, mode="metadata_single", new=None)
    assert next_rollover_step(waiting) is RolloverStep.WAIT_VENDOR
    pressed = replace(waiting, pressed=True)
    assert next_rollover_step(pressed) is RolloverStep.ADD
    added = replace(pressed, new=NEW, told=False)
    assert next_rollover_step(added) is RolloverStep.ACTIVATE
    signs = replace(added, signs=True)
    assert next_rollover_step(signs) is RolloverStep.RETIRE
    assert next_rollover_step(replace(signs, old=None)) is RolloverStep.ANNOUNCE


instants = st.integers(min_value=-400, max_value=400).map(lambda days: NOW + days * DAY)
olds = st.builds(certificate, st.just("OLD"), st.just(NOW - 1000 * DAY), instants)
news = st.builds(certificate, st.just("NEW"), instants.filter(lambda starts: starts <= NOW), st.just(NOW + 999 * DAY))
rollovers = st.builds(
    Rollover,
    mode=st.sampled_from(["metadata", "metadata_single", "several", "single"]),
    old=st.none() | olds,
    removable=st.booleans(),
    new=st.none() | news,
    signs=st.booleans(),
    compromised=st.booleans(),
    told=st.booleans(),
    pressed=st.booleans(),
    remind_at=st.none() | instants,
    warned=st.booleans(),
    acknowledged=st.none() | instants.filter(lambda at: at <= NOW),
    poll=st.integers(min_value=1, max_value=48).map(lambda hours: timedelta(hours=hours)),
    overlap=st.integers(min_value=0, max_value=60).map(lambda days: days * DAY),
    now=st.just(NOW),
).map(lambda r: replace(r, signs=r.signs and r.new is not None, acknowledged=r.acknowledged if r.new else None))


@given(rollovers)
def test_old_certificate_is_removed_only_where_another_signs(rollover: Rollover) -> None:
    """Nothing is retired that signs or is not ours, nor, unless it is urgent, before the vendor has the new one."""
    if next_rollover_step(rollover) is RolloverStep.RETIRE:
        assert rollover.signs
        assert rollover.removable
        assert rollover.old is not None
        if not rollover.at_once:
            assert rollover.acknowledged or rollover.needs_nobody


@given(rollovers)
def test_new_certificate_signs_only_when_the_vendor_has_it(rollover: Rollover) -> None:
    """Activation follows an acknowledgement, a press, two readings of the metadata, or a compromise; nothing else."""
    if next_rollover_step(rollover) is RolloverStep.ACTIVATE:
        read_twice = rollover.needs_nobody and rollover.polled is not None and rollover.polled <= rollover.now
        assert rollover.at_once or rollover.acknowledged or read_twice


@given(rollovers)
def test_what_waits_wakes_in_time(rollover: Rollover) -> None:
    """A rollover that waits is looked at later, and until a second before that nothing is to be done."""
    if next_rollover_step(rollover) in WAITS:
        then = wake(rollover)
        assert then > rollover.now
        if then - timedelta(seconds=1) > rollover.now:
            earlier = replace(rollover, now=then - timedelta(seconds=1))
            assert next_rollover_step(earlier) in WAITS | {RolloverStep.ANNOUNCE}
