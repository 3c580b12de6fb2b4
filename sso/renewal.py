"""The steps and pauses of a credential's renewal, and what is told of a new signing certificate.

`rotation` and `rollover` decide; here their decisions become steps that say themselves.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sso import rollover, rotation, steps
from sso.app_management import of_days
from sso.handoff import Announcement, IdentityProvider, certificate_file, public_values
from sso.model import Key
from sso.observed import Observed
from sso.request import Onboarding
from sso.steps import Pause, Step
from vendors.profile import OidcProfile, Profile, SamlProfile


def add_certificate(profile: SamlProfile, key: Key, life: timedelta, now: datetime) -> Step:
    """The step that adds a signing certificate of ours, with what a policy leaves of the profile's life."""
    wanted = timedelta(days=profile.saml.certificate.lifetime_days)
    return steps.AddCertificate(
        sentence=f"Add a signing certificate of {of_days(life, wanted)}, not yet active.",
        subject=rollover.subject(key),
        ends=now + life,
    )


def roll_over(state: rollover.Rollover, profile: SamlProfile, key: Key, life: timedelta) -> Iterator[Step]:
    """The next step of a rollover, if it is not to wait or to tell."""
    name, known = profile.name, state.acknowledged or state.needs_nobody
    match rollover.next_rollover_step(state):
        case rollover.RolloverStep.ADD:
            yield add_certificate(profile, key, life, state.now)
        case rollover.RolloverStep.ACTIVATE:
            yield steps.ActivateCertificate(
                sentence=f"Sign {name}'s assertions with the new certificate from now on.",
                thumbprint=state.new.thumbprint if state.new else None,
                affects=steps.NOBODY if known else "everybody's sign-in, until the vendor has the new certificate",
            )
        case rollover.RolloverStep.RETIRE if state.old:
            yield steps.RetireCertificate(
                sentence=f"Remove the old signing certificate of {name} ({state.old.thumbprint}).",
                thumbprint=state.old.thumbprint,
            )
        case rollover.RolloverStep.WARN if state.old:
            yield steps.WarnOfEnd(
                sentence=f"Warn owner and operators that {name}'s signing certificate ends unreplaced.",
                ends=state.old.ends,
            )
        case rollover.RolloverStep.REMIND:
            yield steps.Remind(sentence=f"Remind {_whom(profile)} of the new certificate.")
        case _:
            return


def rollover_pause(state: rollover.Rollover, profile: Profile) -> Pause | None:
    """What a rollover waits for; None where there is something to do, or nothing left."""
    until = rollover.wake(state)
    match rollover.next_rollover_step(state):
        case rollover.RolloverStep.WAIT_VENDOR:
            return Pause("acknowledgement", _whom(profile), until)
        case rollover.RolloverStep.WAIT_OVERLAP:
            return Pause("time", "the overlap", until)
        case rollover.RolloverStep.WAIT_POLL:
            return Pause("time", f"{profile.name} to read the metadata", until)
        case _:
            return None


def succeed(succession: rotation.Succession, profile: Profile) -> Iterator[Step]:
    """The next step once a secret, or a first credential, is handed over, if it is not to wait."""
    match rotation.after_handoff(succession):
        case rotation.SuccessionStep.RETIRE if succession.old:
            yield steps.RetireSecret(
                sentence=f"Remove the old client secret of {profile.name} ({succession.old.key_id}).",
                key_id=succession.old.key_id,
                affects="everybody's sign-in, until the vendor has the new secret"
                if not succession.acknowledged
                else steps.NOBODY,
            )
        case rotation.SuccessionStep.WARN if succession.old:
            yield steps.WarnOfEnd(
                sentence=f"Warn owner and operators that {profile.name}'s old client secret ends unreplaced.",
                ends=succession.old.ends,
            )
        case rotation.SuccessionStep.REMIND:
            yield steps.Remind(sentence=f"Remind {_whom(profile)} of the hand-off.")
        case _:
            return


def succession_pause(succession: rotation.Succession, profile: Profile) -> Pause | None:
    """What a succession waits for; None where there is something to do, or nothing left."""
    match rotation.after_handoff(succession):
        case rotation.SuccessionStep.WAIT_VENDOR:
            return Pause("acknowledgement", _whom(profile), rotation.wake(succession))
        case rotation.SuccessionStep.WAIT_OVERLAP:
            return Pause("time", "the overlap", rotation.wake(succession))
        case _:
            return None


def announcement_of(
    profile: Profile, request: Onboarding, observed: Observed, provider: IdentityProvider
) -> Announcement | None:
    """What is told of a signing certificate that takes the place of the one in use; None where none does, or did."""
    found = observed.service_principal
    signing = rollover.active(found) if found else None
    if found is None or signing is None or isinstance(profile, OidcProfile):
        return None
    new, mode = rollover.successor(observed.key, found, signing.thumbprint), rollover.mode_of(profile)
    if new is None and (request.rotation is None or request.rotation.succeeds != signing.thumbprint):
        return None
    poll = timedelta(hours=profile.saml.certificate.poll_hours)
    return Announcement(
        mode=mode,
        old_ends=signing.ends,
        thumbprint=new.thumbprint if new else None,
        starts=new.starts if new else None,
        ends=new.ends if new else None,
        signs_from=new.starts + 2 * poll if new and mode == "metadata" else None,
        metadata_url=public_values(provider)["metadata_url"],
        certificate=certificate_file(observed.key, new.der) if new else None,
    )


def _whom(profile: Profile) -> str:
    return profile.handoff.contact or "the owner"
