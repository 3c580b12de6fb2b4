"""The authority's OAuth 2.0 half: the authorization code with PKCE, and the token endpoint.

RFC 6749, RFC 7636 and OpenID Connect Core 1.0, as Entra's v2.0 endpoints speak them.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from sandbox.aadsts import SignInError
from sandbox.access import (
    app_only_roles,
    require_application,
    require_assignment,
    require_consent,
    require_service_principal,
    require_user,
)
from sandbox.clock import parse_time
from sandbox.directory import GraphObject
from sandbox.tenant import SandboxTenant
from sandbox.tokens import ACCESS_TOKEN_SECONDS, TokenService, pairwise_subject

# Entra's codes "expire after about 10 minutes" (learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow).
CODE_SECONDS = 600


@dataclass
class AuthorizationCode:
    """What a code stands for, and whether it was used."""

    client_id: str
    redirect_uri: str
    user_id: str
    scopes: list[str]
    roles: list[str]
    nonce: str | None
    challenge: str | None
    issued: float = field(default_factory=time.monotonic)
    redeemed: bool = False


class Oauth:
    """Hands out codes and tokens of one tenant."""

    def __init__(self, tenant: SandboxTenant, tokens: TokenService) -> None:
        self._tenant = tenant
        self._tokens = tokens
        self._codes: dict[str, AuthorizationCode] = {}

    @property
    def issuer(self) -> str:
        """The issuer that ID tokens carry and discovery names."""
        return f"{self._tenant.urls.authority}/{self._tenant.directory.tenant_id}/v2.0"

    def check_client(self, given: Mapping[str, str]) -> GraphObject:
        """The service principal that asks, once client, redirect URI and response type are in order.

        Until then nothing may be sent to the redirect URI, so every refusal is shown to the person (RFC 6749 4.1.2.1).
        """
        directory = self._tenant.directory
        client_id = _required(given, "client_id")
        service_principal = require_service_principal(directory, client_id)
        application = require_application(directory, client_id)
        redirect_uri = _required(given, "redirect_uri")
        if redirect_uri not in ((application.get("web") or {}).get("redirectUris") or []):
            raise SignInError(50011, uri=redirect_uri, client_id=client_id)
        if (response_type := _required(given, "response_type")) != "code":
            raise SignInError(70005, value=response_type)
        if given.get("response_mode", "query") not in ("query", "fragment", "form_post"):
            raise SignInError(9002313)
        if given.get("code_challenge") and given.get("code_challenge_method") != "S256":
            raise SignInError(9002313)
        return service_principal

    def grant_code(self, given: Mapping[str, str], service_principal: GraphObject, upn: str) -> str:
        """A code for this person at this client; AADSTS50105 and AADSTS90094 are decided here."""
        directory = self._tenant.directory
        user = require_user(directory, upn)
        roles = require_assignment(directory, service_principal, user)
        scopes = _required(given, "scope").split()
        code = secrets.token_urlsafe(48)
        self._codes[code] = AuthorizationCode(
            client_id=str(service_principal["appId"]),
            redirect_uri=given["redirect_uri"],
            user_id=str(user["id"]),
            scopes=require_consent(directory, service_principal, scopes, self._tenant.urls.graph),
            roles=roles,
            nonce=given.get("nonce"),
            challenge=given.get("code_challenge") or None,
        )
        return code

    def token(self, given: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        """The token endpoint's answer; raises `SignInError` with what Entra would say."""
        client_id, secret = _client_credentials(given, authorization)
        grant_type = _required(given, "grant_type")
        if grant_type not in ("client_credentials", "authorization_code"):
            raise SignInError(70003, value=grant_type)
        service_principal = require_service_principal(self._tenant.directory, client_id)
        credential = self._check_secret(client_id, secret)
        if grant_type == "client_credentials":
            granted, resource = self._app_only(given, service_principal)
        else:
            granted, resource = self._redeem(given, service_principal), self._tenant.urls.graph
        self._note_use(service_principal, credential, resource)
        return granted

    def _note_use(self, service_principal: GraphObject, credential: GraphObject, resource: str) -> None:
        directory = self._tenant.directory
        application = require_application(directory, str(service_principal["appId"]))
        resource_id = directory.graph_service_principal_id if resource == self._tenant.urls.graph else None
        self._tenant.credential_uses.note(application, credential, resource_id, str(service_principal["id"]))

    def _check_secret(self, client_id: str, secret: str | None) -> GraphObject:
        """The credential that a secret is the value of; raises `SignInError`."""
        application = require_application(self._tenant.directory, client_id)
        if not secret:
            raise SignInError(7000218)
        now = self._tenant.clock.now()
        for credential in application.get("passwordCredentials") or []:
            value = self._tenant.directory.secret_values.get(credential["keyId"])
            if value is None or not secrets.compare_digest(value.encode(), secret.encode()):
                continue
            if (ends := credential.get("endDateTime")) and parse_time(ends) <= now:
                raise SignInError(7000222, client_id=client_id)
            if not self._is_known(client_id, credential["keyId"]):
                break
            found: GraphObject = credential
            return found
        raise SignInError(7000215, client_id=client_id)

    def _is_known(self, client_id: str, key_id: str) -> bool:
        """Tell whether this request meets a token server that has heard of the secret."""
        unkind = self._tenant.unkind
        known = unkind.secrets_known.get(key_id, ())
        if not known:
            return True
        if not unkind.switches.token_flaps:
            return max(known) <= self._tenant.clock.now()
        return known[unkind.draws.pick(len(known), "token server", client_id)] <= self._tenant.clock.now()

    def _app_only(self, given: Mapping[str, str], service_principal: GraphObject) -> tuple[dict[str, Any], str]:
        """The answer, and the resource that its token is for."""
        scope = _required(given, "scope")
        if not scope.endswith("/.default") or " " in scope:
            raise SignInError(1002012, value=scope)
        resource = scope.removesuffix("/.default").rstrip("/")
        directory = self._tenant.directory
        roles: list[str] = []
        if resource == self._tenant.urls.graph:
            graph = directory.service_principals.get(directory.graph_service_principal_id)
            roles = app_only_roles(directory, service_principal, graph) if graph else []
        elif resource != self._tenant.urls.vault_resource:
            raise SignInError(500011, resource=resource, tenant=directory.tenant_id)
        access_token, _ = self._tokens.issue(
            audience=resource,
            object_id=str(service_principal["id"]),
            client_id=str(service_principal["appId"]),
            roles=roles,
        )
        answer = {
            "token_type": "Bearer",
            "expires_in": ACCESS_TOKEN_SECONDS,
            "ext_expires_in": ACCESS_TOKEN_SECONDS,
            "access_token": access_token,
        }
        return answer, resource

    def _redeem(self, given: Mapping[str, str], service_principal: GraphObject) -> dict[str, Any]:
        redirect_uri = _required(given, "redirect_uri")
        granted = self._codes.get(_required(given, "code"))
        if granted is None or granted.client_id != service_principal["appId"]:
            raise SignInError(9002313)
        if granted.redeemed:
            raise SignInError(54005)
        if time.monotonic() - granted.issued > CODE_SECONDS:
            raise SignInError(70008)
        if redirect_uri != granted.redirect_uri:
            raise SignInError(500112, uri=redirect_uri)
        if granted.challenge and s256(given.get("code_verifier", "")) != granted.challenge:
            raise SignInError(501481)
        user = self._tenant.directory.users.get(granted.user_id)
        if user is None:
            raise SignInError(70008)
        granted.redeemed = True
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(granted.scopes),
            "expires_in": ACCESS_TOKEN_SECONDS,
            "ext_expires_in": ACCESS_TOKEN_SECONDS,
            "access_token": self._tokens.sign(self._delegated_claims(granted, user)),
        }
        if "openid" in granted.scopes:
            answer["id_token"] = self._tokens.sign(self._id_claims(granted, user))
        return answer

    def _lifetime(self) -> dict[str, int]:
        now = int(time.time())
        return {"iat": now, "nbf": now, "exp": now + ACCESS_TOKEN_SECONDS}

    def _delegated_claims(self, granted: AuthorizationCode, user: GraphObject) -> dict[str, Any]:
        return {
            "aud": self._tenant.urls.graph,
            "iss": self._tokens.access_token_issuer,
            **self._lifetime(),
            "appid": granted.client_id,
            "oid": user["id"],
            "scp": " ".join(granted.scopes),
            "tid": self._tenant.directory.tenant_id,
            "upn": user["userPrincipalName"],
            "ver": "1.0",
        }

    def _id_claims(self, granted: AuthorizationCode, user: GraphObject) -> dict[str, Any]:
        tenant_id = self._tenant.directory.tenant_id
        claims: dict[str, Any] = {
            "aud": granted.client_id,
            "iss": self.issuer,
            **self._lifetime(),
            "oid": user["id"],
            "sub": pairwise_subject(tenant_id, granted.client_id, str(user["id"])),
            "tid": tenant_id,
            "ver": "2.0",
        }
        if granted.nonce:
            claims["nonce"] = granted.nonce
        if "profile" in granted.scopes:
            claims["name"] = user.get("displayName")
            claims["preferred_username"] = user["userPrincipalName"]
        if "email" in granted.scopes and user.get("mail"):
            claims["email"] = user["mail"]
        if granted.roles:
            claims["roles"] = granted.roles
        return claims


def s256(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def with_parameters(uri: str, fields: Mapping[str, str], *, fragment: bool = False) -> str:
    """The URI with more parameters, its own query kept (RFC 6749 section 3.1.2)."""
    if fragment:
        return f"{uri}#{urlencode(fields)}"
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{urlencode(fields)}"


def _client_credentials(given: Mapping[str, str], authorization: str | None) -> tuple[str, str | None]:
    # RFC 6749 section 2.3.1: in the header, both halves are form-encoded before they are joined.
    if authorization and authorization.startswith("Basic "):
        try:
            client_id, _, secret = base64.b64decode(authorization[6:], validate=True).decode().partition(":")
        except ValueError:
            raise SignInError(9002313) from None
        return unquote(client_id), unquote(secret)
    return _required(given, "client_id"), given.get("client_secret")


def _required(given: Mapping[str, str], name: str) -> str:
    value = given.get(name)
    if not value:
        raise SignInError(900144, value=name)
    return value
