"""Reconcile: what people hold of each application, compared with what rules and facts about them say.

missing   a rule gives it, and neither an assignment of one's own nor a group that has access does
excess    no rule gives it, and its grace is over
later     no rule gives it, and its grace runs: from when an event said so, else from the first look that saw it

Where the vendor's profile is authoritative the first two are mended. Everything else is told: whoever is to be taken
access from must have been seen without a right to it, never merely not been seen.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sso.assignment import Batch, Change, Direction, choose_role, grant, revoke
from sso.decision import AccessChange, Held, Losing, Offered, decide, still_losing
from sso.entitlements import ATTRIBUTES, Entitlements, Person, entitled
from sso.errors import Refused
from sso.model import AppRoleId, Key, ObjectId, Principal, fingerprint
from sso.operation import StepRecord

NAMED = 3  # people in one sentence; the preview of the entitlements lists all


@dataclass(frozen=True)
class Somebody:
    """One person as rules and facts see them."""

    principal: Principal
    person: Person
    here: bool = True  # has neither left nor still to join
    losing: Losing = field(default_factory=dict)


@dataclass(frozen=True)
class Team:
    """A group that has a role of an application, which its direct members have with it."""

    name: str
    role_id: AppRoleId
    members: frozenset[ObjectId]


@dataclass(frozen=True)
class Seen:
    """Everything that was read for one look, from pages."""

    rules: Entitlements
    people: tuple[Somebody, ...]  # enabled members of the organisation, without those whom nothing touches
    offered: Mapping[Key, Offered]
    held: Mapping[ObjectId, tuple[Held, ...]]
    teams: Mapping[Key, tuple[Team, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """One person's access that is not what rules say."""

    principal: Principal
    change: AccessChange


@dataclass(frozen=True)
class Told:
    """What differs and stays, in one sentence; `who` tells two nights apart where the sentence does not."""

    sentence: str
    who: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """How one application differs: what is given, what is taken, and what is only told."""

    application: Offered
    grants: tuple[Difference, ...] = ()
    removals: tuple[Difference, ...] = ()
    told: tuple[Told, ...] = ()

    @property
    def fingerprint(self) -> str:
        """What tells apart two sets of differences that stay; empty where there are none."""
        return fingerprint(*(part for told in self.told for part in (told.sentence, *told.who))) if self.told else ""

    def without(self, batches: Iterable[Batch]) -> "Comparison":
        """What these batches leave to do: replicas may not show yet what they made, and what was refused stays so."""
        past = {change.place for batch in batches for change in batch.changes if change.state != "queued"}
        return replace(
            self,
            grants=tuple(one for one in self.grants if self.change(one, "grant").place not in past),
            removals=tuple(one for one in self.removals if self.change(one, "revoke").place not in past),
        )

    def stuck(self, changes: Iterable[Change]) -> tuple[Change, ...]:
        """Those of some changes that were refused, and still are what is to be mended."""
        wanted = {
            *(self.change(one, "grant").place for one in self.grants),
            *(self.change(one, "revoke").place for one in self.removals),
        }
        return tuple(change for change in changes if change.state == "refused" and change.place in wanted)

    def change(self, one: Difference, direction: Direction) -> Change:
        """What mends a difference."""
        make = grant if direction == "grant" else revoke
        return make(one.principal, self.application.service_principal_id, one.change.role_id)


def why_not(seen: Seen) -> str | None:
    """Why nothing can be concluded from a look: rules that match nobody must not take everything from everybody."""
    if not seen.people:
        return "The directory shows no enabled member of the organisation. Look at the permission User.Read.All."
    asked = {name for rule in seen.rules.rules for name in rule.when.conditions if name in ATTRIBUTES}
    if asked and not any(one.person.values(name) for one in seen.people for name in asked):
        return (
            f"Of {len(seen.people)} people in the directory none has {' or '.join(sorted(asked))}, which the rules ask"
            " about. Look at what fills the directory."
        )
    return None


def compare(seen: Seen, now: datetime) -> tuple[tuple[Comparison, ...], Mapping[ObjectId, Losing]]:
    """Each application in use, compared; and, of whoever it has changed for, since when access is lost."""
    found = {key: _Found(one) for key, one in sorted(seen.offered.items()) if not one.offboarded}
    here: dict[ObjectId, Principal] = {}
    losing: dict[ObjectId, Losing] = {}
    for one in seen.people:
        somebody = one.principal.object_id
        held = [mine for mine in seen.held.get(somebody, ()) if mine.key in found]
        if not one.here:
            for mine in held:
                found[mine.key].absent[mine.role_id].append(one.principal)
            continue
        here[somebody] = one.principal
        wanted = [entry for entry in entitled(one.person, seen.rules) if entry.key in found]
        for entry in wanted:
            found[entry.key].given.add(somebody)
        decision = decide("mover", wanted, held, seen.offered, seen.rules, since=now, now=now, losing=one.losing)
        for change in decision.grants:
            found[change.key].missing.append(Difference(one.principal, change))
        for change in decision.removals:
            found[change.key].excess.append(Difference(one.principal, change))
        ours = []
        for change in decision.later:
            by_event = (change.key, change.role_id) in one.losing
            found[change.key].keep(Difference(one.principal, change), by_event=by_event)
            ours += [change] if by_event or found[change.key].application.authoritative else []
        kept = still_losing(replace(decision, later=tuple(ours)), one.losing, now)
        if kept != one.losing:
            losing[somebody] = kept
    every = tuple(one.comparison(seen.rules, seen.teams.get(key, ()), here) for key, one in found.items())
    return every, losing


class _Found:
    """What is gathered of one application while people are looked at."""

    def __init__(self, application: Offered) -> None:
        self.application = application
        self.missing: list[Difference] = []
        self.excess: list[Difference] = []
        self.later: list[Difference] = []
        self.given: set[ObjectId] = set()  # whoever has it by rule
        self.absent: dict[AppRoleId, list[Principal]] = defaultdict(list)

    def keep(self, one: Difference, *, by_event: bool) -> None:
        """Note a grace: where nothing is mended, one that an event began is that event's to end."""
        if self.application.authoritative:
            self.later.append(one)
        elif not by_event:
            self.excess.append(one)

    def comparison(self, rules: Entitlements, teams: Sequence[Team], here: Mapping[ObjectId, Principal]) -> Comparison:
        """What follows from it."""
        mends, key = self.application.authoritative, self.application.key
        absent = tuple(self._absent())
        if key not in rules.grace_days:
            detail = f"No rule names {key}, so nothing of it is compared although its profile is authoritative."
            return Comparison(self.application, told=(*([Told(detail)] if mends else ()), *absent))
        missing = tuple(one for one in self.missing if not _has_through(teams, one))
        told = (*_roles(rules, self.application), *absent, *self._through(teams, here))
        if not self.given and (self.excess or self.later):
            detail = (
                f"The rules name {key} and give it to nobody, so nothing is taken from those who have it. Mend the"
                " rules, or offboard the application."
            )
            return Comparison(
                self.application, told=(Told(detail, _ids(one.principal for one in (*self.excess, *self.later))), *told)
            )
        if not mends:
            without = self._grouped(missing, "Rules give {label} to {people} without it: {names}.")
            unruled = self._grouped(self.excess, "No rule gives {label} to {people} with it: {names}.")
            return Comparison(self.application, told=(*without, *unruled, *told))
        graces = self._grouped(
            self.later, "{label} stays until {day} with {people} to whom no rule gives it any more: {names}."
        )
        return Comparison(self.application, missing, tuple(self.excess), (*graces, *told))

    def _absent(self) -> Iterator[Told]:
        for role_id, people in sorted(self.absent.items()):
            label = self.application.label(role_id)
            who = f"{_people(people)} with {label} left or have still to join"
            yield Told(f"{who}, and their own events end it: {_names(people)}.", _ids(people))

    def _through(self, teams: Iterable[Team], here: Mapping[ObjectId, Principal]) -> Iterator[Told]:
        for team in teams:
            people = [here[one] for one in sorted(team.members - self.given) if one in here]
            if people:
                label = self.application.label(team.role_id)
                detail = (
                    f"No rule gives {label} to {_people(people)} with it through group '{team.name}', which ends with"
                    f" the membership: {_names(people)}."
                )
                yield Told(detail, _ids(people))

    def _grouped(self, differences: Iterable[Difference], sentence: str) -> Iterator[Told]:
        """One sentence for each role, and each day where it names one."""
        groups: dict[tuple[str, str], list[Principal]] = defaultdict(list)
        for one in differences:
            day = f"{one.change.until:%Y-%m-%d}" if one.change.until and "{day}" in sentence else ""
            groups[self.application.label(one.change.role_id), day].append(one.principal)
        for (label, day), people in sorted(groups.items()):
            told = sentence.format(label=label, people=_people(people), day=day, names=_names(people))
            yield Told(told, _ids(people))


def steps_of(name: str, differences: Iterable[Difference]) -> Iterator[StepRecord]:
    """One planned step for all who are given, or lose, the same for the same reason."""
    groups: dict[str, list[Principal]] = defaultdict(list)
    for one in differences:
        groups[one.change.sentence].append(one.principal)
    for sentence, people in groups.items():
        yield StepRecord(name, sentence, f"{_people(people)}: {_names(people)}", "planned")


def _has_through(teams: Iterable[Team], one: Difference) -> bool:
    somebody, role_id = one.principal.object_id, one.change.role_id
    return any(team.role_id == role_id and somebody in team.members for team in teams)


def _roles(rules: Entitlements, application: Offered) -> Iterator[Told]:
    """What rules give and the application does not have: for whomever these rules match nothing is given or taken."""
    for number, rule in enumerate(rules.rules, start=1):
        for given in rule.grant:
            if given.key == application.key:
                try:
                    choose_role(application.roles, given.role or application.role)
                except Refused as error:
                    yield Told(f"Rule {number}: {error}")


def _ids(people: Iterable[Principal]) -> tuple[str, ...]:
    return tuple(sorted(person.object_id for person in people))


def _people(people: Sequence[Principal]) -> str:
    return "1 person" if len(people) == 1 else f"{len(people)} people"


def _names(people: Sequence[Principal]) -> str:
    names = sorted(person.name for person in people)
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
