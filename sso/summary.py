"""The nightly summary: what the operators must know, said in lines that were read from pages.

One section each for what is due, waited for, overdue, not ours or without its value, failed, and put aside. A quiet
night has a mail too, a short one: who gets none knows that something is wrong.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sso import rollover, rotation
from sso.due import notice
from sso.handoff import one_line, unsealable
from sso.letters import Letter, Organisation, moment
from sso.model import Application, Key, KeyId, PasswordCredential, ServicePrincipal
from sso.operation import Operation, What
from vendors.profile import OidcProfile, Profile, SamlProfile

HORIZON = timedelta(days=14)  # what falls due within it is listed
PATIENCE = timedelta(days=14)  # a person who has been waited for longer is overdue
TICKS = timedelta(days=1)  # after which the timer must have opened what is due
FAILED_WITHIN = timedelta(days=1)  # the night's summary tells of the day before
PINNED_NOTICE = timedelta(days=30)  # a vendor needs some weeks to have a new S/MIME certificate made
LINES = 40  # of one section; the rest is counted
_PEOPLE: frozenset[What] = frozenset({"permission", "consent", "parameters", "acknowledgement", "release"})
WAITS: Mapping[What, str] = {
    "replication": "waits for replication in {whom}",
    "throttling": "waits because {whom} throttles",
    "permission": "waits for a permission, which {whom} must grant",
    "consent": "waits for the consent of {whom}",
    "parameters": "waits for values from {whom}",
    "acknowledgement": "waits for the acknowledgement of {whom}",
    "time": "waits for the end of {whom}",
    "release": "waits to be released by {whom}",
    "account": "waits for {whom}",
}


@dataclass(frozen=True)
class Managed:
    """One onboarded application as the lists show it."""

    key: Key
    application: Application
    service_principal: ServicePrincipal | None
    profile: Profile | None  # None where its file cannot be read


@dataclass(frozen=True)
class PutAside:
    """One message that the ledger keeps because nobody could carry it out."""

    queue: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Night:
    """Everything that was read for one summary."""

    applications: tuple[Managed, ...] = ()
    without_value: tuple[tuple[Key, PasswordCredential], ...] = ()  # ours, and known to no version of the vault
    unfinished: tuple[Operation, ...] = ()
    failed: tuple[Operation, ...] = ()
    reconciled: tuple[Operation, ...] = ()  # ended since yesterday: access that was compared with the rules
    queues: Mapping[str, int] | None = None  # how many messages each holds
    put_aside: tuple[PutAside, ...] = ()
    unread: tuple[str, ...] = ()  # what could not be looked at, and why


@dataclass(frozen=True)
class Section:
    """One heading of the summary and its lines."""

    title: str
    lines: tuple[str, ...]

    @property
    def shown(self) -> tuple[str, ...]:
        """The lines that a mail shows, and how many more there are."""
        more = len(self.lines) - LINES
        return (*self.lines[:LINES], *([f"and {more} more"] if more > 0 else []))


def sections(night: Night, now: datetime) -> tuple[Section, ...]:
    """Every section, those without a line too."""
    written: tuple[tuple[str, Callable[[Night, datetime], Iterator[str]]], ...] = (
        ("Overdue", _overdue),
        ("Failed since yesterday", _failed),
        ("Messages put aside", _put_aside),
        ("Access beside the rules", _reconciled),
        ("Not ours, or without its value", _strange),
        (f"Due within {HORIZON.days} days", _due),
        ("Waiting", _waiting),
        ("Could not be looked at", _unread),
    )
    return tuple(Section(title, tuple(lines(night, now))) for title, lines in written)


def compose_summary(night: Night, day: str, now: datetime, *, organisation: Organisation) -> Letter:
    """The operators' mail of one night; the same night has the same reference."""
    found = sections(night, now)
    told = [f"{section.title.lower()}: {len(section.lines)}" for section in found if section.lines]
    return Letter(
        "summary",
        (organisation.operators,),
        f"summary-{day}",
        {
            "organisation": organisation.name,
            "domain": organisation.domain,
            "application": "Gatehouse",
            "day": day,
            "said": ", ".join(told) or "all quiet",
            "facts": (
                ("Applications", len(night.applications)),
                *((section.title, len(section.lines)) for section in found),
            ),
            "sections": tuple((section.title, section.shown) for section in found if section.lines),
            "reference": f"summary-{day}",
        },
    )


def candidates(applications: Iterable[Managed], named: frozenset[KeyId]) -> tuple[Managed, ...]:
    """The applications with a secret of ours that no newest version in the vault names: their versions are read."""
    return tuple(
        managed for managed in applications if any(password.key_id not in named for password in _ours(managed))
    )


# Sections -------------------------------------------------------------------------------------------------------------


def _due(night: Night, now: datetime) -> Iterator[str]:
    for managed in night.applications:
        for what, ends, renewal in _in_use(managed):
            under_way = renewal <= now and _is_renewed(managed.key, night)
            if renewal - HORIZON <= now and not under_way and not _late(managed.key, ends, renewal, night, now):
                yield f"{managed.key}: {what} ends {_day(ends, now)}; its successor is due {_day(renewal, now)}."
    for vendor, profile in _profiles(night):
        pinned = profile.handoff.smime.pinned if profile.handoff.smime else None
        if pinned and now < pinned.ends <= now + PINNED_NOTICE:
            yield f"{vendor}: the S/MIME certificate in its profile ends {_day(pinned.ends, now)}. Pin a new one."


def _overdue(night: Night, now: datetime) -> Iterator[str]:
    for managed in night.applications:
        for what, ends, renewal in _in_use(managed):
            if _late(managed.key, ends, renewal, night, now):
                yield f"{managed.key}: {what} ends {_day(ends, now)}, and no operation renews it. Rotate it by hand."
    for operation in night.unfinished:
        waiting, old_ends = operation.waiting_for, _end_of_old(operation, night)
        if waiting is None or waiting.what not in _PEOPLE:
            continue
        if old_ends and old_ends - now <= rotation.WARN_BEFORE:
            end = _day(old_ends, now)
            yield f"{_name(operation)}: what it succeeds ends {end}, and it {_wait(operation, now)}"
        elif now - waiting.since > PATIENCE:
            yield f"{_name(operation)} {_wait(operation, now)}"
    for vendor, profile in _profiles(night):
        if problem := unsealable(profile, now):
            yield f"{vendor}: {problem}"


def _waiting(night: Night, now: datetime) -> Iterator[str]:
    for operation in night.unfinished:
        if operation.waiting_for is not None:
            yield f"{_name(operation)} {_wait(operation, now)}"


def _strange(night: Night, now: datetime) -> Iterator[str]:
    for managed in night.applications:
        ours = _ours(managed)
        for password in managed.application.passwords:
            if password not in ours:
                name, end = one_line(password.display_name, 60) or "without a name", _day(password.ends, now)
                yield f"{managed.key}: a client secret is not ours ({name}, {password.key_id}); it ends {end}."
        for certificate in managed.service_principal.certificates if managed.service_principal else ():
            if certificate.display_name != rollover.subject(managed.key):
                name, end = one_line(certificate.display_name, 60), _day(certificate.ends, now)
                yield f"{managed.key}: a signing certificate is not ours ({name}); it ends {end}."
    for key, password in night.without_value:
        young = now - password.starts < rotation.DISCARD_WITHIN
        what_to_do = "the next run removes it" if young else "remove it by hand, if nobody uses it"
        yield f"{key}: the value of client secret {password.key_id} is not in the vault; {what_to_do}."


def _failed(night: Night, _: datetime) -> Iterator[str]:
    for operation in night.failed:
        why = one_line(operation.reasons[0].detail, 300) if operation.reasons else "no reason was kept"
        yield f"{_name(operation)} failed on {moment(operation.changed)}: {why}"


def _reconciled(night: Night, _: datetime) -> Iterator[str]:
    for operation in night.reconciled:
        given, taken, differs = (int(operation.request.get(name, 0)) for name in ("given", "taken", "differs"))
        parts = [f"given to {given}"] * bool(given) + [f"taken from {taken}"] * bool(taken)
        parts += [f"{differs} differences stay as they are"] * bool(differs)
        if operation.key:
            yield f"{_name(operation)}: {', '.join(parts) or 'nothing differs any more'}."


def _put_aside(night: Night, now: datetime) -> Iterator[str]:
    for queue, count in sorted((night.queues or {}).items()):
        if queue.endswith("-poison") and count:
            yield f"{queue} holds {count} that no function could read. Look at them, mend their sender, delete them."
    older = [message for message in night.put_aside if now - message.at > FAILED_WITHIN]
    for message in night.put_aside:
        if message not in older:
            yield f"A message on {message.queue} was kept on {moment(message.at)}: {one_line(message.reason, 300)}"
    if older:
        yield f"{len(older)} older messages are kept in the ledger."


def _unread(night: Night, _: datetime) -> Iterator[str]:
    yield from night.unread
    for managed in night.applications:
        if managed.profile is None:
            yield f"{managed.key}: the profile of its vendor cannot be read, so nothing is known of its policy."


# What the sections are made of ----------------------------------------------------------------------------------------


def _ours(managed: Managed) -> tuple[PasswordCredential, ...]:
    passwords = managed.application.passwords
    return tuple(p for p in passwords if rotation.carries_marker(p.display_name, managed.key))


def _in_use(managed: Managed) -> Iterator[tuple[str, datetime, datetime]]:
    """The credential of ours that sign-ins depend on: what it is, its end, and when its successor is due."""
    if isinstance(managed.profile, OidcProfile) and (ours := _ours(managed)):
        newest = max(ours, key=lambda password: password.starts)
        yield "its client secret", newest.ends, rotation.due_at(newest, notice(managed.profile))
    if isinstance(managed.profile, SamlProfile) and managed.service_principal:
        active = rollover.active(managed.service_principal)
        if active:
            yield "its signing certificate", active.ends, rotation.due_at(active, notice(managed.profile))


def _profiles(night: Night) -> Iterator[tuple[str, Profile]]:
    """Each vendor of an onboarded application once."""
    profiles = {managed.key.vendor: managed.profile for managed in night.applications}
    yield from ((vendor, profile) for vendor, profile in profiles.items() if profile)


def _is_renewed(key: Key, night: Night) -> bool:
    """Whether an operation is under way that renews a credential of this application."""
    return any(operation.key == key and operation.kind == "rotation" for operation in night.unfinished)


def _late(key: Key, ends: datetime, renewal: datetime, night: Night, now: datetime) -> bool:
    """Whether something should have been renewed: its time has passed, and nothing that would do it is under way."""
    return now >= ends or (now >= renewal + TICKS and not _is_renewed(key, night))


def _end_of_old(operation: Operation, night: Night) -> datetime | None:
    """When the credential ends that a rotation succeeds, if it is still there."""
    old = (operation.request.get("rotation") or {}).get("succeeds")
    ends: dict[str, datetime] = {}
    for managed in night.applications:
        if managed.key == operation.key:
            ends |= {password.key_id: password.ends for password in managed.application.passwords}
            found = managed.service_principal
            ends |= {certificate.thumbprint: certificate.ends for certificate in found.certificates} if found else {}
    return ends.get(str(old))


def _name(operation: Operation) -> str:
    return f"{operation.key}: {operation.kind} {operation.id}" if operation.key else f"{operation.kind} {operation.id}"


def _wait(operation: Operation, now: datetime) -> str:
    waiting = operation.waiting_for
    if waiting is None:
        return "does not wait."
    return f"{WAITS[waiting.what].format(whom=waiting.whom)} since {_day(waiting.since, now)}."


def _day(instant: datetime, now: datetime) -> str:
    """A day as the summary writes it, with its distance from now."""
    days = (instant.date() - now.date()).days
    distance = "today" if days == 0 else f"in {days} days" if days > 0 else f"{-days} days ago"
    return f"{instant:%Y-%m-%d} ({distance})"
