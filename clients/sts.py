"""The token service as a vendor meets it: does it take the new secret, does the metadata list the certificate.

`requests` in a thread, with connect and read limits: this is neither Graph nor Azure.
"""

import asyncio
import base64
import hashlib
from datetime import UTC, datetime

import requests
from lxml import etree

from sso.errors import NotReady, TenantError, pause_in
from sso.model import ClientId, Secret, Thumbprint

TIMEOUT = (5.0, 20.0)  # seconds to connect, and to read
METADATA_LIMIT = 2_000_000  # bytes; real metadata has a tenth
CERTIFICATE = "{http://www.w3.org/2000/09/xmldsig#}X509Certificate"
# Answers that a fresh secret gets until every token server knows it (graph-contract 4): wrong secret, unknown client.
NOT_YET = frozenset({7000215, 700016, 7000222})

BUSY = frozenset({429, 500, 502, 503, 504})
BUSY_CODES = frozenset({90033, 90055})  # temporarily unavailable; too many requests (learn.microsoft.com, AADSTS codes)


class Sts:
    """The token service of one tenant."""

    def __init__(self, authority_url: str, tenant_id: str, graph_url: str) -> None:
        """Remember where it is; nothing is sent."""
        self._tenant = f"{authority_url}/{tenant_id}"
        self._scope = f"{graph_url}/.default"

    async def prove_secret(self, client_id: ClientId, secret: Secret) -> None:
        """Obtain a token with the secret; raises `NotReady` while it is refused as unknown, `TenantError` otherwise.

        A refusal by policy (such as Conditional Access for workloads) is told from a wrong secret by its error code.
        """
        await asyncio.to_thread(self._prove, client_id, secret)

    async def metadata_lists(self, client_id: ClientId, thumbprint: Thumbprint) -> bool:
        """Whether the application's federation metadata lists the certificate of this thumbprint."""
        return thumbprint in await asyncio.to_thread(self._metadata_thumbprints, client_id)

    async def probe(self) -> None:
        """Read the discovery document, to see that the token service answers and is this tenant's."""
        await asyncio.to_thread(self._discovery)

    def _prove(self, client_id: ClientId, secret: Secret) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret.reveal(),
            "scope": self._scope,
        }
        try:
            answer = requests.post(
                f"{self._tenant}/oauth2/v2.0/token", data=form, timeout=TIMEOUT, allow_redirects=False
            )
            body = answer.json()
        except (requests.RequestException, ValueError) as error:
            # Without the cause: its text may quote the form.
            msg = f"The token service did not answer the proof of a secret ({type(error).__name__})."
            raise NotReady(msg, retry_after=5, waiting_for="throttling") from None
        if not isinstance(body, dict):
            msg = "The token service answered the proof of a secret with something other than a JSON object."
            raise NotReady(msg, retry_after=5)
        if answer.ok and body.get("access_token"):
            return
        codes = {int(code) for code in body.get("error_codes") or ()}
        if answer.status_code in BUSY or codes & BUSY_CODES:
            msg = f"The token service is busy ({answer.status_code})."
            raise NotReady(msg, retry_after=_pause(answer, 5), waiting_for="throttling")
        if codes & NOT_YET:
            msg = f"The token service does not know the new secret yet (AADSTS{min(codes, default=0)})."
            raise NotReady(msg, retry_after=5)
        named = ", ".join(f"AADSTS{code}" for code in sorted(codes)) or str(body.get("error"))
        msg = f"The token service refuses the application for another reason than its secret: {named}."
        raise TenantError(msg)

    def _metadata_thumbprints(self, client_id: ClientId) -> frozenset[str]:
        url = f"{self._tenant}/federationmetadata/2007-06/federationmetadata.xml"
        document = _fetch(url, {"appid": client_id})
        # No entities, no network, no DTD: what is read comes from outside (OWASP XXE prevention).
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        try:
            root = etree.fromstring(document, parser)
        except etree.XMLSyntaxError:
            msg = "The federation metadata is not XML; look at the token service's health."
            raise NotReady(msg, retry_after=10) from None
        ders = (base64.b64decode("".join((element.text or "").split())) for element in root.iter(CERTIFICATE))
        # SHA-1 names a certificate here, it protects nothing.
        return frozenset(hashlib.sha1(der, usedforsecurity=False).hexdigest().upper() for der in ders)

    def _discovery(self) -> None:
        _fetch(f"{self._tenant}/v2.0/.well-known/openid-configuration", {})


def _fetch(url: str, parameters: dict[str, str]) -> bytes:
    try:
        with requests.get(url, params=parameters, timeout=TIMEOUT, stream=True, allow_redirects=False) as answer:
            if not answer.ok:
                msg = f"The token service answered {answer.status_code} for {url}."
                raise NotReady(msg, retry_after=_pause(answer, 10))
            return b"".join(_bounded(answer))
    except requests.RequestException as error:
        msg = f"The token service did not answer for {url} ({type(error).__name__})."
        raise NotReady(msg, retry_after=10) from None


def _pause(answer: requests.Response, otherwise: float) -> float:
    pause = pause_in(answer.headers.get("Retry-After"), datetime.now(UTC))
    return otherwise if pause is None else pause


def _bounded(answer: requests.Response) -> list[bytes]:
    chunks, size = [], 0
    for chunk in answer.iter_content(65536):
        size += len(chunk)
        if size > METADATA_LIMIT:
            msg = f"The token service sent more than {METADATA_LIMIT} bytes of metadata; that is not ours."
            raise TenantError(msg)
        chunks.append(chunk)
    return chunks
