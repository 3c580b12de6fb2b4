"""Steps on the directory: application, service principal, consent, grants."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from clients.tenant.access import open_batches, send_batches
from clients.tenant.intents import intent
from clients.tenant.observing import with_presets
from clients.tenant.parts import Parts, Work
from sso import steps
from sso.assignment import choose_role, grant
from sso.errors import GatehouseError
from sso.model import Application, ServicePrincipal
from sso.observed import Observed
from sso.steps import ApplicationSettings, ServicePrincipalSettings


async def instantiate(parts: Parts, step: steps.Instantiate, work: Work, now: datetime) -> Observed:
    """Make application and service principal of a gallery template, once."""
    async with intent(parts, work, step.name, now) as attempt:
        application, service_principal = await parts.graph.instantiate(step.template_id, step.temporary_name)
        attempt.answer = application.object_id
    observed = replace(work.observed, application=application, service_principal=service_principal)
    return await with_presets(parts, observed, work.profile)


async def adopt(parts: Parts, step: steps.Adopt, work: Work) -> Observed:
    """Put our mark on an application that an administrator offered."""
    await parts.graph.adopt_application(step.application, work.request.key)
    return replace(work.observed, application=step.application, adoptables=())


async def remove_twin(parts: Parts, step: steps.RemoveTwin, work: Work) -> Observed:
    """Soft-delete the empty application that a lost answer left behind."""
    await parts.graph.delete_application(step.object_id)
    return replace(work.observed, twins=tuple(twin for twin in work.observed.twins if twin != step.object_id))


async def create_application(parts: Parts, step: steps.CreateApplication, work: Work) -> Observed:
    """Make an ordinary registration by its unique name."""
    application = await parts.graph.upsert_application(work.request.key, step.settings)
    return replace(work.observed, application=application)


async def create_service_principal(parts: Parts, step: steps.CreateServicePrincipal, work: Work) -> Observed:
    """Make the service principal of a registration."""
    made = await parts.graph.upsert_service_principal(work.application.client_id, step.settings)
    return replace(work.observed, service_principal=made)


async def configure_service_principal(parts: Parts, step: steps.ConfigureServicePrincipal, work: Work) -> Observed:
    """Set the sign-on of a service principal; on a new one this is the probe that it has replicated."""
    found = work.service_principal
    await parts.graph.update_service_principal(found.object_id, step.settings)
    return replace(work.observed, service_principal=_configured_principal(found, step.settings))


async def configure_application(parts: Parts, step: steps.ConfigureApplication, work: Work) -> Observed:
    """Set names, mark and addresses of an application."""
    await parts.graph.update_application(work.application, step.settings)
    return replace(work.observed, application=_configured(work.application, step.settings))


async def configure_both(
    parts: Parts, principal: steps.ConfigureServicePrincipal, application: steps.ConfigureApplication, work: Work
) -> tuple[Observed | GatehouseError, Observed | GatehouseError]:
    """Both in one call, the service principal first; of each what is there now, or why it was not carried out."""
    found, known, observed = work.service_principal, work.application, work.observed
    failed = await parts.graph.configure(found, principal.settings, known, application.settings)
    return (
        failed[0] or replace(observed, service_principal=_configured_principal(found, principal.settings)),
        failed[1] or replace(observed, application=_configured(known, application.settings)),
    )


def _configured_principal(found: ServicePrincipal, settings: ServicePrincipalSettings) -> ServicePrincipal:
    """The service principal as it stands after its settings were taken."""
    wanted = {entry.name: getattr(settings, entry.name) for entry in fields(ServicePrincipalSettings)}
    changed: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    return replace(found, **changed)


def _configured(application: Application, settings: ApplicationSettings) -> Application:
    """The application as it stands after its settings were taken."""
    wanted = {entry.name: getattr(settings, entry.name) for entry in fields(ApplicationSettings)}
    wanted["required_scopes"] = frozenset(wanted.pop("scopes") or application.required_scopes)
    renamed = wanted.pop("rename_texts_from") is not None
    changed: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    return replace(application, **changed, scopes=() if renamed else application.scopes)


async def grant_consent(parts: Parts, step: steps.GrantConsent, work: Work) -> Observed:
    """Consent for everyone."""
    grant = await parts.graph.consent(work.service_principal.object_id, step.scopes, work.observed.grant)
    return replace(work.observed, grant=grant)


async def assign(parts: Parts, step: steps.Assign, work: Work, now: datetime) -> Observed:
    """Write the batches, then send their messages; the rows are what counts, a lost message is sent again."""
    service_principal = work.service_principal
    role = choose_role(service_principal.app_roles, step.role)
    changes = [grant(principal, service_principal.object_id, role) for principal in step.principals]
    await open_batches(parts, work.operation.id, changes, now)
    await send_batches(parts, work.operation.id, now)
    return work.observed
