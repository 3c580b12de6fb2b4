"""The authority's routes: what login.microsoftonline.com and the My Apps launcher answer for this tenant."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.typedefs import Middleware

from sandbox.aadsts import SignInError, error_body
from sandbox.access import require_service_principal, require_tenant
from sandbox.admin_consent import asked_scopes, consent_form, grant_for_everyone
from sandbox.browser import browser_user, error_page, notice_page, parameters, self_submitting_form, sign_in_page
from sandbox.directory import GraphObject
from sandbox.oauth import Oauth, with_parameters
from sandbox.saml import AuthnRequest
from sandbox.saml_sign_in import SamlSignIn
from sandbox.tenant import SandboxTenant
from sandbox.tokens import TokenService, tokens_of
from sandbox.unkind.middleware import gated

Answer = Callable[[web.Request], Awaitable[web.Response]]


def routes(tenant: SandboxTenant) -> list[web.RouteDef]:
    """Every route of the authority; what is not here answers 404."""
    authority = Authority(tenant, tokens_of(tenant))
    page, api = authority.as_page, authority.as_json
    return [
        web.get("/{tenantId}/v2.0/.well-known/openid-configuration", api(authority.discovery)),
        web.get("/{tenantId}/discovery/v2.0/keys", api(authority.keys)),
        web.post("/{tenantId}/oauth2/v2.0/token", api(authority.token)),
        web.get("/{tenantId}/oauth2/v2.0/authorize", page(authority.authorize)),
        web.post("/{tenantId}/oauth2/v2.0/authorize", page(authority.authorize)),
        web.get("/{tenantId}/oauth2/v2.0/logout", page(authority.logout)),
        web.get("/{tenantId}/adminconsent", page(authority.admin_consent)),
        web.post("/{tenantId}/adminconsent", page(authority.admin_consent)),
        web.get("/{tenantId}/federationmetadata/2007-06/federationmetadata.xml", page(authority.metadata)),
        web.get("/{tenantId}/saml2", page(authority.saml)),
        web.post("/{tenantId}/saml2", page(authority.saml)),
        # launcher.myapps.microsoft.com is another host in Entra; here the authority stands for it.
        web.get("/api/signin/{appId}", page(authority.launch)),
        web.post("/api/signin/{appId}", page(authority.launch)),
    ]


def gate(tenant: SandboxTenant) -> Middleware:
    """Return the gate of the authority; people and vendors pass it undisturbed unless a plan says otherwise."""

    def refuse(status: int) -> web.Response:
        number = 90033 if status >= 429 else 53003
        return _json(error_body(SignInError(number), tenant.clock.now()), status)

    def key(request: web.Request, body: bytes) -> str:
        given = dict(parse_qsl(body.decode("utf-8", "replace")))
        return f"{request.method} {given.get('client_id') or request.query.get('appid', '')}"

    return gated(
        tenant, "authority", refuse, key=key, is_random=lambda _, body: b"grant_type=client_credentials" in body
    )


class Authority:
    """Answers for one tenant, in HTML to people and in JSON to programs."""

    def __init__(self, tenant: SandboxTenant, tokens: TokenService) -> None:
        self._tenant = tenant
        self._tokens = tokens
        self._oauth = Oauth(tenant, tokens)
        self._saml = SamlSignIn(tenant)

    def as_page(self, answer: Answer) -> Answer:
        """Check the tenant, and show a refusal as Entra's error page."""

        async def shown(request: web.Request) -> web.Response:
            try:
                self._require_tenant(request)
                return await answer(request)
            except SignInError as problem:
                return error_page(problem, self._tenant.clock.now())

        return shown

    def as_json(self, answer: Answer) -> Answer:
        """Check the tenant, and answer a refusal as Entra's JSON."""

        async def answered(request: web.Request) -> web.Response:
            try:
                self._require_tenant(request)
                return await answer(request)
            except SignInError as problem:
                return _json(error_body(problem, self._tenant.clock.now()), problem.status)

        return answered

    async def discovery(self, request: web.Request) -> web.Response:
        """The OpenID Provider Metadata (OpenID Connect Discovery section 3)."""
        root = f"{self._tenant.urls.authority}/{self._tenant.directory.tenant_id}"
        appid = request.query.get("appid")
        return _json(
            {
                "token_endpoint": f"{root}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
                "jwks_uri": f"{root}/discovery/v2.0/keys{f'?appid={appid}' if appid else ''}",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": self._oauth.issuer,
                "request_uri_parameter_supported": False,
                "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                "http_logout_supported": True,
                "frontchannel_logout_supported": True,
                "end_session_endpoint": f"{root}/oauth2/v2.0/logout",
                "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "name", "preferred_username", "email"],
                "tenant_region_scope": "EU",
            }
        )

    async def keys(self, _request: web.Request) -> web.Response:
        """The public keys that verify the tenant's tokens."""
        return _json(self._tokens.key_set())

    async def token(self, request: web.Request) -> web.Response:
        """Tokens for a client that proves itself."""
        return _json(self._oauth.token(await parameters(request), request.headers.get("Authorization")))

    async def authorize(self, request: web.Request) -> web.Response:
        """A code for the person at the browser, sent to the application's own redirect URI."""
        given = await parameters(request)
        service_principal = self._oauth.check_client(given)
        user = browser_user(request, given)
        if user is None:
            return sign_in_page(request, given)
        fields = {"code": self._oauth.grant_code(given, service_principal, user)}
        if "state" in given:
            fields["state"] = given["state"]
        fields["session_state"] = secrets.token_hex(16)
        mode = given.get("response_mode", "query")
        if mode == "form_post":
            return self_submitting_form(given["redirect_uri"], fields)
        return _redirect(with_parameters(given["redirect_uri"], fields, fragment=mode == "fragment"))

    async def logout(self, request: web.Request) -> web.Response:
        """Sign out, and go back where an application of the tenant has registered that address."""
        target = request.query.get("post_logout_redirect_uri")
        applications = self._tenant.directory.applications.values()
        if target and any(target in ((each.get("web") or {}).get("redirectUris") or []) for each in applications):
            return _redirect(target)
        return notice_page("You signed out of your account")

    async def admin_consent(self, request: web.Request) -> web.Response:
        """Let an administrator consent for everyone."""
        given = await parameters(request)
        service_principal, scopes = asked_scopes(self._tenant.directory, given.get("client_id", ""))
        if request.method == "GET" or given.get("accept") != "true":
            form = consent_form(request.path, given, scopes)
            return notice_page(f"Permissions requested by {service_principal['displayName']}", form)
        grant_for_everyone(self._tenant.directory, service_principal, scopes)
        return notice_page("Permissions granted")

    async def metadata(self, request: web.Request) -> web.Response:
        """The federation metadata that a relying party is told to read."""
        body = self._saml.metadata(request.query.get("appid"))
        return web.Response(body=body, content_type="application/samlmetadata+xml", charset="utf-8")

    async def saml(self, request: web.Request) -> web.Response:
        """Answer a relying party's AuthnRequest (Redirect or POST binding)."""
        given = await parameters(request)
        service_principal, asked = self._saml.requested(given, deflated=request.method == "GET")
        return self._saml_answer(request, given, service_principal, asked)

    async def launch(self, request: web.Request) -> web.Response:
        """Start an application from its tile: at its sign-on URL, else with a response nobody asked for."""
        given = await parameters(request)
        directory = self._tenant.directory
        require_tenant(directory, given.get("tenantId", ""))
        service_principal = require_service_principal(directory, request.match_info["appId"])
        if service_principal.get("loginUrl"):
            return _redirect(str(service_principal["loginUrl"]))
        if service_principal.get("preferredSingleSignOnMode") != "saml":
            raise SignInError(500113)
        return self._saml_answer(request, given, service_principal, None)

    def _saml_answer(
        self, request: web.Request, given: dict[str, str], service_principal: GraphObject, asked: AuthnRequest | None
    ) -> web.Response:
        user = browser_user(request, given)
        if user is None:
            return sign_in_page(request, given)
        reply_url, response = self._saml.respond(service_principal, asked, user)
        fields = {"SAMLResponse": response}
        settings = service_principal.get("samlSingleSignOnSettings") or {}
        relay_state = given.get("RelayState") if asked else settings.get("relayState")
        if relay_state:
            fields["RelayState"] = str(relay_state)
        return self_submitting_form(reply_url, fields)

    def _require_tenant(self, request: web.Request) -> None:
        if "tenantId" in request.match_info:
            require_tenant(self._tenant.directory, request.match_info["tenantId"])


def _json(body: Any, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})


def _redirect(location: str) -> web.Response:
    return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})
