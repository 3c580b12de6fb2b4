"""An operation: one accepted request, from acceptance to its end, as the ledger keeps it and people read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sso.assignment import Batch, Direction, refusals, remarks
from sso.errors import Reason
from sso.model import Key, OperationId
from sso.request import Onboarding, to_json
from sso.steps import Step

Kind = Literal["onboarding", "assignment", "rotation", "offboarding", "hr_event", "reconcile"]
State = Literal["accepted", "running", "waiting", "done", "failed"]
What = Literal[
    "replication",
    "throttling",
    "permission",
    "consent",
    "parameters",
    "acknowledgement",
    "time",
    "release",
    "account",
]
QueueName = Literal["onboardings", "assignments", "rotations", "hr-events"]
UNFINISHED: frozenset[State] = frozenset({"accepted", "running", "waiting"})
REPLICATION_LIMIT = timedelta(minutes=30)  # in all, through the queue; then an operator must look
IDEMPOTENCY = timedelta(hours=24)
# What an acknowledgement or a last batch means to these they decide by themselves, when their message comes.
DECIDE_THEMSELVES: frozenset[Kind] = frozenset({"rotation", "hr_event", "reconcile"})
MOST_REASONS = 500  # in one operation, so that its row holds them
# The steps of an assignment, by what its batches do.
DIRECTIONS: Mapping[str, Direction] = {"assign": "grant", "revoke": "revoke"}


@dataclass(frozen=True)
class StepRecord:
    """A step as the operation shows it."""

    step: str
    sentence: str
    affects: str
    state: Literal["planned", "done", "failed"]
    at: datetime | None = None


@dataclass(frozen=True)
class Waiting:
    """What an unfinished operation waits for, of whom, and since when."""

    what: What
    whom: str
    since: datetime


@dataclass(frozen=True)
class Operation:
    """One accepted request and how far it has come; `request` is its JSON, without any secret."""

    id: OperationId
    kind: Kind
    key: Key | None
    request: Mapping[str, Any]
    state: State
    created: datetime
    changed: datetime
    not_before: datetime  # the sweep takes it up when this has passed
    ticket: str | None = None
    requested_by: str | None = None
    caller: str | None = None
    steps: tuple[StepRecord, ...] = ()
    waiting_for: Waiting | None = None
    reasons: tuple[Reason, ...] = ()
    handed_off: bool = False
    to_tell: bool = False  # failed, and the mail that says so is not known to be sent
    etag: str | None = field(default=None, compare=False)

    @property
    def queue(self) -> QueueName:
        """The queue whose messages carry this operation on."""
        match self.kind:
            case "rotation":
                return "rotations"
            case "assignment" | "reconcile":
                return "assignments"
            case "hr_event":
                return "hr-events"
            case _:
                return "onboardings"

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.state not in UNFINISHED


def accepted(
    operation: OperationId,
    kind: Kind,
    request: Onboarding,
    steps: tuple[Step, ...],
    now: datetime,
    *,
    caller: str | None = None,
) -> Operation:
    """A request as the operation that will carry it out, with the steps that are planned now."""
    begun = opened(operation, kind, request.key, to_json(request), now, caller=caller)
    return planned(replace(begun, ticket=request.ticket, requested_by=request.requested_by), steps, now)


def opened(
    operation: OperationId,
    kind: Kind,
    key: Key | None,
    request: Mapping[str, Any],
    now: datetime,
    *,
    caller: str | None = None,
) -> Operation:
    """Any request as an operation that nothing has been done for."""
    return Operation(
        id=operation,
        kind=kind,
        key=key,
        request=request,
        state="accepted",
        created=now,
        changed=now,
        not_before=now,
        caller=caller,
    )


def planned(operation: Operation, steps: tuple[Step, ...], now: datetime) -> Operation:
    """The operation with what was done and what is planned now."""
    done = tuple(record for record in operation.steps if record.state == "done")
    rest = tuple(StepRecord(step.name, step.sentence, step.affects, "planned") for step in steps)
    return replace(operation, steps=done + rest, changed=now)


def took(operation: Operation, step: Step, now: datetime) -> Operation:
    """The operation after one step was applied; what else is planned stays so."""
    done = tuple(record for record in operation.steps if record.state == "done")
    rest = tuple(record for record in operation.steps if record.state == "planned" and record.step != step.name)
    record = StepRecord(step.name, step.sentence, step.affects, "done", now)
    return replace(operation, steps=(*done, record, *rest), changed=now)


def replayed(operation: Operation) -> tuple[StepRecord, ...]:
    """The steps of an operation that is run again: what was done; of an assignment, which plans once, the rest too."""
    if operation.kind == "assignment":
        return tuple(replace(s, state="planned", at=None) if s.state == "failed" else s for s in operation.steps)
    return tuple(step for step in operation.steps if step.state == "done")


def wait(operation: Operation, what: What, whom: str, now: datetime, until: datetime) -> Operation:
    """The operation waiting; `since` stays where it waits for the same already."""
    before = operation.waiting_for
    since = before.since if before and before.what == what else now
    return replace(
        operation, state="waiting", waiting_for=Waiting(what, whom, since), not_before=until, changed=now, reasons=()
    )


def fail(operation: Operation, reasons: tuple[Reason, ...], now: datetime, *, tells: bool = False) -> Operation:
    """The operation at an end that somebody must look at; `tells` where that is mailed beside the nightly summary."""
    steps = list(operation.steps)
    for number, record in enumerate(steps):
        if record.state == "planned":
            steps[number] = replace(record, state="failed", at=now)
            break
    failed = replace(operation, state="failed", reasons=reasons, waiting_for=None, changed=now, steps=tuple(steps))
    return replace(failed, to_tell=tells)


def settle(
    operation: Operation, batches: tuple[Batch, ...], *, acknowledged: bool, whom: str, until: datetime, now: datetime
) -> Operation:
    """Where an operation stands once its own run is through.

    It runs until every change of its batches is recorded as made or refused. An assignment has then ended; an
    onboarding waits for the acknowledgement of what was handed off, then is done.
    """
    if operation.finished or not operation.handed_off:
        return operation
    if any(batch.open for batch in batches):
        return replace(operation, state="running", waiting_for=None, changed=now)
    if operation.kind == "assignment":
        return _carried_out(operation, batches, now)
    if acknowledged:
        return replace(operation, state="done", waiting_for=None, changed=now, reasons=refusals(batches))
    return replace(wait(operation, "acknowledgement", whom, now, until), reasons=refusals(batches))


def _carried_out(operation: Operation, batches: tuple[Batch, ...], now: datetime) -> Operation:
    """The end of an assignment: failed where anything was refused, so that it is seen and can be replayed."""
    refused = {change.direction for batch in batches for change in batch.changes if change.state == "refused"}
    steps = tuple(
        replace(step, state="failed" if DIRECTIONS.get(step.step) in refused else "done", at=now)
        if step.state == "planned"
        else step
        for step in operation.steps
    )
    reasons = listed((*refusals(batches), *remarks(batches)))
    state: State = "failed" if refused else "done"
    return replace(operation, state=state, waiting_for=None, changed=now, steps=steps, reasons=reasons)


def listed(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """As many reasons as an operation's row holds, and how many more there are."""
    if len(reasons) <= MOST_REASONS:
        return reasons
    rest = Reason("assignments", f"{len(reasons) - MOST_REASONS} more of the kind are not listed.")
    return (*reasons[:MOST_REASONS], rest)
