"""HTTP over TLS on loopback, for everything outside the tenant: browsers and the vendors' servers."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

LIMITS = aiohttp.ClientTimeout(total=60, sock_connect=5)


class UnreachableError(Exception):
    """A host that does not answer, or that the sandbox does not let anyone reach."""


@dataclass(frozen=True)
class Reply:
    """An answer, its body read."""

    status: int
    content_type: str
    location: str | None
    text: str


class Wire:
    """Sends single requests and trusts one CA; follows nothing by itself."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Fetch an address."""
        return await self._send("GET", url, None, headers)

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Reply:
        """Post a form to an address."""
        return await self._send("POST", url, form, headers)

    async def _send(
        self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str] | None
    ) -> Reply:
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.hostname != "127.0.0.1":
            raise UnreachableError(f"Expected an https address on 127.0.0.1, found {parts.scheme}://{parts.netloc}.")
        try:
            async with (
                aiohttp.ClientSession(timeout=LIMITS, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.request(
                    method, url, data=form, headers=headers, ssl=self._tls, allow_redirects=False
                ) as response,
            ):
                text = await response.text(errors="replace")
                return Reply(response.status, response.content_type, response.headers.get("Location"), text)
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise UnreachableError(f"{parts.netloc} did not answer: {type(problem).__name__}.") from problem
