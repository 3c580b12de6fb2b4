"""Applications: templates, registrations, client secrets."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from clients.graph import decode
from clients.graph.calls import CREATE_IF_MISSING, PAGE_SIZE, GraphCalls, quoted, values_of
from clients.graph.refusals import refusal, says
from clients.graph.together import together
from clients.graph.wire import JSON
from sso.errors import NotReady, TenantError
from sso.model import (
    Application,
    ApplicationTemplate,
    Key,
    KeyId,
    ObjectId,
    PasswordCredential,
    Secret,
    ServicePrincipal,
    TemplateId,
    Unmanaged,
    adoption_tag,
    key_from_tags,
)
from sso.steps import ApplicationSettings

GALLERY_AGE = 3600.0  # seconds that entries of the gallery are taken for what it says (graph-contract 6: up to a day)


@dataclass(frozen=True)
class FoundApplication:
    """What one look at the directory says about a key."""

    application: Application | None
    templates: tuple[ApplicationTemplate, ...]  # the gallery's entries that the profile means
    twins: tuple[Application, ...]  # others under the temporary name
    adoptables: tuple[Application, ...]  # those that carry the tag of consent to an adoption
    offered_elsewhere: tuple[str, ...]  # names of service principals tagged so, whose application is not here
    siblings: tuple[Key, ...]
    unmanaged: tuple[Unmanaged, ...]
    deleted: tuple[str, ...]


class ApplicationCalls(GraphCalls):
    """Calls on /applications, /applicationTemplates and what was deleted."""

    async def find(
        self,
        key: Key,
        name: str,
        identifiers: Sequence[str],
        *,
        protocol: str,
        gallery: str | None = None,
        template_id: str | None = None,
    ) -> FoundApplication:
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
                filter_=f"displayName eq '{quoted(name)}' or uniqueName eq '{key.marker}'",
            ),
            self._list(f"displayName eq '{quoted(name)}'"),
            *(self._list(f"identifierUris/any(u:u eq '{quoted(identifier)}')") for identifier in identifiers),
        ]
        answers, scopes, (templates, made_of) = await together(
            self._wire.read_together("find applications", looks),
            self._scope_names(),
            self._of_template(protocol, gallery, template_id),
        )
        by_name, by_tag, temporary, offered, instances, managed, deleted, *others = answers
        # The one with the unique name or the key's tag wins, else the older of those under the temporary name.
        named = [decode.application(body, scopes) for body in ([by_name] if by_name else values_of(by_tag))]
        made = sorted((decode.application(body, scopes) for body in values_of(temporary)), key=lambda a: a.created)
        application = next(iter([*named, *made]), None)
        keys = {key_from_tags(tuple(body.get("tags") or ())) for body in values_of(managed)}
        siblings = sorted(other for other in keys if other and other.vendor == key.vendor and other != key)
        strangers = {body["id"]: body for found in (*others, made_of) for body in values_of(found)}
        return FoundApplication(
            application=application,
            templates=templates,
            twins=tuple(twin for twin in made if application and twin.object_id != application.object_id),
            adoptables=tuple(decode.application(body, scopes) for body in values_of(offered)),
            offered_elsewhere=tuple(
                body["displayName"]
                for body in values_of(instances)
                if body["appId"] not in {offer["appId"] for offer in values_of(offered)}
                and not (application and body["appId"] == application.client_id)
            ),
            siblings=tuple(siblings),
            unmanaged=tuple(
                decode.unmanaged(body)
                for body in strangers.values()
                if "gatehouse" not in (body.get("tags") or ())
                and (not application or body["id"] != application.object_id)
            ),
            deleted=tuple(body["id"] for body in values_of(deleted) if key.tag in (body.get("tags") or ())),
        )

    async def _of_template(
        self, protocol: str, gallery: str | None, template_id: str | None
    ) -> tuple[tuple[ApplicationTemplate, ...], JSON | None]:
        """The gallery's entries that are meant, and the applications made from the one that fits."""
        if gallery is None and template_id is None:
            return (), None
        found = await self.templates(gallery, template_id)
        fitting = [template.id for template in found if protocol in template.sign_on_modes]
        if len(fitting) != 1:
            return found, None
        look = self._list(f"applicationTemplateId eq '{fitting[0]}'")
        (made_of,) = await self._wire.read_together("find applications", [look])
        return found, made_of

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
        """Gallery entries of exactly this name, or the pinned one; the gallery changes by the week, so an hour old."""
        now, asked = asyncio.get_running_loop().time(), template_id or gallery or ""
        read_at, known = self._templates.get(asked, (0.0, ()))
        if known and now - read_at < GALLERY_AGE:
            return known
        if template_id:
            info = self._get(self._api.application_templates.by_application_template_id(template_id))
            (body,) = await self._wire.read_together("find template", [info])
            bodies = [body] if body else []
        else:
            info = self._get(self._api.application_templates, filter_=f"displayName eq '{quoted(gallery or '')}'")
            (page,) = await self._wire.read_together("find template", [info])
            bodies = values_of(page)
        found = tuple(decode.template(body) for body in bodies)
        self._templates[asked] = now, found
        return found

    async def configuration(self, template_id: TemplateId) -> Mapping[str, tuple[str, ...]]:
        """The preset addresses of a gallery entry, usage to values; only the beta has them (graph-contract 6)."""
        builder = self._api.application_templates.by_application_template_id(template_id)
        info = self._wire.beta(self._get(builder, select=["configurationUris"]))
        return decode.configuration(
            await self._wire.send("read template", info, repeat=True, missing_is_none=True) or {}
        )

    async def managed(self) -> tuple[tuple[Key, Application], ...]:
        """Every application that carries our mark, with its key."""
        page = await self._wire.send("list applications", self._list("tags/any(t:t eq 'gatehouse')"), repeat=True)
        bodies = values_of(page) + await self._further("list applications", page)
        found = [decode.application(body, {}) for body in bodies]
        keyed = ((key_from_tags(application.tags), application) for application in found)
        return tuple((key, application) for key, application in keyed if key)

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

    async def update_application(self, application: Application, settings: ApplicationSettings) -> None:
        """Change an application's names and addresses; idempotent."""
        builder = self._api.applications.by_application_id(application.object_id)
        body = await self._application_body(settings, application)
        await self._write("update application", Method.PATCH, builder, body, repeat=True)

    async def delete_application(self, object_id: ObjectId) -> None:
        """Soft-delete an application; gone already is success."""
        builder = self._api.applications.by_application_id(object_id)
        info = self._wire.request(Method.DELETE, builder.url_template, dict(builder.path_parameters))
        await self._wire.send("delete application", info, repeat=True, missing_is_none=True)

    async def restore(self, object_id: ObjectId) -> None:
        """Bring a soft-deleted object back; an application comes without its service principal (graph-contract 7)."""
        builder = self._api.directory.deleted_items.by_directory_object_id(object_id).restore
        info = self._wire.request(Method.POST, builder.url_template, dict(builder.path_parameters))
        await self._wire.send("restore", info, repeat=False)

    async def add_password(
        self, application: Application, display_name: str, ends: datetime
    ) -> tuple[PasswordCredential, Secret]:
        """Mint a client secret; its value exists in this answer only. Not idempotent, never repeated here."""
        builder = self._api.applications.by_application_id(application.object_id).add_password
        credential = {"displayName": display_name, "endDateTime": decode.wire_moment(ends)}
        body = await self._write("add secret", Method.POST, builder, {"passwordCredential": credential})
        try:
            secret = Secret(body.pop("secretText"))
            return decode.password(body), secret
        except (KeyError, TypeError, ValueError) as error:
            # Minted or not: whoever looks next finds out. What was answered is not repeated, it may hold the secret.
            msg = f"Graph answered 'add secret' oddly ({type(error).__name__}); look at the service's health."
            raise NotReady(msg, retry_after=5, unknown=True) from None

    async def remove_password(self, application: Application, key_id: KeyId) -> None:
        """Remove a client secret; one that is gone already is success."""
        builder = self._api.applications.by_application_id(application.object_id).remove_password
        info = self._wire.request(Method.POST, builder.url_template, builder.path_parameters, {"keyId": key_id})
        answer = await self._wire.answer(info)
        if not answer.ok and not says(answer.fault, ("no password credential found with keyid",)):
            raise refusal("remove secret", answer.fault)

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
            declared = application.required_access if application else "[]"
            body["requiredResourceAccess"] = decode.with_scopes(declared, [ids[name] for name in settings.scopes])
        if settings.rename_texts_from and application:
            name = settings.display_name or application.display_name
            renamed = decode.rename_scopes(application.scopes, settings.rename_texts_from, name)
            body["api"] = {"oauth2PermissionScopes": renamed}
        return {name: value for name, value in body.items() if value is not None}

    def _list(self, filter_: str, select: Sequence[str] = decode.APPLICATION_FIELDS) -> RequestInformation:
        return self._get(self._api.applications, select=select, filter_=filter_, top=PAGE_SIZE)
