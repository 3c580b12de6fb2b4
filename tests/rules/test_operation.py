"""An operation's states, from acceptance to its end."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.assignment import Batch, Change, ChangeState
from sso.errors import Reason
from sso.model import NO_ROLE, ObjectId, OperationId, key_of
from sso.operation import Operation, State, fail, planned, settle, took, wait
from sso.steps import AddCertificate, GrantConsent, MailCode, MailHandoff

NOW = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=3)
UNTIL = NOW + timedelta(days=7)
FIRST = GrantConsent(sentence="Consent.", scopes=frozenset({"openid"}))
SECOND = MailHandoff(sentence="Mail the hand-off.")
THIRD = MailCode(sentence="Mail the code.")
OPERATION = Operation(
    id=OperationId("8211000000000-00000000"),
    kind="onboarding",
    key=key_of("smarttrace", "default"),
    request={},
    state="accepted",
    created=NOW,
    changed=NOW,
    not_before=NOW,
)
STATES: tuple[State, ...] = ("accepted", "running", "waiting", "done", "failed")


def batch(*states: ChangeState) -> Batch:
    """A batch whose changes came this far."""
    application = ObjectId("service principal")
    people = enumerate(states)
    changes = (
        Change(ObjectId(f"person {n}"), "user", f"Person {n}", application, NO_ROLE, state=s, reason="no such role")
        for n, s in people
    )
    return Batch(1, tuple(changes), NOW)


@dataclass(frozen=True)
class Case:
    """How far an onboarding's parts are, and where it stands."""

    batches: tuple[Batch, ...]
    acknowledged: bool
    state: State
    waits_for: str | None = None
    reasons: int = 0


SETTLED: Mapping[str, Case] = {
    "a grant is open: it runs": Case((batch("done", "queued"),), False, "running"),
    "a grant is open though the vendor has acknowledged: it runs": Case((batch("queued"),), True, "running"),
    "one batch of two is open: it runs": Case((batch("done"), batch("queued")), True, "running"),
    "everybody is assigned: it waits for the vendor": Case((batch("done"),), False, "waiting", "acknowledgement"),
    "nobody was to be assigned: it waits for the vendor": Case((), False, "waiting", "acknowledgement"),
    "somebody was refused: it waits for the vendor and says who": Case(
        (batch("done", "refused"),), False, "waiting", "acknowledgement", 1
    ),
    "everybody is assigned and the vendor has acknowledged: it is done": Case((batch("done"),), True, "done"),
    "somebody was refused and the vendor has acknowledged: it is done and says who": Case(
        (batch("refused"), batch("refused")), True, "done", None, 2
    ),
}


@pytest.mark.parametrize("case", SETTLED.values(), ids=list(SETTLED))
def test_settling(case: Case) -> None:
    """After its own run an onboarding stands where its batches and the acknowledgement have brought it."""
    running = replace(OPERATION, state="running", handed_off=True)
    settled = settle(running, case.batches, acknowledged=case.acknowledged, whom="the owner", until=UNTIL, now=LATER)
    assert settled.state == case.state
    assert (settled.waiting_for.what if settled.waiting_for else None) == case.waits_for
    assert len(settled.reasons) == case.reasons


@given(st.sampled_from(["done", "failed"]), st.booleans())
def test_finished_operation_is_settled_no_more(state: State, acknowledged: bool) -> None:
    """What is done or failed stays as it is, whatever comes late."""
    ended = replace(OPERATION, state=state, handed_off=True)
    assert settle(ended, (batch("queued"),), acknowledged=acknowledged, whom="x", until=UNTIL, now=LATER) == ended


def test_operation_settles_only_after_its_own_run() -> None:
    """Assignments that are through do not end an onboarding whose hand-off is not sent."""
    running = replace(OPERATION, state="running")
    assert settle(running, (batch("done"),), acknowledged=True, whom="x", until=UNTIL, now=LATER) == running


def test_settling_twice_changes_nothing() -> None:
    """A second settling of the same facts gives the same operation, with the same beginning of the wait."""
    handed_off = replace(OPERATION, state="running", handed_off=True)
    once = settle(handed_off, (), acknowledged=False, whom="the owner", until=UNTIL, now=NOW)
    twice = settle(once, (), acknowledged=False, whom="the owner", until=UNTIL, now=LATER)
    assert once.waiting_for == twice.waiting_for
    assert once.waiting_for is not None
    assert once.waiting_for.since == NOW


def test_wait_for_the_same_keeps_its_beginning() -> None:
    """`since` tells when this wait began, and begins anew when something else is waited for."""
    first = wait(OPERATION, "replication", "the tenant", NOW, UNTIL)
    again = wait(first, "replication", "the tenant", LATER, UNTIL)
    other = wait(again, "throttling", "the tenant", LATER, UNTIL)
    assert first.waiting_for is not None
    assert again.waiting_for is not None
    assert other.waiting_for is not None
    assert (first.waiting_for.since, again.waiting_for.since, other.waiting_for.since) == (NOW, NOW, LATER)
    assert again.not_before == UNTIL


def test_failure_marks_the_step_it_stopped_at() -> None:
    """The first planned step is the failed one, what was done stays done, and the reasons are kept."""
    planned_three = planned(OPERATION, (FIRST, SECOND, THIRD), NOW)
    after_one = planned(took(planned_three, FIRST, NOW), (SECOND, THIRD), NOW)
    failed = fail(after_one, (Reason("tenant", "The tenant said no."),), LATER)
    assert [record.state for record in failed.steps] == ["done", "failed", "planned"]
    assert failed.state == "failed"
    assert failed.finished
    assert failed.waiting_for is None
    assert failed.reasons == (Reason("tenant", "The tenant said no."),)


def test_steps_that_were_done_stay_whatever_is_planned_next() -> None:
    """A new plan replaces what was planned and never what was done."""
    done = took(planned(OPERATION, (FIRST, SECOND), NOW), FIRST, NOW)
    other = AddCertificate(sentence="Add.", subject="CN=x", ends=UNTIL)
    again = planned(done, (other,), LATER)
    assert [(record.step, record.state) for record in again.steps] == [
        ("grant_consent", "done"),
        ("add_certificate", "planned"),
    ]


@pytest.mark.parametrize("state", STATES)
def test_only_done_and_failed_are_an_end(state: State) -> None:
    """Everything else is taken up again by the sweep."""
    assert replace(OPERATION, state=state).finished == (state in {"done", "failed"})
