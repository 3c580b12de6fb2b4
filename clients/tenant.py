"""The tenant: everything outside, observed as one value and changed by one step at a time.

`observe` reads Entra, vault and ledger; `apply` is the one place that writes what a plan says, so there is one place to
kill. Each non-idempotent call has its recovery: an intent row before it, and a look for its effect before it is made
again (design 5). Grants are rows of their own whose repetition is success, mails are rows whose page says what was sent.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Self, assert_never

from azure.identity.aio import DefaultAzureCredential

from clients.graph import Graph
from clients.ledger import Changed, Intent, Ledger
from clients.mail import Mailer
from clients.queues import Queues
from clients.render import render_mail
from clients.settings import Settings
from clients.sts import Sts
from clients.vault import Vault
from sso import steps
from sso.assignment import batches, choose_role
from sso.errors import NotReady
from sso.handoff import Handoff, Page, closed, code_from, facts_of, new_page, page_url, token_from, with_code, with_link
from sso.letters import Asked, Letter, Organisation, compose_code, compose_handoff, compose_owner_changed
from sso.model import (
    Application,
    ApplicationTemplate,
    ClientId,
    Key,
    KeyId,
    ObjectId,
    OperationId,
    Principal,
    ServicePrincipal,
    Thumbprint,
    VaultVersion,
    owner_from_tags,
)
from sso.observed import Observed
from sso.onboarding import Deployment, credential_of, handoff
from sso.operation import Operation, settle
from sso.request import Onboarding
from sso.steps import ApplicationSettings, ServicePrincipalSettings, Step
from vendors.catalog import Catalog
from vendors.profile import GallerySource, OidcProfile, Profile, SamlProfile

_log = logging.getLogger(__name__)

PROOFS = 3  # tokens in a row that a new secret must obtain: token servers learn of it one by one
READS = 5  # good, or empty, reads in a row before they are believed (graph-contract 4)
READ_PAUSE = 5.0  # seconds between two such reads
CREDENTIAL_PAUSE = 15.0  # seconds between two credential writes of one application (graph-contract 4)
RACES = 20  # a row that changes more often than this while it is written has other trouble


@dataclass(frozen=True)
class Work:
    """One operation in hand: what it wants and what is there."""

    operation: Operation
    request: Onboarding
    profile: Profile
    observed: Observed


@dataclass(frozen=True)
class Tenant:
    """Everything outside, for one deployment; the sandbox and Azure are reached by settings alone."""

    settings: Settings
    catalog: Catalog
    graph: Graph
    vault: Vault
    sts: Sts
    ledger: Ledger
    queues: Queues
    mailer: Mailer
    credential: DefaultAzureCredential

    @classmethod
    def connect(cls, settings: Settings, catalog: Catalog | None = None) -> Self:
        """Open everything; nothing is sent yet. The only way to make a tenant, in Azure and beside the sandbox."""
        credential = DefaultAzureCredential(require_envvar=True)
        graph = Graph(settings.graph_url, credential, settings.wait_scale)

        async def post(mime: bytes) -> None:
            await graph.send_mail(settings.mail_sender, mime)

        return cls(
            settings=settings,
            catalog=catalog or Catalog(),
            graph=graph,
            vault=Vault(settings.vault_url, credential),
            sts=Sts(settings.authority_url, settings.tenant_id, settings.graph_url),
            ledger=Ledger.connect(settings.storage, settings.table_endpoint, credential),
            queues=Queues.connect(settings.storage, settings.queue_endpoint, credential),
            mailer=Mailer(settings.mail_sender, post),
            credential=credential,
        )

    async def close(self) -> None:
        """Close every connection."""
        for part in (self.graph, self.vault, self.ledger, self.queues, self.credential):
            await part.close()

    @property
    def deployment(self) -> Deployment:
        """What the settings add to every plan."""
        return Deployment(
            tenant_id=self.settings.tenant_id,
            authority_url=self.settings.authority_url,
            operators=self.settings.operators,
            allow_plain_secrets=self.settings.allow_plain_secrets,
        )

    @property
    def organisation(self) -> Organisation:
        """Who we are in mails and on pages."""
        settings = self.settings
        return Organisation(settings.organisation, settings.mail_sender, settings.tenant_id, settings.operators)

    async def wait(self, seconds: float) -> None:
        """Wait, in the deployment's measure."""
        await asyncio.sleep(seconds * self.settings.wait_scale)

    async def find_principal(self, object_id: ObjectId) -> Principal | None:
        """The user or group of an object ID, if it is still there."""
        return await self.graph.principal(object_id)

    async def lease(self, key: Key, holder: str, now: datetime) -> bool:
        """Take or renew the right to write to one key; False while another run holds it."""
        return await self.ledger.lease(key, holder, now, self.settings.wait_scale)

    async def mail(self, letter: Letter) -> None:
        """Put a letter into words and send it."""
        await self.mailer.send(render_mail(letter))

    # Observing

    async def observe(self, key: Key, profile: Profile) -> Observed:
        """Read everything that a plan for this key is made from."""
        source = profile.source
        templates: tuple[ApplicationTemplate, ...] = ()
        if isinstance(source, GallerySource):
            templates = await self.graph.templates(source.gallery or profile.name, source.template_id)
        fitting = [template for template in templates if profile.protocol in template.sign_on_modes]
        identifiers = profile.saml.identifiers if isinstance(profile, SamlProfile) else ()
        found = await self.graph.find(
            key,
            profile.name,
            fitting[0].id if len(fitting) == 1 else None,
            [entry for entry in identifiers if "{" not in entry] if isinstance(identifiers, tuple) else [],
        )
        observed = Observed(
            key=key,
            application=found.application,
            templates=templates,
            siblings=found.siblings,
            unmanaged=found.unmanaged,
            deleted=found.deleted,
        )
        page = next(iter(await self.ledger.pages(key)), None)
        observed = replace(observed, page=page)
        if found.application is None:
            return observed
        service_principal, grant, assignments = await self.graph.service_principal(found.application.client_id)
        owner = owner_from_tags(found.application.tags)
        observed = replace(
            observed,
            service_principal=service_principal,
            grant=grant,
            assignments=assignments,
            versions=await self.vault.versions(key) if isinstance(profile, OidcProfile) else (),
            owner=await self.find_principal(owner) if owner else None,
        )
        observed = await self._with_presets(observed, profile)
        credential = credential_of(profile, observed)
        acknowledgement = await self.ledger.acknowledgement(key, credential) if credential else None
        return replace(observed, acknowledged=acknowledgement.at if acknowledgement else None)

    async def _with_presets(self, observed: Observed, profile: Profile) -> Observed:
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
        configuration = dict(await self.graph.configuration(application.template_id))
        return replace(
            observed,
            templates=tuple(
                replace(template, configuration=configuration) if template.id == application.template_id else template
                for template in observed.templates
            ),
        )

    # Applying

    async def apply(self, step: Step, work: Work, now: datetime) -> Observed:
        """Carry out one step and return what is there now, as the answers told it; safe to repeat."""
        _log.info("apply %s for %s in operation %s", step.name, work.request.key, work.operation.id)
        match step:
            case steps.Instantiate():
                return await self._instantiate(step, work, now)
            case steps.CreateApplication():
                application = await self.graph.upsert_application(work.request.key, step.settings)
                return replace(work.observed, application=application)
            case steps.CreateServicePrincipal():
                made = await self.graph.upsert_service_principal(_application(work).client_id, step.settings)
                return replace(work.observed, service_principal=made)
            case steps.ConfigureServicePrincipal():
                return await self._configure_service_principal(step, work)
            case steps.ConfigureApplication():
                application = _application(work)
                await self.graph.update_application(application, step.settings)
                return replace(work.observed, application=_configured(application, step.settings))
            case steps.ChangeOwner():
                return await self._change_owner(step, work)
            case steps.GrantConsent():
                grant = await self.graph.consent(_service_principal(work).object_id, step.scopes, work.observed.grant)
                return replace(work.observed, grant=grant)
            case steps.AddCertificate():
                return await self._add_certificate(step, work, now)
            case steps.ActivateCertificate():
                return await self._activate_certificate(step, work)
            case steps.MintSecret():
                return await self._mint_secret(step, work, now)
            case steps.PromoteSecret():
                return await self._promote_secret(step, work)
            case steps.CloseStaged():
                return await self._close_staged(step.staged, work)
            case steps.DiscardSecret():
                return await self._discard_secret(step, work)
            case steps.Assign():
                return await self._assign(step, work)
            case steps.MailHandoff():
                return await self._mail_handoff(work, now)
            case steps.MailCode():
                return await self._mail_code(work, now)
            case _:
                assert_never(step)

    @asynccontextmanager
    async def _intent(self, work: Work, call: str, now: datetime) -> AsyncIterator[None]:
        """Note a non-idempotent call before it is made, and that it was answered afterwards.

        An intent that stands says that the outcome of an earlier call is unknown: "absent" is believed after five
        empty reads at least five seconds apart, and only then is the call made again.
        """
        key = work.request.key
        found = await self.ledger.find_intent(key, call)
        if found and found.empty_reads + 1 < READS:
            spaced = found.last_read is None or now - found.last_read >= timedelta(
                seconds=READ_PAUSE * self.settings.wait_scale
            )
            if spaced:
                found = replace(found, empty_reads=found.empty_reads + 1, last_read=now)
                await self.ledger.put_intent(key, found)
            msg = f"An earlier '{call}' for {key} may have been carried out; {found.empty_reads} looks found nothing."
            raise NotReady(msg, retry_after=READ_PAUSE)
        attempts = found.attempts + 1 if found else 1
        await self.ledger.put_intent(key, Intent(call, work.operation.id, now, attempts))
        yield
        await self.ledger.close_intent(key, call)

    async def _instantiate(self, step: steps.Instantiate, work: Work, now: datetime) -> Observed:
        async with self._intent(work, step.name, now):
            application, service_principal = await self.graph.instantiate(step.template_id, step.temporary_name)
        observed = replace(work.observed, application=application, service_principal=service_principal)
        return await self._with_presets(observed, work.profile)

    async def _configure_service_principal(self, step: steps.ConfigureServicePrincipal, work: Work) -> Observed:
        found = work.observed.service_principal
        if found is None:
            msg = f"The service principal of {work.request.key} is not in every replica yet."
            raise NotReady(msg, retry_after=READ_PAUSE)
        await self.graph.update_service_principal(found.object_id, step.settings)
        wanted = {f.name: getattr(step.settings, f.name) for f in fields(ServicePrincipalSettings)}
        changed: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        return replace(work.observed, service_principal=replace(found, **changed))

    async def _change_owner(self, step: steps.ChangeOwner, work: Work) -> Observed:
        application = _application(work)
        new = await self.find_principal(work.request.owner)
        if step.old and new:
            letter = compose_owner_changed(
                work.request.key,
                work.profile.name,
                organisation=self.organisation,
                old_owner=step.old,
                new_owner=new,
                operation=work.operation.id,
                asked=_asked(work.request),
            )
            await self.mail(letter)
        await self.graph.update_application(application, ApplicationSettings(tags=step.tags))
        return replace(work.observed, application=replace(application, tags=step.tags), owner=new)

    # Trust

    async def _add_certificate(self, step: steps.AddCertificate, work: Work, now: datetime) -> Observed:
        found = _service_principal(work)
        async with self._intent(work, step.name, now):
            added = await self.graph.add_certificate(found.object_id, step.subject, step.ends)
        return replace(work.observed, service_principal=replace(found, certificates=(*found.certificates, added)))

    async def _activate_certificate(self, step: steps.ActivateCertificate, work: Work) -> Observed:
        found = _service_principal(work)
        if step.thumbprint is None:
            msg = f"The signing certificate of {work.request.key} is not in every replica yet."
            raise NotReady(msg, retry_after=READ_PAUSE)
        await self.ledger.close_intent(work.request.key, steps.AddCertificate.name)
        await self.graph.activate_certificate(found.object_id, step.thumbprint)
        return replace(work.observed, service_principal=replace(found, active_thumbprint=step.thumbprint))

    async def _prove_certificate(self, client_id: ClientId, service_principal: ServicePrincipal) -> None:
        """See that the activated certificate is what signs and what is published, before anybody is told of it."""
        wanted = service_principal.active_thumbprint
        for _ in range(READS):
            if await self.graph.active_thumbprint(service_principal.object_id) != wanted:
                msg = "The activated certificate is not in every replica yet."
                raise NotReady(msg, retry_after=READ_PAUSE)
        if wanted is None or not await self.sts.metadata_lists(client_id, Thumbprint(wanted)):
            msg = "The federation metadata does not list the activated certificate yet."
            raise NotReady(msg, retry_after=READ_PAUSE)

    async def _mint_secret(self, step: steps.MintSecret, work: Work, now: datetime) -> Observed:
        application = _application(work)
        async with self._intent(work, step.name, now):
            minted, secret = await self.graph.add_password(application, step.display_name, step.ends)
            staged = await self.vault.stage(
                work.request.key, secret, key_id=minted.key_id, client_id=application.client_id
            )
        return replace(
            work.observed,
            application=replace(application, passwords=(*application.passwords, minted)),
            versions=(*work.observed.versions, staged),
        )

    async def _promote_secret(self, step: steps.PromoteSecret, work: Work) -> Observed:
        application, staged, key = _application(work), step.staged, work.request.key
        minted = next((p for p in application.passwords if staged and p.key_id == staged.key_id), None)
        if staged is None or minted is None:
            msg = f"The staged client secret of {key} cannot be read yet."
            raise NotReady(msg, retry_after=READ_PAUSE)
        await self.ledger.close_intent(key, steps.MintSecret.name)
        secret = await self.vault.read(staged)
        for _ in range(PROOFS):
            await self.sts.prove_secret(application.client_id, secret)
        promoted = await self.vault.promote(key, staged, secret, client_id=application.client_id, ends=minted.ends)
        observed = replace(work.observed, versions=(*work.observed.versions, promoted))
        return await self._close_staged(staged, replace(work, observed=observed))

    async def _close_staged(self, staged: VaultVersion, work: Work) -> Observed:
        await self.vault.disable(staged)
        others = tuple(v for v in work.observed.versions if (v.name, v.version) != (staged.name, staged.version))
        return replace(work.observed, versions=(*others, replace(staged, enabled=False)))

    async def _discard_secret(self, step: steps.DiscardSecret, work: Work) -> Observed:
        application = _application(work)
        await self.graph.remove_password(application, step.key_id)
        await self.ledger.close_intent(work.request.key, steps.MintSecret.name)
        await self.wait(CREDENTIAL_PAUSE)
        left = tuple(password for password in application.passwords if password.key_id != step.key_id)
        return replace(work.observed, application=replace(application, passwords=left))

    # People

    async def _assign(self, step: steps.Assign, work: Work) -> Observed:
        """Write the batches, then send their messages; the rows are what counts, a lost message is sent again."""
        service_principal = _service_principal(work)
        role = choose_role(service_principal.app_roles, step.role)
        there = await self.ledger.batches(work.operation.id)
        for batch in batches(step.principals, service_principal.object_id, role, first=len(there) + 1):
            try:
                await self.ledger.put_batch(work.operation.id, batch)
            except Changed:
                continue  # a second run wrote it first
        await self.send_batches(work.operation.id)
        return work.observed

    async def send_batches(self, operation: OperationId) -> None:
        """Send the message of every batch that is not through."""
        for batch in await self.ledger.batches(operation):
            if batch.open:
                await self.queues.send("assignments", operation, batch=batch.number)

    # Telling

    async def _mail_handoff(self, work: Work, now: datetime) -> Observed:
        """Mail the link. The page is written first, so a cut mail call doubles that mail alone."""
        told = self._told(work)
        if work.observed.service_principal and isinstance(work.profile, SamlProfile):
            await self._prove_certificate(_application(work).client_id, work.observed.service_principal)
        token = token_from(secrets.token_bytes(32))
        older, facts = work.observed.page, facts_of(told)
        resumed = older is not None and older.facts == facts and older.state == "open" and older.link_mailed is None
        page = with_link(older, token, now) if older and resumed else new_page(told, work.operation.id, token, now)
        page = await self.ledger.add_page(page)
        await self._close_pages(work.request.key, page, now)
        secret = None
        if told.plain and told.secret_label and told.credential:
            secret = await self.vault.read_secret(work.request.key, KeyId(told.credential))
        letter = compose_handoff(
            told,
            organisation=self.organisation,
            owner=await self.find_principal(work.request.owner),
            page_url=page_url(self.settings.public_url, token),
            valid_until=page.valid_until,
            asked=_asked(work.request),
            secret=secret,
        )
        await self.mail(letter)
        return replace(work.observed, page=await self._stamp(page, now, link=True))

    async def _mail_code(self, work: Work, now: datetime) -> Observed:
        """Mail the code, by a call of its own."""
        page = work.observed.page
        if page is None:
            msg = f"The page of {work.request.key} cannot be read yet."
            raise NotReady(msg, retry_after=READ_PAUSE)
        code = code_from(secrets.token_bytes(16))
        # The hash takes 20 ms on purpose; other invocations go on meanwhile.
        page = await asyncio.to_thread(with_code, page, code, secrets.token_hex(16), now)
        page = await self.ledger.replace_page(page)
        letter = compose_code(
            self._told(work),
            organisation=self.organisation,
            owner=await self.find_principal(work.request.owner),
            code=code,
            valid_until=page.valid_until,
        )
        await self.mail(letter)
        return replace(work.observed, page=await self._stamp(page, now))

    def _told(self, work: Work) -> Handoff:
        told = handoff(work.profile, work.request, work.observed, self.deployment)
        if told is None:
            msg = f"What the hand-off of {work.request.key} tells is not there yet."
            raise NotReady(msg, retry_after=READ_PAUSE)
        return told

    async def _close_pages(self, key: Key, current: Page, now: datetime) -> None:
        for page in await self.ledger.pages(key):
            if page.token_hash != current.token_hash and page.state in {"open", "collected"}:
                try:
                    await self.ledger.replace_page(closed(page, now))
                except Changed:
                    continue  # its holder was faster; the next hand-off closes it

    async def _stamp(self, page: Page, now: datetime, *, link: bool = False) -> Page:
        """Note that the mail of link or code was taken, whoever opened the page meanwhile."""
        for _ in range(RACES):
            stamped = replace(page, link_mailed=now) if link else replace(page, code_mailed=now)
            try:
                return await self.ledger.replace_page(stamped)
            except Changed:
                page = await self.ledger.find_page(page.token_hash) or page
        msg = "The hand-off's page changes faster than it can be written."
        raise NotReady(msg, retry_after=READ_PAUSE)

    # Settling

    async def settle(self, operation_id: OperationId, now: datetime) -> None:
        """Move an onboarding whose own run is through to where batches and acknowledgement have brought it.

        What ends one ends every other unfinished one of the same key that waits for the same.
        """
        settled = await self._settle(operation_id, now)
        if settled and settled.key and settled.state == "done":
            for other in await self.ledger.unfinished_of(settled.key):
                if other.handed_off:
                    await self._settle(other.id, now)

    async def _settle(self, operation_id: OperationId, now: datetime) -> Operation | None:
        for _ in range(RACES):
            operation = await self.ledger.find_operation(operation_id)
            if operation is None or operation.key is None or operation.finished:
                return operation
            profile = self.catalog.load(operation.key.vendor)
            page = next((p for p in await self.ledger.pages(operation.key) if p.state != "replaced"), None)
            said = None
            if page and page.credential:
                said = await self.ledger.acknowledgement(operation.key, page.credential)
            settled = settle(
                operation,
                await self.ledger.batches(operation_id),
                acknowledged=said is not None,
                whom=profile.handoff.contact or "the owner",
                until=page.valid_until if page else now,
                now=now,
            )
            if settled == operation:
                return operation
            try:
                return await self.ledger.replace_operation(settled)
            except Changed:
                continue
        msg = f"The operation {operation_id} changes faster than it can be written."
        raise NotReady(msg, retry_after=READ_PAUSE)


def _application(work: Work) -> Application:
    if work.observed.application is None:
        msg = f"The application of {work.request.key} is not in every replica yet."
        raise NotReady(msg, retry_after=READ_PAUSE)
    return work.observed.application


def _service_principal(work: Work) -> ServicePrincipal:
    if work.observed.service_principal is None:
        msg = f"The service principal of {work.request.key} is not in every replica yet."
        raise NotReady(msg, retry_after=READ_PAUSE)
    return work.observed.service_principal


def _configured(application: Application, settings: ApplicationSettings) -> Application:
    """The application as it stands after its settings were taken."""
    wanted = {f.name: getattr(settings, f.name) for f in fields(ApplicationSettings)}
    wanted["required_scopes"] = frozenset(wanted.pop("scopes") or application.required_scopes)
    renamed = wanted.pop("rename_texts_from") is not None
    changed: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    return replace(application, **changed, scopes=() if renamed else application.scopes)


def _asked(request: Onboarding) -> Asked:
    return Asked(request.requested_by, request.ticket)
