"""Graph's HTTP: token, request ids, error envelope; what the call means is found in `dispatch`."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from aiohttp import web

from sandbox.calls import OPERATION, REQUEST_SUMMARY
from sandbox.graph import batch
from sandbox.graph.dispatch import WITHOUT_BODY, Call, answer, resolve
from sandbox.graph.errors import GraphError, faulted, unauthenticated
from sandbox.graph.natural_key import natural_key
from sandbox.graph.wire import GraphAnswer
from sandbox.tenant import SandboxTenant
from sandbox.unkind.gate import AnswerLost, Faulted
from sandbox.unkind.middleware import lost_answer, note_fault, passage_of


def routes(tenant: SandboxTenant) -> list[web.RouteDef]:
    """Return the one route of both versions."""

    async def serve(request: web.Request) -> web.Response:
        """Answer one call, refused or not, with its request ids."""
        request_id = str(uuid4())
        client_request_id = request.headers.get("client-request-id", request_id)
        ids = (request_id, client_request_id)
        try:
            result = await _answer(tenant, request, ids)
        except GraphError as refusal:
            date = tenant.clock.now().strftime("%Y-%m-%dT%H:%M:%S")
            result = GraphAnswer(refusal.status, refusal.envelope(date, *ids), refusal.headers)
        except AnswerLost as lost:
            return lost_answer(request, lost, getattr(lost.outcome, "status", None))
        if result.request_summary is not None:
            request[REQUEST_SUMMARY] = result.request_summary
        headers = {**result.headers, "request-id": request_id, "client-request-id": client_request_id}
        if result.body is None:
            return web.Response(status=result.status, headers=headers)
        return web.Response(
            status=result.status,
            headers=headers,
            text=json.dumps(result.body),
            content_type="application/json",
        )

    return [web.route("*", "/{version:v1\\.0|beta}/{rest:.+}", serve)]


async def _answer(tenant: SandboxTenant, request: web.Request, ids: tuple[str, str]) -> GraphAnswer:
    version = request.match_info["version"]
    target = request.raw_path.removeprefix(f"/{version}")
    headers = {name.lower(): value for name, value in request.headers.items()}
    raw_body = await request.read()
    is_batch = request.method == "POST" and request.path == f"/{version}/$batch"
    resolved = resolve(tenant, Call(version, request.method, target, headers, raw_body))
    request[OPERATION] = batch.OPERATION if is_batch else resolved.name
    if is_batch or resolved.name in WITHOUT_BODY:
        # Set before anything can refuse the call: a mail's text is never kept.
        request[REQUEST_SUMMARY] = {"length": len(raw_body)}
    claims = _claims(tenant, headers)
    key = batch.key_of(tenant, version, resolved.request.body) if is_batch else natural_key(resolved.request)
    passage = passage_of(tenant, "graph", request, raw_body, key, is_random=True)

    async def act() -> GraphAnswer:
        if is_batch:
            return await batch.answer_batch(tenant, claims, version, resolved.request.body, ids, passage)
        return await answer(resolved, claims, passage, tenant.switches.latency_seconds)

    try:
        return await tenant.gate.through(passage, act)
    except Faulted as met:
        note_fault(request, met)
        raise faulted(met) from met


def _claims(tenant: SandboxTenant, headers: Mapping[str, str]) -> Mapping[str, Any]:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated("Access token is empty.")
    try:
        return tenant.tokens.verify(token, tenant.urls.graph)
    except ValueError as problem:
        raise unauthenticated(f"Access token validation failure: {problem}") from problem
