"""The app's way to its tables and queues: through here to Azurite, so that its calls are seen and can be disturbed.

A shared key signs the path and not the host (learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key),
so what the app has signed for this address is good at Azurite's.
"""

import re
from collections.abc import AsyncIterator, Callable
from urllib.parse import unquote
from xml.sax.saxutils import escape

import aiohttp
from aiohttp import web
from yarl import URL

from sandbox.tenant import SandboxTenant
from sandbox.unkind.middleware import gated

SERVICES = ("table", "queue")

_HOP_BY_HOP = frozenset({"connection", "host", "keep-alive", "transfer-encoding", "content-length", "date", "server"})
_ADDED_BY_AIOHTTP = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_ROW = re.compile(r"/(?P<table>\w+)\(PartitionKey='.*',\s*RowKey='.*'\)", re.DOTALL)
_MESSAGE = re.compile(r"/(?P<queue>[a-z0-9-]+)/messages/[^/]+")
# Node closes an idle connection after five seconds; whoever writes into it just then gets no answer.
_IDLE = 2.0
_LIMITS = aiohttp.ClientTimeout(total=60, sock_connect=5)
_CODES = {
    403: "AuthorizationFailure",
    429: "ServerBusy",
    500: "InternalError",
    503: "ServerBusy",
    504: "OperationTimedOut",
}


def operation_of(request: web.Request) -> str:
    """Return the method and the path without account, keys and ids: `PUT /gatehouse(PartitionKey,RowKey)`."""
    path = "/" + unquote(request.rel_url.raw_path).lstrip("/").partition("/")[2]
    if row := _ROW.fullmatch(path):
        path = f"/{row['table']}(PartitionKey,RowKey)"
    elif message := _MESSAGE.fullmatch(path):
        path = f"/{message['queue']}/messages/{{id}}"
    return f"{request.method} {path}"


def storage_application(tenant: SandboxTenant, service: str, azurite: str) -> web.Application:
    """Return the application that stands before one of Azurite's services, given that one's address."""
    session = web.AppKey("session", aiohttp.ClientSession)

    async def with_session(application: web.Application) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(keepalive_timeout=_IDLE)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False, timeout=_LIMITS) as opened:
            application[session] = opened
            yield

    async def forward(request: web.Request) -> web.StreamResponse:
        """Ask Azurite the same, and answer the same."""
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = URL(azurite + request.raw_path, encoded=True)
        async with request.app[session].request(
            request.method, url, data=body, headers=headers, allow_redirects=False, skip_auto_headers=_ADDED_BY_AIOHTTP
        ) as answer:
            content = await answer.read()
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            return web.Response(status=answer.status, headers=kept, body=content)

    gate = gated(
        tenant,
        service,
        _refusal(service),
        key=lambda request, _: operation_of(request),
        # The Azure SDKs wait 15 wall seconds before they repeat a storage call: random faults would only be slow.
        is_random=lambda *_: False,
        operation=operation_of,
    )
    application = web.Application(middlewares=[tenant.calls.middleware(service), gate], client_max_size=8 * 1024 * 1024)
    application.cleanup_ctx.append(with_session)
    application.add_routes([web.route("*", "/{path:.*}", forward)])
    return application


def _refusal(service: str) -> Callable[[int], web.Response]:
    def refuse(status: int) -> web.Response:
        code = _CODES.get(status, "InternalError")
        text = f"The sandbox's fault plan answers {status}."
        if service == "table":
            body = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": text}}}
            response = web.json_response(body, status=status)
        else:
            error = f"<Error><Code>{code}</Code><Message>{escape(text)}</Message></Error>"
            xml = f'<?xml version="1.0" encoding="utf-8"?>{error}'
            response = web.Response(status=status, text=xml, content_type="application/xml")
        response.headers["x-ms-error-code"] = code
        return response

    return refuse
