"""The hand-off's page at its address, served by the app's own story with a time that the test gives."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import urlsplit

from aiohttp import web

import handlers.handoff
from clients.tenant import Tenant
from sandbox.up import State


@asynccontextmanager
async def page_desk(state: State, tenant: Callable[[], Tenant], now: Callable[[], datetime]) -> AsyncIterator[None]:
    """Answer where links in mails lead, as long as the context is open."""

    async def answer(request: web.Request) -> web.Response:
        token = request.match_info["token"]
        if request.method == "POST":
            form = {name: str(value) for name, value in (await request.post()).items()}
            found = await handlers.handoff.act(tenant(), token, form, now())
        else:
            found = await handlers.handoff.show(tenant(), token, now())
        return web.Response(body=found.html.encode(), status=found.status, headers=found.headers)

    application = web.Application()
    application.router.add_route("*", "/api/handoffs/{token}", answer)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(state.certificate, state.key)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", urlsplit(state.host).port, ssl_context=tls).start()
        yield
    finally:
        await runner.cleanup()
