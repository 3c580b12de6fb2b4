"""The tenant's token service: one RSA key, the tokens signed with it, and their check.

Tokens live in real time, not on the sandbox clock, so that the caches of unmodified SDKs keep working.
The key outlives a reset of the tenant for the same reason: a cached token stays good.
"""

import base64
import hashlib
import secrets
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from jwt.algorithms import RSAAlgorithm

from sandbox.tenant import SandboxTenant

# Entra draws 60 to 90 minutes (learn.microsoft.com/entra/identity-platform/access-tokens#token-lifetime).
ACCESS_TOKEN_SECONDS = 3599


class TokenError(ValueError):
    """A token this tenant did not sign, or not for this resource, or no longer."""


class TokenService:
    """Signs and verifies the tenant's JSON Web Tokens with one real key."""

    def __init__(self, tenant_id: str) -> None:
        self.tenant_id = tenant_id
        self.identity_header = secrets.token_urlsafe(24)
        """What App Service puts into IDENTITY_HEADER, so that only the app itself gets its identity's tokens."""
        self.private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = _self_signed("accounts.accesscontrol.windows.net", self.private_key)
        # Entra's key id is the SHA-1 thumbprint of the certificate (RFC 7517 section 4.5 leaves the form open).
        thumbprint = self.certificate.fingerprint(hashes.SHA1())  # noqa: S303 (a name, not a protection)
        self.key_id = _base64url(thumbprint)

    @property
    def access_token_issuer(self) -> str:
        """The issuer that Graph's and the vault's access tokens carry."""
        return f"https://sts.windows.net/{self.tenant_id}/"

    def key_set(self) -> dict[str, Any]:
        """The JSON Web Key Set that discovery points to (RFC 7517)."""
        key = RSAAlgorithm.to_jwk(self.private_key.public_key(), as_dict=True)
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "use": "sig",
                    "kid": self.key_id,
                    "x5t": self.key_id,
                    "n": key["n"],
                    "e": key["e"],
                    "x5c": [base64.b64encode(der).decode()],
                }
            ]
        }

    def sign(self, claims: Mapping[str, Any]) -> str:
        """One token with exactly these claims."""
        headers = {"kid": self.key_id, "x5t": self.key_id}
        return jwt.encode(dict(claims), self.private_key, algorithm="RS256", headers=headers)

    def issue(
        self,
        *,
        audience: str,
        object_id: str,
        client_id: str,
        roles: Iterable[str] = (),
        lifetime_seconds: int = ACCESS_TOKEN_SECONDS,
    ) -> tuple[str, int]:
        """An app-only access token for `audience`, and the second at which it ends."""
        now = int(time.time())
        ends = now + lifetime_seconds
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": self.access_token_issuer,
            "iat": now,
            "nbf": now,
            "exp": ends,
            "appid": client_id,
            "appidacr": "1",
            "idp": self.access_token_issuer,
            "idtyp": "app",
            "oid": object_id,
            "sub": object_id,
            "tid": self.tenant_id,
            "uti": _base64url(uuid.uuid4().bytes),
            "ver": "1.0",
        }
        granted = sorted(roles)
        if granted:
            claims["roles"] = granted
        return self.sign(claims), ends

    def verify(self, token: str, audience: str) -> dict[str, Any]:
        """The claims of a token of ours for `audience`; anything else is a `TokenError`."""
        try:
            return jwt.decode(
                token,
                self.private_key.public_key(),
                algorithms=["RS256"],
                audience=audience,
                issuer=self.access_token_issuer,
                options={"require": ["exp", "iat", "aud", "iss", "tid"]},
            )
        except jwt.InvalidTokenError as problem:
            raise TokenError(f"Expected a valid token of this tenant for {audience}, found: {problem}") from problem


def tokens_of(tenant: SandboxTenant) -> TokenService:
    """The tenant's one token service, made when the first of its services asks."""
    known = getattr(tenant, "tokens", None)
    if not isinstance(known, TokenService):
        known = TokenService(tenant.directory.tenant_id)
        tenant.tokens = known
    return known


def pairwise_subject(tenant_id: str, client_id: str, object_id: str) -> str:
    """The `sub` of a person at one application: another one at each (OpenID Connect Core section 8.1)."""
    return _base64url(hashlib.sha256(f"{tenant_id}/{client_id}/{object_id}".encode()).digest())


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _self_signed(common_name: str, key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=5 * 365))
        .sign(key, hashes.SHA256())
    )
