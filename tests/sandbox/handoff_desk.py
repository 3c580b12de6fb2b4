"""The other end of a hand-off: mails and pages of the shapes that the vendors' sides read, made by hand."""

import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from secrets import token_urlsafe

from aiohttp import web

from sandbox.mailbox import Attachment, Message
from sandbox.tenant import SandboxTenant

OWNER = "app-owner@contoso.com"
SENDER = "gatehouse@contoso.com"


@dataclass
class Desk:
    """One hand-off: what its mails and its page say, and what was done on the page."""

    vendor: str
    to: str
    values: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    attached: Mapping[str, str] = field(default_factory=dict)
    instance: str = "default"
    code: str = "ABCDE-FGHJK"
    reference: str = "GH-7F3K2M9Q"
    token: str = field(default_factory=lambda: token_urlsafe(32))
    collected: int = 0
    acknowledged: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        """The page."""
        if request.method != "POST":
            buttons = [*(["collect"] if self.secrets else []), "acknowledge", "problem"]
            return _page(
                "Hand-off", "".join(f'<button name="action" value="{each}">{each}</button>' for each in buttons)
            )
        form = await request.post()
        if form["code"] != self.code:
            return _page("The code is wrong", status=403)
        if form["action"] == "acknowledge":
            self.acknowledged += 1
            return _page("Thank you")
        if self.collected:
            return _page("This was collected already", status=409)
        self.collected += 1
        listed = "".join(
            f"<dt>{label}</dt><dd><code>{escape(value)}</code></dd>" for label, value in self.secrets.items()
        )
        return _page("Collected", f'<dl class="values">{listed}</dl>')

    def deliver(self, tenant: SandboxTenant, host: str, *, with_code: bool = True) -> None:
        """Send both mails, or only the one with the link."""
        facts = f"Vendor: {self.vendor}\nInstance: {self.instance}\nReference: {self.reference}\n"
        told = "".join(f"  {label}: {value}\n" for label, value in self.values.items())
        told += "".join(f"  {label}: see the attached file {label[:4]}.cer\n" for label in self.attached)
        text = (
            f"Hello.\n\n{facts}Tenant ID: {tenant.directory.tenant_id}\nPage: {host}/api/handoffs/{self.token}\n{told}"
        )
        files = tuple(
            Attachment(f"{label[:4]}.cer", "application/x-x509-user-cert", b64encode(content.encode()).decode())
            for label, content in self.attached.items()
        )
        now = tenant.clock.now()
        tenant.mailbox.deliver(Message(now, SENDER, (self.to,), text=text, attachments=files))
        if with_code:
            # However the link travelled, the code goes to the owner.
            tenant.mailbox.deliver(Message(now, SENDER, (OWNER,), text=f"{facts}Code: {self.code}\n"))


class Host:
    """Serves the pages of every desk that was opened."""

    def __init__(self) -> None:
        self.desks: dict[str, Desk] = {}
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self, tls: ssl.SSLContext) -> None:
        """Listen on a free port."""
        application = web.Application()
        application.router.add_route("*", "/api/handoffs/{token}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        desk = self.desks.get(request.match_info["token"])
        return await desk.answer(request) if desk else _page("There is no such page", status=404)


def _page(heading: str, body: str = "", *, status: int = 200) -> web.Response:
    text = f"<!DOCTYPE html><html><body><h1>{heading}</h1><form method='post'>{body}</form></body></html>"
    return web.Response(text=text, content_type="text/html", status=status)
