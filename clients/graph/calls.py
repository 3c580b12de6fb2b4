"""What every call shares: the road, our own token, and Microsoft Graph's own service principal."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from kiota_abstractions.base_request_builder import BaseRequestBuilder
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from clients.graph.wire import JSON, GraphWire, no_token
from sso.model import (
    GRAPH_CLIENT_ID,
    ApplicationTemplate,
    ObjectId,
)

PAGE_SIZE = 999  # the most that $top takes
CREATE_IF_MISSING = "create-if-missing"  # learn.microsoft.com/graph/api/application-upsert


@dataclass(frozen=True)
class Identity:
    """Who Gatehouse is in the tenant: its own client ID and the application permissions its token carries."""

    client_id: str
    roles: frozenset[str]


class GraphCalls:
    """The road to one tenant's Graph, as the calls use it."""

    def __init__(self, url: str, credential: AsyncTokenCredential, wait_scale: float = 1.0) -> None:
        """Open the road; nothing is sent yet."""
        self._wire = GraphWire(url, credential, wait_scale)
        self._api = self._wire.builders
        self._credential = credential
        self._scope = f"{url}/.default"
        self._templates: dict[str, tuple[float, tuple[ApplicationTemplate, ...]]] = {}  # by name or id, with their time
        self._graph: tuple[ObjectId, Mapping[str, str]] | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    async def identity(self) -> Identity:
        """Read our own Graph token: who we are and which permissions it carries."""
        try:
            token = (await self._credential.get_token(self._scope)).token
        except AzureError as error:
            raise no_token(error) from None
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return Identity(str(claims.get("appid") or claims.get("azp")), frozenset(claims.get("roles") or ()))

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

    async def _further(self, operation: str, page: JSON | None) -> list[JSON]:
        """The pages behind the first one."""
        bodies: list[JSON] = []
        link = (page or {}).get("@odata.nextLink")
        while link:
            info = RequestInformation(Method.GET)
            info.url = link
            page = await self._wire.send(operation, info, repeat=True)
            bodies += values_of(page)
            link = (page or {}).get("@odata.nextLink")
        return bodies

    async def _graph_itself(self) -> tuple[ObjectId, Mapping[str, str]]:
        """Microsoft Graph's own service principal: its object ID and its delegated permissions, ID to name."""
        if self._graph is None:
            builder = self._api.service_principals_with_app_id(GRAPH_CLIENT_ID)
            info = self._get(builder, select=["id", "oauth2PermissionScopes"])
            (found,) = await self._wire.read_together("read Microsoft Graph", [info])
            body = found or {}
            names = {scope["id"]: scope["value"] for scope in body.get("oauth2PermissionScopes") or ()}
            self._graph = ObjectId(body["id"]), names
        return self._graph

    async def _scope_names(self) -> Mapping[str, str]:
        return (await self._graph_itself())[1]


def values_of(page: JSON | None) -> list[JSON]:
    """The objects of a page; none of a missing one."""
    return list((page or {}).get("value") or [])


def quoted(text: str) -> str:
    """A text inside an OData string literal."""
    return text.replace("'", "''")
