"""A person's browser: follows redirects and submits the forms that submit themselves.

The authority is reached over the wire. A vendor's host does not resolve here; its site is called by host name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl, urljoin, urlsplit

from lxml import html

from sandbox.wire import Reply, UnreachableError, Wire

USER_HEADER = "x-sandbox-user"
SUBMITS_ITSELF = "document.forms[0].submit()"
# Browsers stop at about twenty redirects; a sign-in takes five.
MOST_STEPS = 20


@dataclass(frozen=True)
class SiteRequest:
    """What a browser sends to a vendor's site."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)


class Site(Protocol):
    """A vendor's site."""

    async def answer(self, request: SiteRequest) -> Reply:
        """Answer one request of a browser."""
        ...


@dataclass(frozen=True)
class Page:
    """Where the browser came to rest."""

    url: str
    reply: Reply
    site: Site | None
    """The vendor's site that answered, or None for the tenant."""

    @property
    def refusal(self) -> str | None:
        """The sentence of an error page."""
        if self.reply.content_type != "text/html":
            return None
        paragraphs = html.document_fromstring(self.reply.text).iter("p")
        return next(
            ("".join(map(str, found.itertext())).strip() for found in paragraphs if found.get("class") == "error"), None
        )


class UserAgent:
    """One browser with one person before it."""

    def __init__(self, wire: Wire, authority: str, sites: Mapping[str, Site], user: str) -> None:
        self._wire = wire
        self._authority = urlsplit(authority).netloc
        self._sites = sites
        self._user = user

    async def open(self, url: str) -> Page:
        """Go to an address and wherever it leads; raises `UnreachableError`."""
        method, form = "GET", dict[str, str]()
        for _ in range(MOST_STEPS):
            reply, site = await self._send(method, url, form)
            if reply.location is not None and 300 <= reply.status < 400:
                url, method, form = urljoin(url, reply.location), "GET", {}
            elif reply.content_type == "text/html" and SUBMITS_ITSELF in reply.text:
                action, form = _first_form(reply.text)
                url, method = urljoin(url, action), "POST"
            else:
                return Page(url, reply, site)
        raise UnreachableError(f"The browser was sent on more than {MOST_STEPS} times, last to {urlsplit(url).netloc}.")

    async def _send(self, method: str, url: str, form: Mapping[str, str]) -> tuple[Reply, Site | None]:
        parts = urlsplit(url)
        site = self._sites.get(parts.hostname or "")
        if site is not None:
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            return await site.answer(SiteRequest(method, parts.path or "/", query, form)), site
        # Who sits here is told to the tenant alone, as a browser keeps cookies apart.
        headers = {USER_HEADER: self._user} if parts.netloc == self._authority else {}
        if method == "POST":
            return await self._wire.post(url, form, headers), None
        return await self._wire.get(url, headers), None


def _first_form(text: str) -> tuple[str, dict[str, str]]:
    form = next(html.document_fromstring(text).iter("form"))
    fields = {str(field.get("name")): str(field.get("value") or "") for field in form.iter("input")}
    return str(form.get("action")), fields
