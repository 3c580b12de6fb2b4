"""HR events: what was said of a person becomes access that is given or taken, and for a leaver the account's end.

    record the fact -> the newest that is in force -> rules against what is held -> batches -> tell -> account -> done

An operation ends only when its person's access is what the fact in force asks for, whosever event that fact came with:
so two events at once end as the newer one says, and a run that died is simply continued.
"""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from clients.ledger import Changed, PersonRow
from clients.tenant import Tenant, people
from clients.tenant.braking import pass_brake
from clients.tenant.people import Known, Through
from sso import following
from sso.assignment import OVERDUE, Batch, Change, grant, revoke
from sso.decision import AccessChange, Decision, Offered, decide, still_losing
from sso.entitlements import Entitlements, Leaver, entitled
from sso.errors import GatehouseError, NotReady, Reason, Refused, TenantError
from sso.hr import Fact, fact_from_json
from sso.letters import compose_operation_failed
from sso.model import AppRoleId, Key, OperationId, key_from_row
from sso.operation import REPLICATION_LIMIT, Operation, StepRecord, What, fail, wait
from vendors.profile import Profile

_log = logging.getLogger(__name__)

LOOK_AGAIN = timedelta(hours=1)  # for an account to be made or disabled, or a permission to be granted, by people
PATIENCE = timedelta(days=30)  # after a joiner's first day, for the account to be made


@dataclass(frozen=True)
class Standing:
    """One person at this moment: what counts, what is there, and what must change."""

    known: Known
    fact: Fact  # in force, whosever event it came with
    ours: bool  # it came with this operation's event
    leaver: Leaver
    there: dict[Key, Offered]
    batches: tuple[Batch, ...]
    decision: Decision
    through: tuple[Through, ...]


async def run(tenant: Tenant, operation_id: OperationId, now: datetime) -> None:
    """Carry an operation on until it waits for something, is done or has failed; an unknown or finished one is none."""
    operation = await tenant.ledger.find_operation(operation_id)
    if operation and operation.kind == "hr_event" and not operation.finished:
        await _Run(tenant, operation, now).through()


class _Run:
    """One run of one event."""

    def __init__(self, tenant: Tenant, operation: Operation, now: datetime) -> None:
        self.tenant = tenant
        self.operation = operation
        self.now = now

    async def through(self) -> None:
        """Follow the event; whatever stops it becomes the operation's state."""
        with contextlib.suppress(Changed):  # another delivery of the same message is at it
            await self._through()

    async def _through(self) -> None:
        try:
            await self._follow()
        except NotReady as error:
            await self._not_ready(error)
        except TenantError as error:
            if error.missing is None:
                await self._fail(error.reasons)
            else:
                until = self.now + LOOK_AGAIN
                await self._save(replace(self._waiting("permission", "the operators", until), reasons=error.reasons))
        except Refused as error:
            await self._fail(error.reasons)

    async def _follow(self) -> None:
        tenant, operation = self.tenant, self.operation
        if not operation.request:
            raise Refused(*(operation.reasons or (Reason("event", "The event could not be read; send it anew."),)))
        batches = await tenant.ledger.batches(operation.id)
        if any(batch.open for batch in batches):
            last = await tenant.send_batches(operation.id, self.now, overdue=OVERDUE * tenant.settings.wait_scale)
            await self._save(replace(operation, state="running", waiting_for=None, not_before=last))
            return
        fact = fact_from_json(operation.request)
        known = await people.find_person(tenant, fact.subject)
        row = await people.record(tenant, fact, known)
        if known is None:
            await self._nobody(fact)
            return
        if known.principal.object_id in await people.excluded(tenant):
            await self._done("The person is in GATEHOUSE_EXCLUDED_GROUP: nothing is changed.")
            return
        state, current = row.timeline.standing(fact, self.now), row.timeline.at(self.now)
        if current is None or (state == "planned" and not batches):
            await self._save(self._waiting("time", f"the days until {fact.effective:%Y-%m-%d}", fact.effective))
        elif state == "superseded" and not batches:
            await self._done(f"Something newer is known of this person ({current.kind}), which counts.")
        else:
            await self._act(await self._standing(known, row, current, batches, ours=state == "in force"))

    async def _standing(
        self, known: Known, row: PersonRow, fact: Fact, batches: tuple[Batch, ...], *, ours: bool
    ) -> Standing:
        """Look at everything, decide, and note which graces run."""
        tenant, somebody = self.tenant, known.principal.object_id
        leaves = fact.kind == "leaver"
        if leaves and tenant.settings.entitlements is None:
            rules = Entitlements.model_construct(rules=())  # whoever leaves loses access with or without rules
        else:
            rules = await people.entitlements(tenant)
        there = await people.offered(tenant)
        held = following.with_own(await people.held_by(tenant, somebody, there), batches, there)
        groups = {} if leaves else await people.groups_of_rules(tenant, rules)
        wanted = () if leaves else entitled(people.person(known, groups, fact.attributes), rules)
        losing = {(key_from_row(key), AppRoleId(role)): since for key, role, since in row.losing}
        decision = decide(fact.kind, wanted, held, there, rules, since=fact.effective, now=self.now, losing=losing)
        kept = still_losing(decision, losing, fact.effective)
        if kept != losing:
            rows = tuple((key.row, str(role), since) for (key, role), since in sorted(kept.items()))
            await tenant.ledger.put_person(replace(row, losing=rows))
        through = await people.through_groups(tenant, somebody, there) if leaves else ()
        return Standing(known, fact, ours, rules.leaver, there, batches, decision, through)

    async def _act(self, standing: Standing) -> None:
        """Change what must change; once nothing must, tell whom it concerns and end the account of a leaver."""
        if standing.fact.kind == "leaver":
            await self._brake_leaver(standing.known)
        refused = following.refused(standing.batches)
        grants = [(one, self._change(standing, one, "grant")) for one in standing.decision.grants]
        removals = [(one, self._change(standing, one, "revoke")) for one in standing.decision.removals]
        places = {following.place_of(change) for _, change in (*grants, *removals)}
        stuck = [change for place, change in refused.items() if place in places]
        grants = [pair for pair in grants if following.place_of(pair[1]) not in refused]
        removals = [pair for pair in removals if following.place_of(pair[1]) not in refused]
        if removals and standing.fact.kind != "leaver":
            try:
                await self._brake_removals(standing, [change for _, change in removals])
            except NotReady:
                if not grants:
                    raise
                removals = []  # what is given is not held up; the next round stops here
        if grants or removals:
            await self._open(standing, [*grants, *removals])
            return
        self.operation = following.carried_out(self.operation, stuck, self.now)
        if standing.ours:
            await self._tell(standing)
            if standing.fact.kind == "leaver" and not await self._end_account(standing):
                return
        await self._end(standing, stuck)

    def _change(self, standing: Standing, one: AccessChange, direction: str) -> Change:
        make = grant if direction == "grant" else revoke
        return make(standing.known.principal, standing.there[one.key].service_principal_id, one.role_id)

    async def _open(self, standing: Standing, changes: Sequence[tuple[AccessChange, Change]]) -> None:
        name = standing.known.principal.name
        steps = [
            StepRecord("assign" if change.direction == "grant" else "revoke", one.sentence, name, "planned")
            for one, change in changes
        ]
        done = tuple(step for step in self.operation.steps if step.state == "done" or step.step == "follow_event")
        running = replace(self.operation, state="running", waiting_for=None, reasons=(), steps=(*done, *steps))
        await self._save(replace(running, not_before=self.now))
        urgent = standing.fact.kind == "leaver"
        wanted = [change for _, change in changes]
        await people.open_changes(self.tenant, self.operation.id, wanted, self.now, urgent=urgent)

    # The brake

    async def _brake_leaver(self, known: Known) -> None:
        async def total() -> int:
            return len(await people.everybody(self.tenant))

        await pass_brake(self.tenant, "leaver", known.principal.object_id, self.operation.id, self.now, total)

    async def _brake_removals(self, standing: Standing, changes: Sequence[Change]) -> None:
        async def total() -> int:
            return sum(map(len, (await people.held_by_all(self.tenant, standing.there)).values()))

        for change in changes:
            name = f"{change.principal_id}:{change.service_principal_id}:{change.role_id}"
            await pass_brake(self.tenant, "removal", name, self.operation.id, self.now, total)

    # Whom it concerns

    async def _tell(self, standing: Standing) -> None:
        """Mail, once each, whom to add or to remove where a vendor's accounts do not follow by themselves."""
        tenant, somebody = self.tenant, standing.known.principal
        given, taken = following.made(standing.batches, standing.there)
        for key in given:
            profile, sentence = self._profile(key), f"Tell the owner of {key} whom to add there."
            if profile and profile.people.provisioning == "manual" and not self._has_taken("tell_joined", sentence):
                await people.mail_joined(tenant, self.operation.id, standing.there[key], profile, somebody)
                await self._take("tell_joined", sentence, somebody.name)
        for key in dict.fromkeys((*taken, *(access.key for access in standing.through))):
            profile = self._profile(key)
            whom = (profile.handoff.contact if profile else None) or f"the owner of {key}"
            sentence = f"Ask {whom} to remove the account there."
            if profile and profile.people.provisioning != "scim" and not self._has_taken("tell_left", sentence):
                await people.mail_left(tenant, self.operation.id, standing.there[key], profile, somebody)
                await self._take("tell_left", sentence, somebody.name)

    def _profile(self, key: Key) -> Profile | None:
        """The vendor's profile; None where it was taken out or is broken, which keeps nobody's access."""
        try:
            return self.tenant.catalog.load(key.vendor)
        except (LookupError, ValueError):
            return None

    # The account

    async def _end_account(self, standing: Standing) -> bool:
        """Disable the account where the rules say so, end its sessions; False while somebody else must disable it."""
        person = standing.known.principal
        if not self._has_taken("revoke_sessions"):
            await self.tenant.reserve(2, self.now, urgent=True)
        if person.enabled and standing.leaver.disable_account and not self._has_taken("disable_account"):
            await self.tenant.graph.disable_account(person.object_id)
            await self._take("disable_account", "Disable the account.", person.name)
        if not self._has_taken("revoke_sessions"):
            await self.tenant.graph.revoke_sessions(person.object_id)
            await self._take("revoke_sessions", "End the sessions that Entra has given.", person.name)
        if not person.enabled or self._has_taken("disable_account"):
            return True
        whom = f"an administrator, to disable the account of {person.name}"
        await self._save(replace(self._waiting("account", whom, self.now + LOOK_AGAIN), reasons=_reasons(standing)))
        return False

    async def _nobody(self, fact: Fact) -> None:
        """Wait for the account of somebody who joins; who leaves without one has nothing to lose."""
        if fact.kind == "leaver":
            await self._done("The directory knows nobody of this name: there is nothing to take away.")
        elif self.now > fact.effective + PATIENCE:
            detail = (
                f"The directory knows nobody of this name {PATIENCE.days} days after the event's day. Correct the name."
            )
            await self._fail((Reason("subject", detail),))
        else:
            whom = "whoever makes the person's account in the directory"
            await self._save(self._waiting("account", whom, self.now + LOOK_AGAIN))

    # How a run ends

    async def _end(self, standing: Standing, stuck: Sequence[Change]) -> None:
        reasons = _reasons(standing)
        if stuck:
            told = (f"{change.name} ({change.principal_id}): {change.reason}" for change in stuck)
            await self._fail((*(Reason("assignments", detail) for detail in told), *reasons))
        elif standing.ours and standing.decision.next_time:
            waiting = self._waiting("time", "a grace", standing.decision.next_time)
            await self._save(replace(waiting, reasons=reasons))
        else:
            await self._done(*(reason.detail for reason in reasons))

    async def _done(self, *notes: str) -> None:
        steps = tuple(
            replace(step, state="done", at=self.now) if step.state == "planned" else step
            for step in self.operation.steps
        )
        reasons = tuple(Reason("access", note) for note in notes)
        await self._save(replace(self.operation, state="done", waiting_for=None, reasons=reasons, steps=steps))

    async def _fail(self, reasons: tuple[Reason, ...]) -> None:
        await self._save(fail(self.operation, reasons, self.now))
        letter = compose_operation_failed(
            None,
            None,
            organisation=self.tenant.organisation,
            owner=None,
            operation=self.operation.id,
            kind=self.operation.kind,
            reasons=reasons,
        )
        try:
            await self.tenant.mail(letter)
        except GatehouseError as error:
            _log.warning("The operators could not be told of operation %s: %s", self.operation.id, error)

    async def _not_ready(self, error: NotReady) -> None:
        before, scale = self.operation.waiting_for, self.tenant.settings.wait_scale
        lasts = before is not None and before.what == error.waiting_for == "replication"
        if lasts and before and self.now - before.since > REPLICATION_LIMIT * scale:
            await self._fail(error.reasons)
            return
        delay = error.retry_after * scale
        whom = "the operators" if error.waiting_for == "release" else "the tenant"
        waiting = self._waiting(error.waiting_for, whom, self.now + timedelta(seconds=delay))
        await self._save(replace(waiting, reasons=error.reasons if error.waiting_for == "release" else ()))
        await self.tenant.queues.send(self.operation.queue, self.operation.id, delay=delay)

    def _waiting(self, what: What, whom: str, until: datetime) -> Operation:
        return wait(self.operation, what, whom, self.now, until)

    def _has_taken(self, step: str, sentence: str | None = None) -> bool:
        return any(
            one.step == step and one.state == "done" and sentence in (None, one.sentence)
            for one in self.operation.steps
        )

    async def _take(self, step: str, sentence: str, affects: str) -> None:
        """Note a step that was taken: cut before this, it is taken once more."""
        record = StepRecord(step, sentence, affects, "done", self.now)
        await self._save(replace(self.operation, steps=(*self.operation.steps, record), changed=self.now))

    async def _save(self, operation: Operation) -> None:
        """Write the operation; raises `Changed` where another delivery was faster."""
        self.operation = await self.tenant.ledger.replace_operation(replace(operation, changed=self.now))


def _reasons(standing: Standing) -> tuple[Reason, ...]:
    """What stays as it is, said to whoever reads the operation."""
    through = (
        f"Has {standing.there[access.key].label(access.role_id)} through group '{access.group}': it ends with the"
        " membership or the account."
        for access in standing.through
    )
    return tuple(Reason("access", note) for note in (*standing.decision.notes, *through))
