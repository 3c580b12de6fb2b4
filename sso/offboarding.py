"""The plan of an offboarding, and of what brings an application back.

    disable and tag -> disable the vault's versions -> tell -> wait -> soft-delete

Sign-in stops with the first write, and nothing is lost by it: assignments and credentials stay until the deletion,
which comes only while the tag of the start still stands. An onboarding that was asked for by name undoes all of it:
before the deletion it enables again, for 30 days after it restores application and service principal, in two calls.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sso import steps
from sso.model import ADOPTED_TAG, ObjectId, VaultVersion, offboarded_since
from sso.observed import Observed
from sso.request import Onboarding
from sso.steps import Block, Pause, Plan, Step
from vendors.profile import Profile


def plan(
    profile: Profile,
    observed: Observed,
    begun: datetime,
    days: int,
    now: datetime,
    *,
    taken: frozenset[str] = frozenset(),
) -> Plan:
    """The steps that are missing; `begun` is when it was asked for, `taken` the names of the steps it has taken.

    What is told is told once, and what somebody has undone is not done again.
    """
    application, service_principal = observed.application, observed.service_principal
    if application is None:
        return Plan(())
    since = begun.astimezone(UTC).date()
    stands = bool(
        service_principal and not service_principal.enabled and offboarded_since(service_principal.tags) == since
    )
    if steps.DisableSignIn.name in taken and not stands:
        detail = f"The offboarding of {observed.key} was undone before the deletion. Nothing was deleted."
        return Plan((), Block("undone", "nobody", detail))
    deletes = None if ADOPTED_TAG in application.tags else begun + timedelta(days=days)
    missing = tuple(_missing(profile, observed, begun, deletes, stands=stands, taken=taken))
    if deletes is None:
        note = f"'{application.display_name}' was made by hand and adopted: it is not deleted."
        return Plan(missing, notes=(note,))
    note = (
        f"On {deletes:%Y-%m-%d} '{application.display_name}' is deleted, unless its onboarding is asked for before."
        " For 30 more days the same request restores it."
    )
    if now < deletes:
        return Plan(missing, notes=(note,), pause=Pause("time", f"the end of {days} days", deletes))
    delete = steps.DeleteApplication(sentence=f"Delete '{application.display_name}'; it can be restored for 30 days.")
    return Plan((*missing, delete), notes=(note,))


def _missing(
    profile: Profile,
    observed: Observed,
    begun: datetime,
    deletes: datetime | None,
    *,
    stands: bool,
    taken: frozenset[str],
) -> Iterator[Step]:
    application, count = observed.application, len(observed.assignments)
    since = begun.astimezone(UTC).date()
    if application and not (stands and offboarded_since(application.tags) == since):
        affects = f"{count} assigned principals can no longer sign in" if count else "whoever signs in there"
        yield steps.DisableSignIn(
            sentence=f"Switch sign-in to {profile.name} off and tag it as offboarded.", affects=affects, since=since
        )
    for version in observed.versions:
        if version.enabled:
            yield steps.DisableVersion(
                sentence=f"Disable the version {version.version} of {version.name} in the vault.", version=version
            )
    if steps.TellOffboarded.name not in taken:
        whom = profile.handoff.contact or "the owner"
        yield steps.TellOffboarded(
            sentence=f"Tell {whom} that the access to {profile.name} has ended.", deletes=deletes
        )


def restore(name: str, request: Onboarding, observed: Observed) -> Iterator[Step]:
    """What brings a deleted application back: itself first, then its service principal."""
    if not request.revives:
        return
    if observed.application is None and len(observed.deleted) == 1:
        yield steps.RestoreApplication(
            sentence=f"Restore the application of {name} from the deleted ones.",
            object_id=ObjectId(observed.deleted[0]),
        )
    elif observed.application is None or observed.service_principal or not observed.deleted_service_principal:
        return
    yield steps.RestoreServicePrincipal(
        sentence=f"Restore the service principal of {name}, with its assignments.",
        object_id=observed.deleted_service_principal,
    )


def reopen(name: str, request: Onboarding, observed: Observed) -> Iterator[steps.EnableVersion]:
    """What an offboarding has disabled in the vault, whose credentials the application still has."""
    if not request.revives or not observed.offboarded:
        return
    for version in _closed(observed):
        yield steps.EnableVersion(sentence=f"Enable the client secret of {name} in the vault again.", version=version)


def reopened(observed: Observed, first: tuple[Step, ...]) -> Observed:
    """What is there once these versions are enabled: no other secret is needed then."""
    again = {step.version for step in first if isinstance(step, steps.EnableVersion)}
    versions = tuple(replace(v, enabled=True) if v in again else v for v in observed.versions)
    return replace(observed, versions=versions)


def _closed(observed: Observed) -> tuple[VaultVersion, ...]:
    held = {password.key_id for password in observed.application.passwords} if observed.application else set()
    name = observed.key.secret_name
    return tuple(v for v in observed.versions if v.name == name and not v.enabled and v.key_id in held)
