"""Observing: everything that a plan for one key is made from, read now."""

from dataclasses import replace
from datetime import datetime

from clients.tenant.intents import BELIEVED
from clients.tenant.parts import READ_PAUSE, Parts
from sso.errors import NotReady
from sso.model import Application, ApplicationTemplate, Key, ObjectId, owner_from_tags
from sso.observed import Observed
from sso.onboarding import credential_of
from sso.steps import Instantiate
from vendors.profile import GallerySource, OidcProfile, Profile, SamlProfile


async def observe(parts: Parts, key: Key, profile: Profile, now: datetime) -> Observed:
    """Read tenant, vault and ledger; raises `NotReady` while no replica shows what is known to be there."""
    source = profile.source
    templates: tuple[ApplicationTemplate, ...] = ()
    if isinstance(source, GallerySource):
        templates = await parts.graph.templates(source.gallery or profile.name, source.template_id)
    fitting = [template for template in templates if profile.protocol in template.sign_on_modes]
    identifiers = profile.saml.identifiers if isinstance(profile, SamlProfile) else ()
    found = await parts.graph.find(
        key,
        profile.name,
        fitting[0].id if len(fitting) == 1 else None,
        [entry for entry in identifiers if "{" not in entry] if isinstance(identifiers, tuple) else [],
    )
    application = found.application or await _made_before(parts, key, now)
    observed = Observed(
        key=key,
        application=application,
        templates=templates,
        siblings=found.siblings,
        unmanaged=found.unmanaged,
        deleted=found.deleted,
        adoptables=found.adoptables if application is None else (),
        offered_elsewhere=found.offered_elsewhere,
        own_client_id=(await parts.graph.identity()).client_id if found.adoptables else None,
        twins=tuple([twin.object_id for twin in found.twins if await parts.graph.is_unused(twin)]),
        page=next(iter(await parts.ledger.pages(key)), None),
    )
    application = application or observed.adoptable
    if application is None:
        return observed
    service_principal, grant, assignments = await parts.graph.service_principal(application.client_id)
    owner = owner_from_tags(application.tags)
    observed = replace(
        observed,
        service_principal=service_principal,
        grant=grant,
        assignments=assignments,
        versions=await parts.vault.versions(key, application.client_id) if isinstance(profile, OidcProfile) else (),
        owner=await parts.find_principal(owner) if owner else None,
    )
    observed = await with_presets(parts, observed, profile)
    credential = credential_of(profile, observed, now)
    acknowledgement = await parts.ledger.acknowledgement(key, credential) if credential else None
    return replace(observed, acknowledged=acknowledgement.at if acknowledgement else None)


async def _made_before(parts: Parts, key: Key, now: datetime) -> Application | None:
    """The application that an answered instantiate made, which lists may not show yet: read by its id."""
    made = await parts.ledger.find_intent(key, Instantiate.name)
    if made is None or made.answer is None or now - made.at >= BELIEVED:
        return None
    application = await parts.graph.application(ObjectId(made.answer))
    if application is None and not await parts.graph.was_deleted(ObjectId(made.answer)):
        msg = f"The application of {key} is not in every replica yet."
        raise NotReady(msg, retry_after=READ_PAUSE)
    return application


async def with_presets(parts: Parts, observed: Observed, profile: Profile) -> Observed:
    """The gallery's preset addresses, where the profile wants them and the application has none."""
    application = observed.application
    if application is None or application.template_id is None:
        return observed
    if isinstance(profile, SamlProfile):
        lacking = (profile.saml.identifiers == "template" and not application.identifiers) or (
            profile.saml.reply_urls == "template" and not application.reply_urls
        )
    else:
        lacking = profile.oidc.redirect_uris == "template" and not application.reply_urls
    if not lacking:
        return observed
    configuration = dict(await parts.graph.configuration(application.template_id))
    return replace(
        observed,
        templates=tuple(
            replace(template, configuration=configuration) if template.id == application.template_id else template
            for template in observed.templates
        ),
    )
