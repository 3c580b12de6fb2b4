"""Following an event: what an operation's own changes have left of a person's access, and what it cannot change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sso.assignment import Batch, Change, Place
from sso.decision import Held, Offered
from sso.model import Key
from sso.operation import DIRECTIONS, Operation


def brake_name(change: Change) -> str:
    """What the brake of removals counts a change as."""
    return f"{change.principal_id}:{change.service_principal_id}:{change.role_id}"


def refused(batches: Iterable[Batch]) -> Mapping[Place, Change]:
    """The changes that were refused, by what they are about: nothing is gained by trying them again unasked."""
    return {c.place: c for batch in batches for c in batch.changes if c.state == "refused"}


def made(batches: Iterable[Batch], offered: Mapping[Key, Offered]) -> tuple[list[Key], list[Key]]:
    """The applications to which access was given, and those of which it was taken and not given again."""
    keys = {one.service_principal_id: one.key for one in offered.values()}
    done = [c for batch in batches for c in batch.changes if c.state == "done" and c.service_principal_id in keys]
    given = list(dict.fromkeys(keys[c.service_principal_id] for c in done if c.direction == "grant"))
    taken = dict.fromkeys(keys[c.service_principal_id] for c in done if c.direction == "revoke")
    return given, [key for key in taken if key not in given]


def with_own(held: Iterable[Held], batches: Sequence[Batch], offered: Mapping[Key, Offered]) -> tuple[Held, ...]:
    """What is held, as an operation's own changes left it: replicas may not show them yet."""
    keys = {one.service_principal_id: one.key for one in offered.values()}
    found = {(one.key, one.role_id): one for one in held}
    for change in (change for batch in batches for change in batch.changes if change.state == "done"):
        key = keys.get(change.service_principal_id)
        if key is None or change.role_id is None:
            continue
        if change.direction == "grant":
            found.setdefault((key, change.role_id), Held(key, change.role_id, ""))
        else:
            found.pop((key, change.role_id), None)
    return tuple(found.values())


def carried_out(operation: Operation, stuck: Iterable[Change], now: datetime) -> Operation:
    """The operation once its batches are through: steps of a direction in which something is stuck have failed."""
    failed = {change.direction for change in stuck}
    steps = tuple(
        replace(step, state="failed" if DIRECTIONS[step.step] in failed else "done", at=now)
        if step.state == "planned" and step.step in DIRECTIONS
        else step
        for step in operation.steps
    )
    return replace(operation, steps=steps)
