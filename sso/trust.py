"""What a vendor trusts: the steps of client secrets and signing certificates, from the first one to its successors.

`rotation` and `rollover` decide; here their decisions become steps that say themselves, and pauses.
"""

from collections.abc import Iterator
from datetime import timedelta

from sso import rollover, rotation, steps
from sso.app_management import certificate_life, of_days, secret_life
from sso.situation import Situation
from sso.steps import Pause, Step
from vendors.profile import OidcProfile, Profile, SamlProfile


def make(situation: Situation) -> Iterator[Step]:
    """The steps until there is a credential to hand over, the first one or a successor."""
    profile = situation.profile
    if isinstance(profile, OidcProfile):
        yield from _secret(situation, profile)
    elif situation.rolling:
        yield from _roll_over(situation, situation.rolling, profile)
    else:
        yield from _first_certificate(situation, profile)


def succeed(situation: Situation) -> Iterator[Step]:
    """The next step once a secret, or a first credential, is handed over: a reminder, a warning, the old one's end."""
    succession, profile = situation.succession, situation.profile
    if succession is None:
        return
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


def pause(situation: Situation) -> Pause | None:
    """What is waited for once there is no step to take; None where it is nothing."""
    if situation.rolling:
        return _rollover_pause(situation.rolling, situation.profile)
    return _succession_pause(situation.succession, situation.profile) if situation.succession else None


# Client secrets


def _secret(situation: Situation, profile: OidcProfile) -> Iterator[Step]:
    facts, name = situation.secrets, profile.name
    wanted = timedelta(days=profile.oidc.secret.lifetime_days)
    life = secret_life(wanted, situation.observed.policy, situation.created)
    mint = steps.MintSecret(
        sentence=f"Mint a client secret of {of_days(life, wanted)} and stage it in the vault.",
        display_name=f"{situation.request.key.marker} {situation.now:%Y-%m-%d}",
        ends=situation.now + life,
    )
    promote = f"Prove the client secret of {name} at the token service and make it the vault's current version."
    match rotation.next_step(facts):
        case rotation.SecretStep.DISCARD:
            if facts.valueless:
                lost = facts.valueless.key_id
                yield steps.DiscardSecret(
                    sentence=f"Remove the client secret {lost}, whose value was lost.", key_id=lost
                )
            if not facts.staged and (not facts.current or facts.current.key_id == facts.replace):
                yield mint
                yield steps.PromoteSecret(sentence=promote, staged=None)
        case rotation.SecretStep.MINT:
            yield mint
            yield steps.PromoteSecret(sentence=promote, staged=None)
        case rotation.SecretStep.PROMOTE:
            yield steps.PromoteSecret(sentence=promote, staged=facts.staged)
        case rotation.SecretStep.CLOSE_STAGED if facts.staged:
            yield steps.CloseStaged(
                sentence=f"Disable the staged version of {name}'s client secret, which is current now.",
                staged=facts.staged,
            )
        case rotation.SecretStep.CLOSE_REMOVED if facts.removed:
            yield steps.CloseRemoved(
                sentence=f"Disable the vault's version of the client secret {facts.removed.key_id}, which is gone.",
                version=facts.removed,
            )
        case _:
            return


def _succession_pause(succession: rotation.Succession, profile: Profile) -> Pause | None:
    match rotation.after_handoff(succession):
        case rotation.SuccessionStep.WAIT_VENDOR:
            return Pause("acknowledgement", _whom(profile), rotation.wake(succession))
        case rotation.SuccessionStep.WAIT_OVERLAP:
            return Pause("time", "the overlap", rotation.wake(succession))
        case _:
            return None


# Signing certificates


def _first_certificate(situation: Situation, profile: SamlProfile) -> Iterator[Step]:
    decision = rollover.next_step(situation.request.key, situation.service_principal)
    if decision.step is rollover.CertificateStep.ADD:
        yield _add_certificate(situation, profile)
    if decision.step is not rollover.CertificateStep.NOTHING:
        yield steps.ActivateCertificate(
            sentence=f"Sign {profile.name}'s assertions with this certificate and see it in the metadata.",
            thumbprint=decision.thumbprint,
        )


def _add_certificate(situation: Situation, profile: SamlProfile) -> Step:
    wanted = timedelta(days=profile.saml.certificate.lifetime_days)
    life = certificate_life(wanted, situation.observed.policy, situation.created)
    return steps.AddCertificate(
        sentence=f"Add a signing certificate of {of_days(life, wanted)}, not yet active.",
        subject=rollover.subject(situation.request.key),
        ends=situation.now + life,
    )


def _roll_over(situation: Situation, state: rollover.Rollover, profile: SamlProfile) -> Iterator[Step]:
    name, known = profile.name, state.acknowledged or state.needs_nobody
    match rollover.next_rollover_step(state):
        case rollover.RolloverStep.ADD:
            yield _add_certificate(situation, profile)
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


def _rollover_pause(state: rollover.Rollover, profile: Profile) -> Pause | None:
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


def _whom(profile: Profile) -> str:
    return profile.handoff.contact or "the owner"
