"""Steps on credentials: the signing certificate and the client secret."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from clients.tenant.braking import pass_brake
from clients.tenant.intents import intent
from clients.tenant.parts import READ_PAUSE, READS, Parts, Work
from sso import steps
from sso.errors import NotReady
from sso.model import PasswordCredential, Thumbprint, TokenSigningCertificate, VaultVersion
from sso.observed import Observed
from sso.rollover import subject

PROOFS = 3  # tokens in a row that a new secret must obtain: token servers learn of it one by one
CREDENTIAL_PAUSE = 15.0  # seconds between two credential writes of one application (graph-contract 4)


async def _let_time_pass(
    parts: Parts, held: Iterable[PasswordCredential | TokenSigningCertificate], now: datetime
) -> None:
    """Keep a new credential apart from those that are held.

    Graph and the vault date in whole seconds: of two that begin in the same one the newer could not be told.
    """
    youngest = max((credential.starts for credential in held), default=None)
    if youngest and now - youngest < timedelta(seconds=CREDENTIAL_PAUSE):
        await parts.wait(CREDENTIAL_PAUSE)


async def add_certificate(parts: Parts, step: steps.AddCertificate, work: Work, now: datetime) -> Observed:
    """Add a signing certificate, once."""
    found = work.service_principal
    held = {certificate.thumbprint for certificate in found.certificates}
    await _let_time_pass(parts, found.certificates, now)
    async with intent(parts, work, step.name, now, held.__contains__) as attempt:
        added = await parts.graph.add_certificate(found.object_id, step.subject, step.ends)
        attempt.answer = added.thumbprint
    return replace(work.observed, service_principal=replace(found, certificates=(*found.certificates, added)))


async def activate_certificate(parts: Parts, step: steps.ActivateCertificate, work: Work) -> Observed:
    """Sign with a certificate from now on."""
    found = work.service_principal
    if step.thumbprint is None:
        msg = f"The signing certificate of {work.request.key} is not in every replica yet."
        raise NotReady(msg, retry_after=READ_PAUSE)
    await parts.graph.activate_certificate(found.object_id, step.thumbprint)
    return replace(work.observed, service_principal=replace(found, active_thumbprint=step.thumbprint))


async def retire_certificate(parts: Parts, step: steps.RetireCertificate, work: Work, now: datetime) -> Observed:
    """Take a certificate out once another is seen to sign; never the one that signs, and not too many in a day."""
    found = work.service_principal
    await prove_certificate(parts, work)
    await brake_retirement(parts, work, step.thumbprint, now)
    await parts.graph.remove_certificate(found.object_id, step.thumbprint, subject(work.request.key), now)
    left = tuple(certificate for certificate in found.certificates if certificate.thumbprint != step.thumbprint)
    return replace(work.observed, service_principal=replace(found, certificates=left))


async def prove_certificate(parts: Parts, work: Work) -> None:
    """See that the activated certificate is what signs and what is published; raises `NotReady` until it is."""
    service_principal = work.service_principal
    wanted = service_principal.active_thumbprint
    for _ in range(READS):
        if await parts.graph.active_thumbprint(service_principal.object_id) != wanted:
            msg = "The activated certificate is not in every replica yet."
            raise NotReady(msg, retry_after=READ_PAUSE)
    await prove_published(parts, work, wanted)


async def prove_published(parts: Parts, work: Work, thumbprint: Thumbprint | None) -> None:
    """See that the published metadata lists a certificate; raises `NotReady` until it does."""
    if thumbprint is None or not await parts.sts.metadata_lists(work.application.client_id, thumbprint):
        msg = "The federation metadata does not list the certificate yet."
        raise NotReady(msg, retry_after=READ_PAUSE)


async def mint_secret(parts: Parts, step: steps.MintSecret, work: Work, now: datetime) -> Observed:
    """Mint a client secret, once, and stage it; its value lives in one local variable between the two."""
    application = work.application
    held = {password.key_id for password in application.passwords}
    await _let_time_pass(parts, application.passwords, now)
    async with intent(parts, work, step.name, now, held.__contains__) as attempt:
        minted, secret = await parts.graph.add_password(application, step.display_name, step.ends)
        attempt.answer = minted.key_id
    staged = await parts.vault.stage(work.request.key, secret, key_id=minted.key_id, client_id=application.client_id)
    return replace(
        work.observed,
        application=replace(application, passwords=(*application.passwords, minted)),
        versions=(*work.observed.versions, staged),
    )


async def promote_secret(parts: Parts, step: steps.PromoteSecret, work: Work) -> Observed:
    """Prove the staged secret by a streak of real token requests, then make it current."""
    application, staged, key = work.application, step.staged, work.request.key
    minted = next((p for p in application.passwords if staged and p.key_id == staged.key_id), None)
    if staged is None or minted is None:
        msg = f"The client secret of {key} that was staged is not in every replica yet."
        raise NotReady(msg, retry_after=READ_PAUSE)
    secret = await parts.vault.read(staged)
    for _ in range(PROOFS):
        await parts.sts.prove_secret(application.client_id, secret)
    promoted = await parts.vault.promote(key, staged, secret, client_id=application.client_id, ends=minted.ends)
    observed = replace(work.observed, versions=(*work.observed.versions, promoted))
    return await close_version(parts, staged, replace(work, observed=observed))


async def close_version(parts: Parts, version: VaultVersion, work: Work) -> Observed:
    """Disable a version: a staged one that is current now, or one whose credential is gone."""
    await parts.vault.disable(version)
    others = tuple(v for v in work.observed.versions if (v.name, v.version) != (version.name, version.version))
    return replace(work.observed, versions=(*others, replace(version, enabled=False)))


async def retire_secret(parts: Parts, step: steps.RetireSecret, work: Work, now: datetime) -> Observed:
    """Remove a client secret, then disable its version; never the one that is current, and not too many in a day."""
    application, key = work.application, work.request.key
    version = next((v for v in work.observed.versions if v.key_id == step.key_id and v.name == key.secret_name), None)
    newest = max(
        (v for v in work.observed.versions if v.name == key.secret_name and v.enabled),
        key=lambda v: v.created,
        default=None,
    )
    if newest is None or newest.key_id == step.key_id:
        msg = f"The client secret of {key} that is current cannot be retired; its successor is not in the vault yet."
        raise NotReady(msg, retry_after=READ_PAUSE)
    await brake_retirement(parts, work, step.key_id, now)
    await parts.graph.remove_password(application, step.key_id)
    if version and version.enabled:
        await parts.vault.disable(version)
    left = tuple(password for password in application.passwords if password.key_id != step.key_id)
    versions = tuple(replace(v, enabled=False) if v == version else v for v in work.observed.versions)
    return replace(work.observed, application=replace(application, passwords=left), versions=versions)


async def brake_retirement(parts: Parts, work: Work, credential: str, now: datetime) -> None:
    """Count the removal of an old credential; raises `NotReady` (`release`) above the brake. A compromised one goes."""
    asked = work.request.rotation
    if asked is None or asked.reason != "compromised":
        await pass_brake(parts, "retirement", frozenset({credential}), work.operation.id, now, parts.managed_count)


async def discard_secret(parts: Parts, step: steps.DiscardSecret, work: Work) -> Observed:
    """Remove a client secret whose value was lost; what was minted in vain is no longer waited for."""
    await parts.graph.remove_password(work.application, step.key_id)
    await parts.ledger.close_intent(work.request.key, steps.MintSecret.name)
    await parts.wait(CREDENTIAL_PAUSE)
    left = tuple(password for password in work.application.passwords if password.key_id != step.key_id)
    return replace(work.observed, application=replace(work.application, passwords=left))
