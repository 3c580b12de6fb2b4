"""Service principals: sign-on, signing certificates, consent, and who is assigned."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kiota_abstractions.method import Method

from clients.graph import decode
from clients.graph.assignments import AssignmentCalls
from clients.graph.calls import CREATE_IF_MISSING, PAGE_SIZE, values_of
from clients.graph.refusals import ALREADY_CONSENTED, refusal, says
from clients.graph.wire import JSON, Answer
from sso.errors import NotReady, TenantError
from sso.model import (
    Application,
    AppRoleAssignment,
    ClientId,
    ConsentGrant,
    ObjectId,
    ServicePrincipal,
    Thumbprint,
    TokenSigningCertificate,
)
from sso.steps import ServicePrincipalSettings

FORBIDDEN, NOT_FOUND = 403, 404


class ServicePrincipalCalls(AssignmentCalls):
    """Calls on /servicePrincipals and /oauth2PermissionGrants."""

    async def service_principal(
        self, client_id: ClientId
    ) -> tuple[ServicePrincipal | None, ConsentGrant | None, tuple[AppRoleAssignment, ...]]:
        """The service principal of an application, its tenant-wide grant and its assignments."""
        info = self._get(self._api.service_principals_with_app_id(client_id), select=decode.SERVICE_PRINCIPAL_FIELDS)
        body = await self._wire.send("read service principal", info, repeat=True, missing_is_none=True)
        if body is None:
            return None, None, ()
        found = decode.service_principal(body)
        looks = [
            self._get(self._api.oauth2_permission_grants, filter_=f"clientId eq '{found.object_id}'"),
            self._get(self._assigned_to(found.object_id), top=PAGE_SIZE),
        ]
        granted, answer = await self._wire.answers_together(looks)
        # Without permission on grants none is seen: an onboarding that needs one learns it when it writes it, and waits
        # for an administrator; the others need no such permission.
        grants = _body_of("read grants", granted) if granted.status != FORBIDDEN else None
        assigned = _body_of("read assignments", answer)
        for_everyone = [entry for entry in values_of(grants) if entry.get("consentType") == "AllPrincipals"]
        entries = values_of(assigned) + await self._further("read assignments", assigned)
        return (
            found,
            decode.grant(for_everyone[0]) if for_everyone else None,
            tuple(decode.assignment(entry) for entry in entries),
        )

    async def deleted_service_principal(self, client_id: ClientId) -> ObjectId | None:
        """The soft-deleted service principal of an application."""
        info = self._get(
            self._api.directory.deleted_items.graph_service_principal,
            select=["id"],
            filter_=f"appId eq '{client_id}'",
        )
        found = values_of(await self._wire.send("find deleted", info, repeat=True))
        return ObjectId(found[0]["id"]) if found else None

    async def managed_service_principals(self) -> Mapping[str, ServicePrincipal]:
        """Every service principal that carries our mark, by client ID."""
        info = self._get(
            self._api.service_principals,
            filter_="tags/any(t:t eq 'gatehouse')",
            select=decode.SERVICE_PRINCIPAL_FIELDS,
            top=PAGE_SIZE,
        )
        page = await self._wire.send("list service principals", info, repeat=True)
        bodies = values_of(page) + await self._further("list service principals", page)
        return {body["appId"]: decode.service_principal(body, listed=True) for body in bodies}

    async def is_unused(self, application: Application) -> bool:
        """Whether an application has no credential, no assignment and no owner but us."""
        if application.passwords:
            return False
        service_principal, _, assignments = await self.service_principal(application.client_id)
        if assignments or (service_principal and service_principal.certificates):
            return False
        info = self._get(self._api.applications.by_application_id(application.object_id).owners, select=["id", "appId"])
        owners = values_of(await self._wire.send("read owners", info, repeat=True))
        me = (await self.identity()).client_id
        return all(owner.get("appId") == me for owner in owners)

    async def upsert_service_principal(
        self, client_id: ClientId, settings: ServicePrincipalSettings
    ) -> ServicePrincipal:
        """Make or update the service principal of an application; idempotent."""
        builder = self._api.service_principals_with_app_id(client_id)
        made = await self._write(
            "create service principal",
            Method.PATCH,
            builder,
            service_principal_body(settings),
            repeat=True,
            Prefer=CREATE_IF_MISSING,
        )
        if not made:
            info = self._get(builder, select=decode.SERVICE_PRINCIPAL_FIELDS)
            made = await self._wire.send("read service principal", info, repeat=True) or {}
        return decode.service_principal(made)

    async def update_service_principal(self, object_id: ObjectId, settings: ServicePrincipalSettings) -> None:
        """Change a service principal's sign-on; idempotent."""
        builder = self._api.service_principals.by_service_principal_id(object_id)
        body = service_principal_body(settings)
        await self._write("update service principal", Method.PATCH, builder, body, repeat=True)

    async def add_certificate(self, object_id: ObjectId, subject: str, ends: datetime) -> TokenSigningCertificate:
        """Add a signing certificate, not active; not idempotent, never repeated here."""
        builder = self._api.service_principals.by_service_principal_id(object_id).add_token_signing_certificate
        body = {"displayName": subject, "endDateTime": decode.wire_moment(ends)}
        return decode.certificate(await self._write("add certificate", Method.POST, builder, body))

    async def activate_certificate(self, object_id: ObjectId, thumbprint: Thumbprint) -> None:
        """Sign with this certificate from now on; idempotent."""
        builder = self._api.service_principals.by_service_principal_id(object_id)
        body = {"preferredTokenSigningKeyThumbprint": thumbprint}
        await self._write("activate certificate", Method.PATCH, builder, body, repeat=True)

    async def remove_certificate(
        self, object_id: ObjectId, thumbprint: Thumbprint, subject: str, now: datetime
    ) -> None:
        """Take out both halves of a certificate and the password over them; idempotent.

        The three share a custom key identifier, and Graph takes whole arrays only, without entries that have ended
        (graph-contract 9): of those only ones with our `subject` may go along. Raises `NotReady` where the certificate
        signs, `TenantError` where somebody else's ended one stands in the way.
        """
        builder = self._api.service_principals.by_service_principal_id(object_id)
        fields = ["id", "preferredTokenSigningKeyThumbprint", "keyCredentials", "passwordCredentials"]
        body = await self._wire.send("read service principal", self._get(builder, select=fields), repeat=True) or {}
        if str(body.get("preferredTokenSigningKeyThumbprint") or "").upper() in {"", thumbprint}:
            raise NotReady("The certificate that is to be removed still signs in some replica.", retry_after=5)
        kept = _without_certificate(body, thumbprint, subject, now)
        await self._write("remove certificate", Method.PATCH, builder, kept, repeat=True)

    async def active_thumbprint(self, object_id: ObjectId) -> str | None:
        """The thumbprint that the service principal names now."""
        builder = self._api.service_principals.by_service_principal_id(object_id)
        info = self._get(builder, select=["id", "preferredTokenSigningKeyThumbprint"])
        body = await self._wire.send("read service principal", info, repeat=True) or {}
        found = body.get("preferredTokenSigningKeyThumbprint")
        return str(found).upper() if found else None

    async def consent(self, object_id: ObjectId, scopes: frozenset[str], grant: ConsentGrant | None) -> ConsentGrant:
        """Consent for everyone; an existing grant is widened to the union, never narrowed."""
        graph_id, _ = await self._graph_itself()
        if grant:
            union = grant.scopes | scopes
            builder: Any = self._api.oauth2_permission_grants.by_o_auth2_permission_grant_id(grant.id)
            body: JSON = {"scope": " ".join(sorted(union))}
            await self._write("consent", Method.PATCH, builder, body, repeat=True)
            return ConsentGrant(grant.id, union)
        builder = self._api.oauth2_permission_grants
        body = {
            "clientId": object_id,
            "consentType": "AllPrincipals",
            "resourceId": graph_id,
            "scope": " ".join(sorted(scopes)),
        }
        info = self._wire.request(Method.POST, builder.url_template, builder.path_parameters, body)
        answer = await self._wire.answer(info)
        if answer.ok:
            return decode.grant(answer.body)
        if says(answer.fault, ALREADY_CONSENTED):
            raise NotReady("The consent grant is there, but not in every replica yet.", retry_after=5)
        raise refusal("consent", answer.fault)


def service_principal_body(settings: ServicePrincipalSettings) -> JSON:
    """What is wanted of a service principal, as Graph takes it."""
    body: JSON = {
        "preferredSingleSignOnMode": settings.sign_on_mode,
        "loginUrl": settings.sign_on_url,
        "logoutUrl": settings.logout_url,
        "samlSingleSignOnSettings": None if settings.relay_state is None else {"relayState": settings.relay_state},
        "appRoleAssignmentRequired": settings.assignment_required,
        "notificationEmailAddresses": (
            None if settings.notification_addresses is None else list(settings.notification_addresses)
        ),
        "tags": None if settings.tags is None else list(settings.tags),
        "accountEnabled": settings.enabled,
    }
    return {name: value for name, value in body.items() if value is not None}


def _without_certificate(body: JSON, thumbprint: Thumbprint, subject: str, now: datetime) -> JSON:
    """Both arrays without one certificate, and without ours that have ended; raises `TenantError`."""
    identifier = base64.b64encode(bytes.fromhex(thumbprint)).decode()
    kept: JSON = {}
    for name in ("keyCredentials", "passwordCredentials"):
        kept[name] = []
        for entry in body.get(name) or ():
            if entry.get("customKeyIdentifier") == identifier:
                continue
            if decode.moment(entry["endDateTime"]) > now:
                kept[name].append(entry)
            elif entry.get("displayName") != subject:
                msg = (
                    f"The service principal holds the credential {entry.get('keyId')}, which has ended and is not"
                    " ours. Graph takes no array with an ended entry, so nothing can be removed beside it. Remove it."
                )
                raise TenantError(msg)
    return kept


def _body_of(operation: str, answer: Answer) -> JSON | None:
    """The body of a read, None for 404; raises what its failure means."""
    if not answer.ok and answer.status != NOT_FOUND:
        raise refusal(operation, answer.fault)
    return answer.body if answer.ok else None
