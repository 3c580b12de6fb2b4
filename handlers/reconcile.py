"""Reconcile: once a day the access that people hold is compared with the rules, and mended or told.

    timer reconcile      open the round -> message
    queue assignments    the round: read pages -> compare -> an operation for each application with something new
                         an application: read again -> brake -> batches -> tell whom it concerns -> what stays is told

The round mends nothing itself. An application's operation looks afresh whenever its message comes, so what it takes is
not wanted at that moment, however long a brake has held it. Where the rules or the directory say nothing, the round
fails with the reason and nothing is taken. The nightly summary tells of each operation once; what differs in the same
way the next night opens none.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from clients.ledger import new_operation_id
from clients.tenant import Tenant, comparing, people
from clients.tenant.accepting import open_once
from clients.tenant.carrying import Carrying
from sso import following
from sso.assignment import Batch
from sso.errors import NotReady, Reason, Refused
from sso.model import OperationId, Principal
from sso.operation import fail, listed, opened
from sso.reconcile import Comparison, Difference, Seen, compare, steps_of, why_not


async def begin(tenant: Tenant, now: datetime) -> bool:
    """Open a round, or wake the one that is under way; returns whether this opened it. Two timers at once open one."""
    last = await tenant.ledger.newest_of(None, "reconcile")
    if last and not last.finished:
        await tenant.queues.send(last.queue, last.id)
        return False
    opening = opened(new_operation_id(now), "reconcile", None, {}, now)
    _, began = await open_once(tenant, opening, "reconcile", last.id if last else "none")
    return began


async def run(tenant: Tenant, operation_id: OperationId, now: datetime) -> None:
    """Carry a round or an application's operation on; an unknown, finished or other one is none."""
    operation = await tenant.ledger.find_operation(operation_id)
    if operation and operation.kind == "reconcile" and not operation.finished:
        story = _Application(tenant, operation, now) if operation.key else _Round(tenant, operation, now)
        await story.through()


class _Reconciling(Carrying):
    """What both have in common: the summary tells of a failure once a night, so nobody is mailed of it beside."""

    async def fail(self, reasons: tuple[Reason, ...]) -> None:
        """End it where the operators must look."""
        await self.save(fail(self.operation, reasons, self.now))


class _Round(_Reconciling):
    """One look at everything."""

    async def follow(self) -> None:
        """Compare every application, note since when access is lost, and open what is to be mended or told."""
        tenant = self.tenant
        if tenant.settings.entitlements is None and not await self._asks_for_rules():
            await self.done("No rules are deployed, and no application's profile is authoritative.")
            return
        seen, rows = await comparing.look(tenant, self.now)
        if why := why_not(seen):
            raise Refused(Reason("entitlements", f"{why} Nothing was given or taken."))
        compared, losing = await asyncio.to_thread(compare, seen, self.now)
        await comparing.note_lost(tenant, losing, rows)
        differ = [str(one.application.key) for one in compared if await self._open(one)]
        which = f": {', '.join(differ)}" if differ else ""
        await self.done(f"Compared {len(compared)} applications; something new differs on {len(differ)}{which}.")

    async def _asks_for_rules(self) -> bool:
        return any(one.authoritative for one in (await people.offered(self.tenant)).values())

    async def _open(self, comparison: Comparison) -> bool:
        """Open an application's operation, once in a round; one that is under way looks again by itself."""
        key = comparison.application.key
        last = await self.tenant.ledger.newest_of(key, "reconcile")
        if last and not last.finished:
            return False
        told = str(last.request.get("told", "")) if last else ""
        if not comparison.grants and not comparison.removals and comparison.fingerprint == told:
            return False
        opening = opened(new_operation_id(self.now), "reconcile", key, {"told": ""}, self.now)
        await open_once(self.tenant, opening, "reconcile", self.operation.id, str(key))
        return True


class _Application(_Reconciling):
    """What differs on one application, mended where its profile is authoritative, told elsewhere."""

    async def follow(self) -> None:
        """Give and take what is missing and too much; then tell whom it concerns, and say what stays."""
        batches = await self.tenant.ledger.batches(self.operation.id)
        if any(batch.open for batch in batches):
            await self.send_open()
            return
        seen, _ = await comparing.look(self.tenant, self.now, self.operation.key)
        if why := why_not(seen):
            raise Refused(Reason("entitlements", f"{why} Nothing more was given or taken."))
        compared, _ = await asyncio.to_thread(compare, seen, self.now)
        if not compared:
            await self.done("The application is not there any more, or is offboarded.")
            return
        comparison = compared[0]
        left = comparison.without(batches)
        removals: tuple[Difference, ...] = left.removals
        stopped = None
        try:
            await self.brake_removals([left.change(one, "revoke") for one in left.removals])
        except NotReady as error:
            removals, stopped = (), error  # what is given is not held up
        if left.grants or removals:
            await self._mend(left, removals)
            return
        await self._tell(seen, comparison, batches)
        if stopped:
            raise stopped
        await self._end(comparison, batches)

    async def _mend(self, comparison: Comparison, removals: tuple[Difference, ...]) -> None:
        grants = comparison.grants  # go first: a role that changes is never held by neither name
        changes = [comparison.change(one, "grant") for one in grants]
        changes += [comparison.change(one, "revoke") for one in removals]
        await self.open_changes(changes, [*steps_of("assign", grants), *steps_of("revoke", removals)], urgent=False)

    async def _tell(self, seen: Seen, comparison: Comparison, batches: Sequence[Batch]) -> None:
        """Mail whom to add or to remove where a vendor's accounts do not follow by themselves, each person once."""
        application = comparison.application
        profile = self.tenant.catalog.find(application.key.vendor)
        if profile is None:
            return
        given, taken = (_changed(seen, batches, direction) for direction in ("grant", "revoke"))
        if profile.people.provisioning == "manual" and (new := self._untold("tell_joined", given)):
            await people.mail_joined(self.tenant, self.operation.id, application, profile, new)
            await self._note_told("tell_joined", f"Tell the owner of {application.key} whom to add there.", new)
        gone = [one for one in taken if one not in given]
        if profile.people.provisioning != "scim" and (new := self._untold("tell_left", gone)):
            whom = profile.handoff.contact or f"the owner of {application.key}"
            await people.mail_left(self.tenant, self.operation.id, application, profile, new)
            await self._note_told("tell_left", f"Ask {whom} to remove the accounts there.", new)

    def _untold(self, step: str, about: Sequence[Principal]) -> list[Principal]:
        return [one for one in about if one.object_id not in self.operation.request.get(step, ())]

    async def _note_told(self, step: str, sentence: str, about: Sequence[Principal]) -> None:
        request = self.operation.request
        ids = [*request.get(step, ()), *(one.object_id for one in about)]
        self.operation = replace(self.operation, request={**request, step: ids})
        await self.take(step, sentence, "1 person" if len(about) == 1 else f"{len(about)} people")

    async def _end(self, comparison: Comparison, batches: Sequence[Batch]) -> None:
        changes = [change for batch in batches for change in batch.changes]
        stuck = comparison.stuck(changes)
        done = [change.direction for change in changes if change.state == "done"]
        summed = {"given": done.count("grant"), "taken": done.count("revoke"), "differs": len(comparison.told)}
        request = {**self.operation.request, **summed, "told": comparison.fingerprint}
        self.operation = following.carried_out(replace(self.operation, request=request), stuck, self.now)
        told = [one.sentence for one in comparison.told]
        if stuck:
            refused = [f"{change.name} ({change.principal_id}): {change.reason}" for change in stuck]
            await self.fail(listed(tuple(Reason("assignments", detail) for detail in (*refused, *told))))
        else:
            await self.done(*told)


def _changed(seen: Seen, batches: Sequence[Batch], direction: str) -> list[Principal]:
    """The people whose access was changed so."""
    known = {one.principal.object_id: one.principal for one in seen.people}
    changes = [change for batch in batches for change in batch.changes if change.state == "done"]
    ids = dict.fromkeys(change.principal_id for change in changes if change.direction == direction)
    return [known[one] for one in ids if one in known]
