"""Steps that take an application out of use, and that bring it back."""

from dataclasses import replace
from datetime import datetime

from clients.ledger import Changed
from clients.tenant.observing import observe
from clients.tenant.parts import READ_PAUSE, Parts, Work
from sso import steps
from sso.errors import NotReady, Reason
from sso.letters import Asked, compose_offboarded
from sso.model import ObjectId, VaultVersion, offboarded_tag
from sso.observed import Observed
from sso.operation import fail
from sso.page import closed
from sso.steps import ApplicationSettings, ServicePrincipalSettings


async def disable_sign_in(parts: Parts, step: steps.DisableSignIn, work: Work, now: datetime) -> Observed:
    """Switch sign-in off: the tag is written with it, so that it is never off without saying why."""
    application, service_principal, tag = work.application, work.service_principal, offboarded_tag(step.since)
    await _end_others(parts, work, now)
    tags = tuple(sorted({*service_principal.tags, tag}))
    await parts.graph.update_service_principal(
        service_principal.object_id, ServicePrincipalSettings(enabled=False, tags=tags)
    )
    tagged = tuple(sorted({*application.tags, tag}))
    await parts.graph.update_application(application, ApplicationSettings(tags=tagged))
    return replace(
        work.observed,
        application=replace(application, tags=tagged),
        service_principal=replace(service_principal, enabled=False, tags=tags),
    )


async def _end_others(parts: Parts, work: Work, now: datetime) -> None:
    """End what is under way for the key: it would remind of, renew or mend what is taken out of use."""
    for entry in await parts.ledger.unfinished_of(work.request.key):
        other = await parts.ledger.find_operation(entry.id)
        if other and not other.finished and other.kind in {"onboarding", "rotation"}:
            detail = f"'{work.request.key}' is offboarded by operation {work.operation.id}."
            try:
                await parts.ledger.replace_operation(fail(other, (Reason("instance", detail),), now))
            except Changed:
                msg = f"Operation {other.id} of the same application is moving."
                raise NotReady(msg, retry_after=READ_PAUSE, waiting_for="time") from None


async def switch_version(parts: Parts, version: VaultVersion, work: Work, *, on: bool) -> Observed:
    """Disable a version in the vault, or enable it again."""
    await (parts.vault.enable(version) if on else parts.vault.disable(version))
    versions = tuple(replace(v, enabled=on) if v == version else v for v in work.observed.versions)
    return replace(work.observed, versions=versions)


async def tell(parts: Parts, step: steps.TellOffboarded, work: Work, now: datetime) -> Observed:
    """Close the pages that are open, then mail: cut in between, the mail is sent once more."""
    for page in await parts.ledger.pages(work.request.key):
        if page.state in {"open", "collected"}:
            try:
                await parts.ledger.replace_page(closed(page, now))
            except Changed:
                msg = f"A page of {work.request.key} is in use."
                raise NotReady(msg, retry_after=READ_PAUSE, waiting_for="time") from None
    letter = compose_offboarded(
        work.request.key,
        work.profile.name,
        organisation=parts.organisation,
        owner=await parts.find_principal(work.request.owner),
        contact=work.profile.handoff.contact if work.profile.handoff.to == "vendor" else None,
        deletes=step.deletes,
        operation=work.operation.id,
        asked=Asked(work.request.requested_by, work.request.ticket),
    )
    await parts.mail(letter)
    return work.observed


async def delete_application(parts: Parts, work: Work) -> Observed:
    """Soft-delete the application; its service principal goes with it."""
    await parts.graph.delete_application(work.application.object_id)
    gone = str(work.application.object_id)
    return replace(work.observed, application=None, service_principal=None, assignments=(), deleted=(gone,))


async def restore(parts: Parts, object_id: ObjectId | None, work: Work, now: datetime) -> Observed:
    """Bring a deleted object back and read afresh what it holds."""
    if object_id is None:
        msg = f"The service principal of {work.request.key} is not among the deleted ones yet."
        raise NotReady(msg, retry_after=READ_PAUSE)
    await parts.graph.restore(object_id)
    return await observe(parts, work.request.key, work.profile, now, work.request.owner)
