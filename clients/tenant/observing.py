"""Observing: everything that a plan for one key is made from, read now."""

from dataclasses import replace
from datetime import datetime

from clients.graph.applications import FoundApplication
from clients.graph.together import together
from clients.tenant.intents import BELIEVED
from clients.tenant.parts import READ_PAUSE, Parts
from sso.app_management import Policy, in_force
from sso.errors import NotReady
from sso.model import Application, Key, ObjectId, Principal, VaultVersion, owner_from_tags
from sso.observed import Observed
from sso.steps import Instantiate
from sso.told import credential_of
from vendors.profile import GallerySource, OidcProfile, Profile, SamlProfile


async def observe(parts: Parts, key: Key, profile: Profile, now: datetime, owner: ObjectId | None = None) -> Observed:
    """Read tenant, vault and ledger; raises `NotReady` while no replica shows what is known to be there.

    `owner` is whom a request names: looked up on the way, and told where the application names nobody yet.
    """
    (found, default), pages, made_before, named = await together(
        _find(parts, key, profile),
        parts.ledger.pages(key),
        _made_before(parts, key, now),
        _principal(parts, owner),
    )
    application = found.application
    if application is None and made_before is not None:
        application = await _by_id(parts, key, made_before)
    observed = Observed(
        key=key,
        application=application,
        templates=found.templates,
        siblings=found.siblings,
        unmanaged=found.unmanaged,
        deleted=found.deleted,
        adoptables=found.adoptables if application is None else (),
        offered_elsewhere=found.offered_elsewhere,
        own_client_id=(await parts.graph.identity()).client_id if found.adoptables else None,
        twins=tuple([twin.object_id for twin in found.twins if await parts.graph.is_unused(twin)]),
        owner=named,
        policy=in_force(default, None),
        page=next(iter(pages), None),
    )
    application = application or observed.adoptable
    if application is None:
        return observed
    tagged = owner_from_tags(application.tags)
    (service_principal, grant, assignments), versions, answers_for_it, own = await together(
        parts.graph.service_principal(application.client_id),
        _versions(parts, key, profile, application),
        _principal(parts, tagged if tagged != owner else None),
        parts.graph.own_policy(application.object_id),
    )
    observed = replace(
        observed,
        service_principal=service_principal,
        grant=grant,
        assignments=assignments,
        versions=versions,
        owner=named if tagged in (None, owner) else answers_for_it,
        policy=in_force(default, own),
    )
    if service_principal is None and observed.application:
        gone = await parts.graph.deleted_service_principal(application.client_id)
        observed = replace(observed, deleted_service_principal=gone)
    observed = await with_presets(parts, observed, profile)
    credential = credential_of(profile, observed, now)
    acknowledgement = await parts.ledger.acknowledgement(key, credential) if credential else None
    if credential is None or acknowledgement is None:
        return observed
    return replace(observed, acknowledgements={credential: acknowledgement.at})


async def _find(parts: Parts, key: Key, profile: Profile) -> tuple[FoundApplication, Policy | None]:
    """What the directory says of the key, and of every credential."""
    identifiers = profile.saml.identifiers if isinstance(profile, SamlProfile) else ()
    gallery = profile.source if isinstance(profile.source, GallerySource) else None
    looked = parts.graph.find(
        key,
        profile.name,
        [entry for entry in identifiers if "{" not in entry] if isinstance(identifiers, tuple) else [],
        protocol=profile.protocol,
        gallery=(gallery.gallery or profile.name) if gallery else None,
        template_id=gallery.template_id if gallery else None,
    )
    return await together(looked, parts.graph.default_policy())


async def _principal(parts: Parts, owner: ObjectId | None) -> Principal | None:
    return await parts.find_principal(owner) if owner else None


async def _versions(parts: Parts, key: Key, profile: Profile, application: Application) -> tuple[VaultVersion, ...]:
    return await parts.vault.versions(key, application.client_id) if isinstance(profile, OidcProfile) else ()


async def _made_before(parts: Parts, key: Key, now: datetime) -> ObjectId | None:
    """The id that an answered instantiate told a while ago."""
    made = await parts.ledger.find_intent(key, Instantiate.name)
    if made is None or made.answer is None or now - made.at >= BELIEVED:
        return None
    return ObjectId(made.answer)


async def _by_id(parts: Parts, key: Key, object_id: ObjectId) -> Application | None:
    """The application that an answered instantiate made, which lists may not show yet; None where it was deleted."""
    application = await parts.graph.application(object_id)
    if application is None and not await parts.graph.was_deleted(object_id):
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
