"""The record of every call to Graph, the authority, the vault and the storage, with nothing secret in it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sandbox.clock import Clock, graph_time

Service = str
"""One of `graph`, `authority`, `vault`, `table` and `queue`."""

MASK = "<masked>"

SECRET_NAMES = frozenset(
    {
        "access_token",
        "client_assertion",
        "client_secret",
        "code",
        "code_verifier",
        "id_token",
        "password",
        "refresh_token",
        "samlresponse",
        "secrettext",
        "proof",
        "passwd",
    }
)

OPERATION = web.RequestKey("operation", str)
"""A service sets it where the operation has a name of its own."""
REQUEST_SUMMARY = web.RequestKey("request_summary", object)
"""A service sets it where the body must not be kept as it came (mails, batches)."""
FAULT = web.RequestKey("fault", dict)
"""Set where a call met something: what, and the status of the effect of a call whose answer was lost."""
CUT = web.RequestKey("cut", bool)
"""Set where the connection is to be cut in place of an answer."""
PARKED = web.RequestKey("parked", dict)
"""The entry of a call that was shown before it is answered."""
LARGEST_JSON = 256 * 1024
"""Bytes of a body that the record keeps."""


class CallLog:
    """Calls in the order in which they were answered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.entries: list[dict[str, Any]] = []
        self._forgotten = 0

    def reset(self) -> None:
        """Forget every call and count from one again."""
        self.entries.clear()
        self._forgotten = 0

    def forget(self) -> None:
        """Forget every call until now, which may be more than a machine has room for; the count goes on."""
        self._forgotten += len(self.entries)
        self.entries.clear()

    def since(self, seq: int) -> list[dict[str, Any]]:
        """Return the calls after that number."""
        return self.entries[max(seq - self._forgotten, 0) :]

    def begin(
        self,
        service: Service,
        method: str,
        path: str,
        operation: str,
        client_request_id: str | None,
        request: Any,
        *,
        batch: bool = False,
    ) -> dict[str, Any]:
        """Show a call that has no answer yet, its secret values masked; `end` completes it."""
        entry: dict[str, Any] = {
            "seq": self._forgotten + len(self.entries) + 1,
            "at": graph_time(self._clock.now()),
            "service": service,
            "method": method,
            "path": path,
            "operation": operation,
            "status": None,
            "client_request_id": client_request_id,
            "request": masked(request, service),
            "response": None,
        }
        if batch:
            entry["batch"] = True
        self.entries.append(entry)
        return entry

    def end(self, entry: dict[str, Any], status: int, response: Any, fault: Mapping[str, Any] | None = None) -> None:
        """Complete a call with its answer, and with the fault that it met."""
        entry |= {"at": graph_time(self._clock.now()), "status": status, **(fault or {})}
        entry["response"] = masked(response, entry["service"])

    def middleware(self, service: Service) -> Middleware:
        """Return the middleware that records every call to one service, refused and unknown ones too."""

        @web.middleware
        async def record_call(request: web.Request, handler: Handler) -> web.StreamResponse:
            body = await request.read()
            began = self._clock.now()
            try:
                response = await handler(request)
            except web.HTTPException as problem:
                self._record(service, request, body, began, problem.status, {"error": problem.reason})
                raise
            self._record(service, request, body, began, response.status, _response_body(response))
            if request.get(CUT) and request.transport is not None:
                request.transport.abort()
            return response

        return record_call

    def park(self, service: Service, request: web.Request, body: bytes) -> None:
        """Show a call that is not answered for now."""
        request[PARKED] = self._begin(service, request, body)

    def _begin(self, service: Service, request: web.Request, body: bytes) -> dict[str, Any]:
        resource = request.match_info.route.resource
        template = resource.canonical if resource is not None else request.path
        return self.begin(
            service,
            request.method,
            masked_path(request),
            request.get(OPERATION) or f"{request.method} {template}",
            request.headers.get("client-request-id") or request.headers.get("x-ms-client-request-id"),
            request[REQUEST_SUMMARY] if REQUEST_SUMMARY in request else decoded(body, request.content_type),
        )

    def _record(
        self, service: Service, request: web.Request, body: bytes, began: datetime, status: int, response: Any
    ) -> None:
        entry = request[PARKED] if PARKED in request else self._begin(service, request, body)
        # Finer than `at`, for who counts the moments between two calls.
        entry["began"] = began.isoformat(timespec="milliseconds")
        self.end(entry, status, response, request.get(FAULT))


def masked(value: Any, service: Service) -> Any:
    """Return the same JSON with every secret value replaced; in the vault a text under `value` is one."""
    if isinstance(value, Mapping):
        return {
            name: MASK if _is_secret(str(name), inner, service) else masked(inner, service)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked(inner, service) for inner in value]
    return value


def _is_secret(name: str, value: Any, service: Service) -> bool:
    if service == "vault" and name == "value":
        return isinstance(value, str)
    # An error's `code` is a word for programs; only the authority's `code` is an authorization code.
    if name == "code" and service != "authority":
        return False
    return name.casefold() in SECRET_NAMES and isinstance(value, str)


def masked_path(request: web.Request) -> str:
    """Return the path with its query as it came, secret parameters masked."""
    if not any(name.casefold() in SECRET_NAMES for name in request.query):
        return request.raw_path
    query = "&".join(
        f"{name}={MASK if name.casefold() in SECRET_NAMES else value}" for name, value in request.query.items()
    )
    return f"{request.path}?{query}"


def decoded(body: bytes, content_type: str) -> Any:
    """Return a body as JSON: forms become objects, what is neither becomes its type and length."""
    if not body:
        return None
    if content_type == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if content_type.endswith("json") and len(body) <= LARGEST_JSON:
        try:
            return json.loads(body)
        except ValueError:
            pass
    return {"content_type": content_type, "length": len(body)}


def _response_body(response: web.StreamResponse) -> Any:
    if isinstance(response, web.Response) and isinstance(response.body, bytes | bytearray):
        return decoded(bytes(response.body), response.content_type)
    return None
