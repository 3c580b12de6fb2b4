"""The gate as a middleware, for the services whose calls are one operation each."""

from collections.abc import Callable
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sandbox.calls import CUT, FAULT, OPERATION, CallLog
from sandbox.unkind.gate import AnswerLost, Faulted, Gate, Passage

ABANDONED = 499
"""What the record shows for a call whose caller died before it: nginx's own number for a closed request."""


class Gated(Protocol):
    """What the middleware needs from the tenant, which is seeded anew with each reset."""

    calls: CallLog

    @property
    def gate(self) -> Gate:
        """Return the present gate."""
        ...


Refusal = Callable[[int], web.Response]
"""Words a status in the error envelope of a service."""


def gated(
    tenant: Gated,
    service: str,
    refusal: Refusal,
    *,
    key: Callable[[web.Request, bytes], str],
    is_random: Callable[[web.Request, bytes], bool],
    operation: Callable[[web.Request], str] | None = None,
) -> Middleware:
    """Return the middleware that lets the calls of one service through the gate."""

    @web.middleware
    async def pass_gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        body = await request.read()
        resource = request.match_info.route.resource
        template = resource.canonical if resource is not None else request.path
        request[OPERATION] = operation(request) if operation else f"{request.method} {template}"
        passage = passage_of(tenant, service, request, body, key(request, body), is_random=is_random(request, body))
        try:
            return await tenant.gate.through(passage, lambda: handler(request))
        except Faulted as met:
            note_fault(request, met)
            response = refusal(met.status)
            response.headers.update(met.headers)
            return response
        except AnswerLost as lost:
            outcome = lost.outcome
            return lost_answer(request, lost, outcome.status if isinstance(outcome, web.StreamResponse) else None)

    return pass_gate


def passage_of(tenant: Gated, service: str, request: web.Request, body: bytes, key: str, *, is_random: bool) -> Passage:
    """Return the way of a request through the gate; its operation is known."""
    return Passage(
        service=service,
        operation=request[OPERATION],
        key=key,
        path=request.path_qs,
        is_random=is_random,
        park=lambda: tenant.calls.park(service, request, body),
        is_gone=lambda: request.transport is None or request.transport.is_closing(),
    )


def note_fault(request: web.Request, met: Faulted) -> None:
    """Let the record of calls show what a call met."""
    request[FAULT] = {"fault": met.fault.kind}


def lost_answer(request: web.Request, lost: AnswerLost, effect: int | None) -> web.Response:
    """Answer as a gateway, or let the connection be cut; the record keeps the status of the effect."""
    request[FAULT] = {"fault": "lose_answer", "effect": effect}
    request[CUT] = lost.status is None
    return web.Response(status=lost.status or (ABANDONED if effect is None else 504))
