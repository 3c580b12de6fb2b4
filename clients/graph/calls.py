"""The calls, one method each, named after Graph's own nouns."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from kiota_abstractions.base_request_builder import BaseRequestBuilder
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from clients.graph import decode
from clients.graph.refusals import ALREADY_ASSIGNED, ALREADY_CONSENTED, refusal, says
from clients.graph.wire import JSON, Answer, GraphWire
from sso.errors import GatehouseError, NotReady, TenantError
from sso.model import (
    GRAPH_CLIENT_ID,
    Application,
    ApplicationTemplate,
    AppRoleAssignment,
    AppRoleId,
    ClientId,
    ConsentGrant,
    Key,
    KeyId,
    ObjectId,
    PasswordCredential,
    Principal,
    Secret,
    ServicePrincipal,
    TemplateId,
    Thumbprint,
    TokenSigningCertificate,
    Unmanaged,
    adoption_tag,
    key_from_tags,
)
from sso.steps import ApplicationSettings, ServicePrincipalSettings

PAGE_SIZE = 999  # the most that $top takes
CREATE_IF_MISSING = "create-if-missing"  # learn.microsoft.com/graph/api/application-upsert


@dataclass(frozen=True)
class Identity:
    """Who Gatehouse is in the tenant: its own client ID and the application permissions its token carries."""

    client_id: str
    roles: frozenset[str]


@dataclass(frozen=True)
class FoundApplication:
    """What one look at the directory says about a key."""

    application: Application | None
    twins: tuple[Application, ...]  # others under the temporary name
    adoptables: tuple[Application, ...]  # those that carry the tag of consent to an adoption
    offered_elsewhere: tuple[str, ...]  # names of service principals tagged so, whose application is not here
    siblings: tuple[Key, ...]
    unmanaged: tuple[Unmanaged, ...]
    deleted: tuple[str, ...]


class Graph:
    """Microsoft Graph of one tenant."""

    def __init__(self, url: str, credential: AsyncTokenCredential, wait_scale: float = 1.0) -> None:
        """Open the road; nothing is sent yet."""
        self._wire = GraphWire(url, credential, wait_scale)
        self._api = self._wire.builders
        self._credential = credential
        self._scope = f"{url}/.default"
        self._graph: tuple[ObjectId, Mapping[str, str]] | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    async def identity(self) -> Identity:
        """Read our own Graph token: who we are and which permissions it carries."""
        token = (await self._credential.get_token(self._scope)).token
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return Identity(str(claims.get("appid") or claims.get("azp")), frozenset(claims.get("roles") or ()))

    # Reading

    async def find(self, key: Key, name: str, template_id: str | None, identifiers: Sequence[str]) -> FoundApplication:
        """Look for everything that one key could meet in the directory, in one `$batch`.

        By unique name; by the temporary name of an instantiate whose answer was lost; other instances of the vendor;
        applications without our mark of the same name, template or identifier; and what was deleted of this key.
        """
        looks = [
            self._get(self._api.applications_with_unique_name(key.marker), select=decode.APPLICATION_FIELDS),
            self._list(f"tags/any(t:t eq '{key.tag}')"),
            self._list(f"displayName eq '{key.marker}'"),
            self._list(f"tags/any(t:t eq '{adoption_tag(key)}')"),
            self._get(
                self._api.service_principals,
                select=["id", "appId", "displayName"],
                filter_=f"tags/any(t:t eq '{adoption_tag(key)}')",
            ),
            self._list("tags/any(t:t eq 'gatehouse')", ["id", "tags"]),
            self._get(
                self._api.directory.deleted_items.graph_application,
                select=["id", "displayName", "tags"],
                filter_=f"displayName eq '{_quoted(name)}' or uniqueName eq '{key.marker}'",
            ),
            self._list(f"displayName eq '{_quoted(name)}'"),
            *([self._list(f"applicationTemplateId eq '{template_id}'")] if template_id else []),
            *(self._list(f"identifierUris/any(u:u eq '{_quoted(identifier)}')") for identifier in identifiers),
        ]
        answers = await self._wire.read_together("find applications", looks)
        by_name, by_tag, temporary, offered, instances, managed, deleted, *others = answers
        scopes = await self._scope_names()
        # The one with the unique name or the key's tag wins, else the older of those under the temporary name.
        named = [decode.application(body, scopes) for body in ([by_name] if by_name else _values(by_tag))]
        made = sorted((decode.application(body, scopes) for body in _values(temporary)), key=lambda a: a.created)
        application = next(iter([*named, *made]), None)
        keys = {key_from_tags(tuple(body.get("tags") or ())) for body in _values(managed)}
        siblings = sorted(other for other in keys if other and other.vendor == key.vendor and other != key)
        strangers = {body["id"]: body for found in others for body in _values(found)}
        return FoundApplication(
            application=application,
            twins=tuple(twin for twin in made if application and twin.object_id != application.object_id),
            adoptables=tuple(decode.application(body, scopes) for body in _values(offered)),
            offered_elsewhere=tuple(
                body["displayName"]
                for body in _values(instances)
                if body["appId"] not in {offer["appId"] for offer in _values(offered)}
                and not (application and body["appId"] == application.client_id)
            ),
            siblings=tuple(siblings),
            unmanaged=tuple(
                decode.unmanaged(body)
                for body in strangers.values()
                if "gatehouse" not in (body.get("tags") or ())
                and (not application or body["id"] != application.object_id)
            ),
            deleted=tuple(body["id"] for body in _values(deleted) if key.tag in (body.get("tags") or ())),
        )

    async def application(self, object_id: ObjectId) -> Application | None:
        """One application by its object ID, which shows earlier than in any list."""
        info = self._get(self._api.applications.by_application_id(object_id), select=decode.APPLICATION_FIELDS)
        body = await self._wire.send("read application", info, repeat=True, missing_is_none=True)
        return decode.application(body, await self._scope_names()) if body else None

    async def was_deleted(self, object_id: ObjectId) -> bool:
        """Whether an object lies among the soft-deleted ones."""
        info = self._get(self._api.directory.deleted_items.by_directory_object_id(object_id), select=["id"])
        return await self._wire.send("find deleted", info, repeat=True, missing_is_none=True) is not None

    async def templates(self, gallery: str | None, template_id: str | None) -> tuple[ApplicationTemplate, ...]:
        """Gallery entries of exactly this name, or the pinned one, with their preset addresses of the beta."""
        if template_id:
            info = self._get(self._api.application_templates.by_application_template_id(template_id))
            body = await self._wire.send("find template", info, repeat=True, missing_is_none=True)
            found = [body] if body else []
        else:
            info = self._get(self._api.application_templates, filter_=f"displayName eq '{_quoted(gallery or '')}'")
            found = _values(await self._wire.send("find template", info, repeat=True))
        return tuple(decode.template(body) for body in found)

    async def configuration(self, template_id: TemplateId) -> Mapping[str, tuple[str, ...]]:
        """The preset addresses of a gallery entry, usage to values; only the beta has them (graph-contract 6)."""
        builder = self._api.application_templates.by_application_template_id(template_id)
        info = self._wire.beta(self._get(builder, select=["configurationUris"]))
        return decode.configuration(
            await self._wire.send("read template", info, repeat=True, missing_is_none=True) or {}
        )

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
        grants, assigned = await self._wire.read_together("read grants and assignments", looks)
        for_everyone = [entry for entry in _values(grants) if entry.get("consentType") == "AllPrincipals"]
        entries = _values(assigned) + await self._further("read assignments", assigned)
        return (
            found,
            decode.grant(for_everyone[0]) if for_everyone else None,
            tuple(decode.assignment(entry) for entry in entries),
        )

    async def managed(self) -> tuple[tuple[Key, Application], ...]:
        """Every application that carries our mark, with its key."""
        page = await self._wire.send("list applications", self._list("tags/any(t:t eq 'gatehouse')"), repeat=True)
        bodies = _values(page) + await self._further("list applications", page)
        found = [decode.application(body, {}) for body in bodies]
        keyed = ((key_from_tags(application.tags), application) for application in found)
        return tuple((key, application) for key, application in keyed if key)

    async def managed_service_principals(self) -> Mapping[str, ServicePrincipal]:
        """Every service principal that carries our mark, by client ID."""
        info = self._get(
            self._api.service_principals,
            filter_="tags/any(t:t eq 'gatehouse')",
            select=decode.SERVICE_PRINCIPAL_FIELDS,
            top=PAGE_SIZE,
        )
        page = await self._wire.send("list service principals", info, repeat=True)
        bodies = _values(page) + await self._further("list service principals", page)
        return {body["appId"]: decode.service_principal(body) for body in bodies}

    async def principals(
        self, users: Sequence[str], groups: Sequence[str], either: Sequence[str]
    ) -> tuple[dict[str, tuple[Principal, ...]], dict[str, tuple[Principal, ...]], dict[str, tuple[Principal, ...]]]:
        """Look people and groups up by object ID, principal name, mail address, alias or (groups) name.

        Three mappings from the text given to its hits: users, groups, and `either` (owners, who may be both).
        """
        user_looks = {text: self._user_looks(text) for text in dict.fromkeys([*users, *either])}
        group_looks = {text: self._group_looks(text) for text in dict.fromkeys([*groups, *either])}
        infos = [info for looks in (*user_looks.values(), *group_looks.values()) for info in looks]
        answers = iter(await self._wire.read_together("find users", infos))
        people = {text: _hits(decode.user, [next(answers) for _ in looks]) for text, looks in user_looks.items()}
        teams = {text: _hits(decode.group, [next(answers) for _ in looks]) for text, looks in group_looks.items()}
        return (
            {text: people[text] for text in users},
            {text: teams[text] for text in groups},
            {text: people[text] + teams[text] for text in either},
        )

    async def principal(self, object_id: ObjectId) -> Principal | None:
        """The user or group of an object ID, if it is still there."""
        found = await self.principals([], [], [object_id])
        return next(iter(found[2][object_id]), None)

    async def is_member(self, group: str, member: ObjectId) -> bool:
        """Whether somebody belongs directly to a group (by object ID)."""
        page = await self._wire.send(
            "find groups",
            self._get(self._api.groups.by_group_id(group).members, select=["id"], top=PAGE_SIZE),
            repeat=True,
            missing_is_none=True,
        )
        bodies = _values(page) + await self._further("find groups", page)
        return any(body["id"] == member for body in bodies)

    # Writing: applications

    async def instantiate(self, template_id: TemplateId, display_name: str) -> tuple[Application, ServicePrincipal]:
        """Make application and service principal from a template; not idempotent, never repeated here."""
        builder = self._api.application_templates.by_application_template_id(template_id).instantiate
        body = await self._write("instantiate", Method.POST, builder, {"displayName": display_name})
        scopes = await self._scope_names()
        return decode.application(body["application"], scopes), decode.service_principal(body["servicePrincipal"])

    async def upsert_application(self, key: Key, settings: ApplicationSettings) -> Application:
        """Make or update a registration by its unique name; idempotent."""
        body = await self._application_body(settings, None) | {"signInAudience": "AzureADMyOrg"}
        builder = self._api.applications_with_unique_name(key.marker)
        body.pop("uniqueName", None)
        made = await self._write(
            "create application", Method.PATCH, builder, body, repeat=True, Prefer=CREATE_IF_MISSING
        )
        if not made:
            found = await self._wire.send(
                "read application", self._get(builder, select=decode.APPLICATION_FIELDS), repeat=True
            )
            made = found or {}
        return decode.application(made, await self._scope_names())

    async def adopt_application(self, offered: Application, key: Key) -> None:
        """Write our mark onto an application made by hand; its unique name only where it has none (it is immutable)."""
        settings = ApplicationSettings(tags=offered.tags, unique_name=key.marker)
        if offered.unique_name != key.marker:
            settings = replace(settings, unique_name=None)
        await self.update_application(offered, settings)

    async def is_unused(self, application: Application) -> bool:
        """Whether an application has no credential, no assignment and no owner but us."""
        if application.passwords:
            return False
        service_principal, _, assignments = await self.service_principal(application.client_id)
        if assignments or (service_principal and service_principal.certificates):
            return False
        info = self._get(self._api.applications.by_application_id(application.object_id).owners, select=["id", "appId"])
        owners = _values(await self._wire.send("read owners", info, repeat=True))
        me = (await self.identity()).client_id
        return all(owner.get("appId") == me for owner in owners)

    async def delete_application(self, object_id: ObjectId) -> None:
        """Soft-delete an application; gone already is success."""
        builder = self._api.applications.by_application_id(object_id)
        info = self._wire.request(Method.DELETE, builder.url_template, dict(builder.path_parameters))
        await self._wire.send("delete application", info, repeat=True, missing_is_none=True)

    async def update_application(self, application: Application, settings: ApplicationSettings) -> None:
        """Change an application's names and addresses; idempotent."""
        builder = self._api.applications.by_application_id(application.object_id)
        body = await self._application_body(settings, application)
        await self._write("update application", Method.PATCH, builder, body, repeat=True)

    async def _application_body(self, settings: ApplicationSettings, application: Application | None) -> JSON:
        body: JSON = {
            "displayName": settings.display_name,
            "uniqueName": settings.unique_name,
            "tags": None if settings.tags is None else list(settings.tags),
            "identifierUris": None if settings.identifiers is None else list(settings.identifiers),
        }
        web = {
            "redirectUris": None if settings.reply_urls is None else list(settings.reply_urls),
            "logoutUrl": settings.logout_url,
        }
        body["web"] = {name: value for name, value in web.items() if value is not None} or None
        if settings.scopes is not None:
            ids = {name: scope_id for scope_id, name in (await self._scope_names()).items()}
            if unknown := set(settings.scopes) - set(ids):
                msg = (
                    f"Microsoft Graph publishes no delegated permission {', '.join(sorted(unknown))}; mend the profile."
                )
                raise TenantError(msg)
            access = [{"id": ids[name], "type": "Scope"} for name in settings.scopes]
            body["requiredResourceAccess"] = [{"resourceAppId": GRAPH_CLIENT_ID, "resourceAccess": access}]
        if settings.rename_texts_from and application:
            name = settings.display_name or application.display_name
            renamed = decode.rename_scopes(application.scopes, settings.rename_texts_from, name)
            body["api"] = {"oauth2PermissionScopes": renamed}
        return {name: value for name, value in body.items() if value is not None}

    async def add_password(
        self, application: Application, display_name: str, ends: datetime
    ) -> tuple[PasswordCredential, Secret]:
        """Mint a client secret; its value exists in this answer only. Not idempotent, never repeated here."""
        builder = self._api.applications.by_application_id(application.object_id).add_password
        credential = {"displayName": display_name, "endDateTime": decode.wire_moment(ends)}
        body = await self._write("add secret", Method.POST, builder, {"passwordCredential": credential})
        secret = Secret(body.pop("secretText"))
        return decode.password(body), secret

    async def remove_password(self, application: Application, key_id: KeyId) -> None:
        """Remove a client secret; one that is gone already is success."""
        builder = self._api.applications.by_application_id(application.object_id).remove_password
        info = self._wire.request(Method.POST, builder.url_template, builder.path_parameters, {"keyId": key_id})
        answer = await self._wire.answer(info)
        if not answer.ok and not says(answer.fault, ("no password credential found with keyid",)):
            raise refusal("remove secret", answer.fault)

    # Writing: service principals

    async def upsert_service_principal(
        self, client_id: ClientId, settings: ServicePrincipalSettings
    ) -> ServicePrincipal:
        """Make or update the service principal of an application; idempotent."""
        builder = self._api.service_principals_with_app_id(client_id)
        made = await self._write(
            "create service principal",
            Method.PATCH,
            builder,
            _service_principal_body(settings),
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
        body = _service_principal_body(settings)
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

    async def assign(
        self, service_principal_id: ObjectId, role_id: AppRoleId, principals: Sequence[ObjectId]
    ) -> list[GatehouseError | None]:
        """Give up to 20 principals one role, by one `$batch`; per principal None or why not.

        One that has the role already is success: Graph says so in two wordings (graph-contract 3).
        """
        builder = self._assigned_to(service_principal_id)
        infos = [
            self._wire.request(
                Method.POST,
                builder.url_template,
                builder.path_parameters,
                {"principalId": principal, "resourceId": service_principal_id, "appRoleId": role_id},
            )
            for principal in principals
        ]
        return [_assigned(answer) for answer in await self._wire.batch(infos, repeat=False)]

    async def send_mail(self, sender: str, mime: bytes) -> None:
        """Send a MIME message as `sender` (learn.microsoft.com/graph/api/user-sendmail); never repeated here."""
        builder = self._api.users.by_user_id(sender).send_mail
        info = self._wire.request(Method.POST, builder.url_template, builder.path_parameters)
        info.set_stream_content(mime, "text/plain")
        await self._wire.send("send mail", info, repeat=False)

    # How

    async def _write(
        self,
        operation: str,
        method: Method,
        builder: BaseRequestBuilder,
        body: JSON,
        *,
        repeat: bool = False,
        **headers: str,
    ) -> JSON:
        info = self._wire.request(method, builder.url_template, dict(builder.path_parameters), body, **headers)
        return await self._wire.send(operation, info, repeat=repeat) or {}

    def _get(
        self,
        builder: BaseRequestBuilder,
        *,
        select: Sequence[str] = (),
        filter_: str | None = None,
        top: int | None = None,
    ) -> RequestInformation:
        info = RequestInformation(Method.GET, builder.url_template, dict(builder.path_parameters))
        options = {"%24select": ",".join(select) or None, "%24filter": filter_, "%24top": top}
        info.query_parameters = {name: value for name, value in options.items() if value is not None}
        return info

    def _list(self, filter_: str, select: Sequence[str] = decode.APPLICATION_FIELDS) -> RequestInformation:
        return self._get(self._api.applications, select=select, filter_=filter_, top=PAGE_SIZE)

    def _assigned_to(self, object_id: ObjectId) -> BaseRequestBuilder:
        return self._api.service_principals.by_service_principal_id(object_id).app_role_assigned_to

    def _user_looks(self, text: str) -> list[RequestInformation]:
        quoted = _quoted(text)
        by_text = f"userPrincipalName eq '{quoted}' or mail eq '{quoted}' or proxyAddresses/any(p:p eq 'smtp:{quoted}')"
        looks = [self._get(self._api.users, select=decode.USER_FIELDS, filter_=by_text)]
        if _is_id(text):
            looks = [self._get(self._api.users.by_user_id(text), select=decode.USER_FIELDS)]
        return looks

    def _group_looks(self, text: str) -> list[RequestInformation]:
        quoted = _quoted(text)
        by_text = f"displayName eq '{quoted}' or mail eq '{quoted}' or proxyAddresses/any(p:p eq 'smtp:{quoted}')"
        looks = [self._get(self._api.groups, select=decode.GROUP_FIELDS, filter_=by_text)]
        if _is_id(text):
            looks = [self._get(self._api.groups.by_group_id(text), select=decode.GROUP_FIELDS)]
        return looks

    async def _further(self, operation: str, page: JSON | None) -> list[JSON]:
        """The pages behind the first one."""
        bodies: list[JSON] = []
        link = (page or {}).get("@odata.nextLink")
        while link:
            info = RequestInformation(Method.GET)
            info.url = link
            page = await self._wire.send(operation, info, repeat=True)
            bodies += _values(page)
            link = (page or {}).get("@odata.nextLink")
        return bodies

    async def _graph_itself(self) -> tuple[ObjectId, Mapping[str, str]]:
        """Microsoft Graph's own service principal: its object ID and its delegated permissions, ID to name."""
        if self._graph is None:
            builder = self._api.service_principals_with_app_id(GRAPH_CLIENT_ID)
            info = self._get(builder, select=["id", "oauth2PermissionScopes"])
            body = await self._wire.send("read Microsoft Graph", info, repeat=True) or {}
            names = {scope["id"]: scope["value"] for scope in body.get("oauth2PermissionScopes") or ()}
            self._graph = ObjectId(body["id"]), names
        return self._graph

    async def _scope_names(self) -> Mapping[str, str]:
        return (await self._graph_itself())[1]


def _service_principal_body(settings: ServicePrincipalSettings) -> JSON:
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
    }
    return {name: value for name, value in body.items() if value is not None}


def _assigned(answer: Answer) -> GatehouseError | None:
    if answer.ok or says(answer.fault, ALREADY_ASSIGNED):
        return None
    return refusal("assign", answer.fault)


def _values(page: JSON | None) -> list[JSON]:
    return list((page or {}).get("value") or [])


def _hits(read: Any, answers: Sequence[JSON | None]) -> tuple[Principal, ...]:  # user or group reader
    found: dict[str, Principal] = {}
    for answer in answers:
        for body in _values(answer) if answer and "value" in answer else [answer] if answer else []:
            found[body["id"]] = read(body)
    return tuple(found.values())


def _quoted(text: str) -> str:
    """A text inside an OData string literal."""
    return text.replace("'", "''")


def _is_id(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(c in "0123456789abcdefABCDEF-" for c in text)
