"""HR events: what was said of a person becomes access that is given or taken, and for a leaver the account's end.

    record the fact -> the newest that is in force -> rules against what is held -> batches -> tell -> account -> done

An operation ends only when its person's access is what the fact in force asks for, whosever event that fact came with:
so two events at once end as the newer one says, and a run that died is simply continued.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from clients.ledger import PersonRow
from clients.tenant import Tenant, people
from clients.tenant.braking import pass_brake
from clients.tenant.carrying import LOOK_AGAIN, Carrying
from clients.tenant.people import Known, Through
from sso import following
from sso.assignment import Batch, Change, grant, revoke
from sso.decision import AccessChange, Decision, Offered, decide, still_losing
from sso.entitlements import Entitlements, Leaver, entitled
from sso.errors import NotReady, Reason, Refused
from sso.hr import Fact, fact_from_json
from sso.model import Key, OperationId
from sso.operation import StepRecord

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


class _Run(Carrying):
    """One run of one event."""

    async def follow(self) -> None:
        """Find what counts, look at everything, and act."""
        tenant, operation = self.tenant, self.operation
        if not operation.request:
            raise Refused(*(operation.reasons or (Reason("event", "The event could not be read; send it anew."),)))
        batches = await tenant.ledger.batches(operation.id)
        if any(batch.open for batch in batches):
            await self.send_open()
            return
        fact = fact_from_json(operation.request)
        known = await people.find_person(tenant, fact.subject)
        row = await people.record(tenant, fact, known)
        if known is None:
            await self._nobody(fact)
            return
        if known.principal.object_id in await people.excluded(tenant):
            await self.done("The person is in GATEHOUSE_EXCLUDED_GROUP: nothing is changed.")
            return
        state, current = row.timeline.standing(fact, self.now), row.timeline.at(self.now)
        if current is None or (state == "planned" and not batches):
            await self.save(self.waiting("time", f"the days until {fact.effective:%Y-%m-%d}", fact.effective))
        elif state == "superseded" and not batches:
            await self.done(f"Something newer is known of this person ({current.kind}), which counts.")
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
        losing = row.lost
        decision = decide(fact.kind, wanted, held, there, rules, since=fact.effective, now=self.now, losing=losing)
        kept = still_losing(decision, losing, fact.effective)
        if kept != losing:
            await tenant.ledger.put_person(row.with_lost(kept))
        through = await people.through_groups(tenant, somebody, there) if leaves else ()
        return Standing(known, fact, ours, rules.leaver, there, batches, decision, through)

    async def _act(self, standing: Standing) -> None:
        """Change what must change; once nothing must, tell whom it concerns and end the account of a leaver."""
        if standing.fact.kind == "leaver":
            await self._brake_leaver(standing.known)
        refused = following.refused(standing.batches)
        grants = [(one, self._change(standing, one, "grant")) for one in standing.decision.grants]
        removals = [(one, self._change(standing, one, "revoke")) for one in standing.decision.removals]
        places = {change.place for _, change in (*grants, *removals)}
        stuck = [change for place, change in refused.items() if place in places]
        grants = [pair for pair in grants if pair[1].place not in refused]
        removals = [pair for pair in removals if pair[1].place not in refused]
        if removals and standing.fact.kind != "leaver":
            try:
                await self.brake_removals([change for _, change in removals])
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
        await self.open_changes([change for _, change in changes], steps, urgent=standing.fact.kind == "leaver")

    # The brake

    async def _brake_leaver(self, known: Known) -> None:
        async def total() -> int:
            return len(await people.everybody(self.tenant))

        names = frozenset({str(known.principal.object_id)})
        await pass_brake(self.tenant, "leaver", names, self.operation.id, self.now, total)

    # Whom it concerns

    async def _tell(self, standing: Standing) -> None:
        """Mail, once each, whom to add or to remove where a vendor's accounts do not follow by themselves."""
        tenant, somebody = self.tenant, standing.known.principal
        given, taken = following.made(standing.batches, standing.there)
        for key in given:
            profile, sentence = tenant.catalog.find(key.vendor), f"Tell the owner of {key} whom to add there."
            if profile and profile.people.provisioning == "manual" and not self.has_taken("tell_joined", sentence):
                await people.mail_joined(tenant, self.operation.id, standing.there[key], profile, [somebody])
                await self.take("tell_joined", sentence, somebody.name)
        for key in dict.fromkeys((*taken, *(access.key for access in standing.through))):
            profile = tenant.catalog.find(key.vendor)
            whom = (profile.handoff.contact if profile else None) or f"the owner of {key}"
            sentence = f"Ask {whom} to remove the account there."
            if profile and profile.people.provisioning != "scim" and not self.has_taken("tell_left", sentence):
                await people.mail_left(tenant, self.operation.id, standing.there[key], profile, [somebody])
                await self.take("tell_left", sentence, somebody.name)

    # The account

    async def _end_account(self, standing: Standing) -> bool:
        """Disable the account where the rules say so, end its sessions; False while somebody else must disable it."""
        person = standing.known.principal
        if not self.has_taken("revoke_sessions"):
            await self.tenant.reserve(2, self.now, urgent=True)
        if person.enabled and standing.leaver.disable_account and not self.has_taken("disable_account"):
            await self.tenant.graph.disable_account(person.object_id)
            await self.take("disable_account", "Disable the account.", person.name)
        if not self.has_taken("revoke_sessions"):
            await self.tenant.graph.revoke_sessions(person.object_id)
            await self.take("revoke_sessions", "End the sessions that Entra has given.", person.name)
        if not person.enabled or self.has_taken("disable_account"):
            return True
        whom = f"an administrator, to disable the account of {person.name}"
        await self.save(replace(self.waiting("account", whom, self.now + LOOK_AGAIN), reasons=_reasons(standing)))
        return False

    async def _nobody(self, fact: Fact) -> None:
        """Wait for the account of somebody who joins; who leaves without one has nothing to lose."""
        if fact.kind == "leaver":
            await self.done("The directory knows nobody of this name: there is nothing to take away.")
        elif self.now > fact.effective + PATIENCE:
            detail = (
                f"The directory knows nobody of this name {PATIENCE.days} days after the event's day. Correct the name."
            )
            await self.fail((Reason("subject", detail),))
        else:
            whom = "whoever makes the person's account in the directory"
            await self.save(self.waiting("account", whom, self.now + LOOK_AGAIN))

    # How a run ends

    async def _end(self, standing: Standing, stuck: Sequence[Change]) -> None:
        reasons = _reasons(standing)
        if stuck:
            told = (f"{change.name} ({change.principal_id}): {change.reason}" for change in stuck)
            await self.fail((*(Reason("assignments", detail) for detail in told), *reasons))
        elif standing.ours and standing.decision.next_time:
            waiting = self.waiting("time", "a grace", standing.decision.next_time)
            await self.save(replace(waiting, reasons=reasons))
        else:
            await self.done(*(reason.detail for reason in reasons))


def _reasons(standing: Standing) -> tuple[Reason, ...]:
    """What stays as it is, said to whoever reads the operation."""
    through = (
        f"Has {standing.there[access.key].label(access.role_id)} through group '{access.group}': it ends with the"
        " membership or the account."
        for access in standing.through
    )
    return tuple(Reason("access", note) for note in (*standing.decision.notes, *through))
