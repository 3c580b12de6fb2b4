"""The identity endpoint that App Service gives an app: tokens of Gatehouse's own managed identity.

Shape: learn.microsoft.com/azure/app-service/overview-managed-identity, section "REST endpoint reference".
"""

import secrets

from aiohttp import web

from sandbox.access import app_only_roles
from sandbox.tenant import SandboxTenant
from sandbox.tokens import tokens_of

API_VERSION = "2019-08-01"


def routes(tenant: SandboxTenant) -> list[web.RouteDef]:
    """The endpoint's one route."""
    tokens = tokens_of(tenant)

    async def token(request: web.Request) -> web.Response:
        """Give the app's own identity a token for one resource."""
        header = request.headers.get("X-IDENTITY-HEADER", "")
        if not secrets.compare_digest(header.encode(), tokens.identity_header.encode()):
            return _refused(401, "Unauthorized", "Expected the value of IDENTITY_HEADER in X-IDENTITY-HEADER.")
        if request.query.get("api-version") != API_VERSION:
            return _refused(400, "BadRequest", f"Expected api-version={API_VERSION}.")
        resource = request.query.get("resource", "").rstrip("/")
        if resource not in (tenant.urls.graph, tenant.urls.vault_resource):
            return _refused(400, "BadRequest", f"AADSTS500011: The resource principal named {resource} was not found.")
        directory = tenant.directory
        identity = directory.service_principals.get(directory.identity_service_principal_id)
        asked = request.query.get("client_id")
        if identity is None or (asked and asked.casefold() != identity["appId"]):
            return _refused(400, "BadRequest", "No User Assigned or Delegated Managed Identity found for specified Id.")
        is_graph = resource == tenant.urls.graph
        graph = directory.service_principals.get(directory.graph_service_principal_id)
        access_token, ends = tokens.issue(
            audience=resource,
            object_id=identity["id"],
            client_id=identity["appId"],
            roles=app_only_roles(directory, identity, graph) if is_graph and graph else (),
            lifetime_seconds=tenant.switches.token_seconds,
        )
        return web.json_response(
            {
                "access_token": access_token,
                "client_id": identity["appId"],
                "expires_on": str(ends),
                "not_before": str(ends - tenant.switches.token_seconds),
                "resource": request.query["resource"],
                "token_type": "Bearer",
            }
        )

    return [web.get("/msi/token", token)]


def _refused(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "code": code, "message": message}, status=status)
