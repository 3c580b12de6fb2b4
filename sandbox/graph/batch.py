"""`$batch`: up to twenty calls in one, each authorised, answered and recorded on its own (graph-contract 13)."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.graph.dispatch import WITHOUT_BODY, Call, answer, resolve
from sandbox.graph.errors import GraphError, bad_request, faulted
from sandbox.graph.natural_key import natural_key
from sandbox.graph.wire import GraphAnswer
from sandbox.tenant import SandboxTenant
from sandbox.unkind.gate import AnswerLost, Faulted, Passage

MOST_ITEMS = 20
OPERATION = "batch"
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})


def key_of(tenant: SandboxTenant, version: str, body: Any) -> str:
    """Return what a batch is about: the keys of its items, in whatever order they stand."""
    requests = body.get("requests") if isinstance(body, dict) else None
    items = [item for item in requests or () if isinstance(item, dict)]
    calls = [Call(version, str(item.get("method")), str(item.get("url")), {}, _raw(item)) for item in items]
    return " & ".join(sorted(f"{call.method} {natural_key(resolve(tenant, call).request)}" for call in calls))


async def answer_batch(
    tenant: SandboxTenant,
    claims: Mapping[str, Any],
    version: str,
    body: Any,
    ids: tuple[str, str],
    passage: Passage,
) -> GraphAnswer:
    """Answer every item; the batch itself succeeds even where all of them fail. Raises AnswerLost half-way."""
    items = _items(body)
    answered: dict[str, int] = {}
    responses = []
    # A batch is one round trip, whatever is in it.
    await tenant.gate.wait(tenant.switches.latency_seconds)
    last = _last_place(tenant, passage, len(items))
    for place, item in enumerate(items):
        if place > last:
            # A batch that timed out may be half applied (graph-contract section 13).
            tenant.gate.note(passage, "half a batch", items=place)
            raise AnswerLost(504, None)
        if any(answered.get(needed, 424) >= 400 for needed in item.get("dependsOn") or ()):
            refusal = GraphError(424, "FailedDependency", "A request that this one depends on has failed.")
            response = _refused(tenant, refusal, ids)
            tenant.calls.end(_begin(tenant, version, item, _name(tenant, version, item), None), 424, response["body"])
        else:
            response = await _answer_item(tenant, claims, version, item, ids, passage.is_gone)
        answered[item["id"]] = response["status"]
        responses.append({"id": item["id"], **response})
    summary = {"requests": [{name: item[name] for name in ("id", "method", "url")} for item in items]}
    if tenant.switches.shuffled_batches:
        places = {response["id"]: tenant.unkind.draws.fraction("batch", response["id"]) for response in responses}
        responses.sort(key=lambda response: places[response["id"]])
    return GraphAnswer(200, {"responses": responses}, request_summary=summary)


async def _answer_item(
    tenant: SandboxTenant,
    claims: Mapping[str, Any],
    version: str,
    item: dict[str, Any],
    ids: tuple[str, str],
    is_gone: Callable[[], bool],
) -> dict[str, Any]:
    headers = {str(name).lower(): str(value) for name, value in (item.get("headers") or {}).items()}
    raw_body = _raw(item)
    resolved = resolve(tenant, Call(version, item["method"], item["url"], headers, raw_body))
    summary: Any = {"length": len(raw_body)} if resolved.name in WITHOUT_BODY else item.get("body")
    began = tenant.clock.now().isoformat(timespec="milliseconds")
    parked: list[dict[str, Any]] = []
    passage = Passage(
        service="graph",
        operation=resolved.name,
        key=natural_key(resolved.request),
        path=item["url"],
        is_random=True,
        park=lambda: parked.append(_begin(tenant, version, item, resolved.name, summary)),
        is_gone=is_gone,
    )
    fault: dict[str, Any] = {}
    try:
        if raw_body and "content-type" not in headers:
            raise bad_request("Content-Type header is required for a batch item with a body.", "BadRequest")
        result = await tenant.gate.through(passage, lambda: answer(resolved, claims, passage))
    except GraphError as refusal:
        response = _refused(tenant, refusal, ids)
    except Faulted as met:
        fault = {"fault": met.fault.kind}
        response = _refused(tenant, faulted(met), ids)
    except AnswerLost as lost:
        # The batch's own connection is there: a lost item is one that the gateway behind gave up on.
        fault = {"fault": "lose_answer", "effect": getattr(lost.outcome, "status", None)}
        response = _refused(tenant, GraphError(504, "UnknownError", "The gateway did not receive a response."), ids)
    else:
        summary = result.request_summary or summary
        response = {"status": result.status, "headers": dict(result.headers)}
        if result.body is not None:
            response["headers"]["Content-Type"] = "application/json"
            response["body"] = result.body
    entry = parked[0] if parked else _begin(tenant, version, item, resolved.name, summary)
    tenant.calls.end(entry, response["status"], response.get("body"), {"began": began, **fault})
    return response


def _last_place(tenant: SandboxTenant, passage: Passage, length: int) -> int:
    draws, share = tenant.unkind.draws, tenant.switches.lost_answer_share
    cut = draws.pick(length, "half a batch at", passage.key)
    return cut if draws.hits(share / 2, "half a batch", passage.key) else length


def _raw(item: dict[str, Any]) -> bytes:
    body = item.get("body")
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _refused(tenant: SandboxTenant, refusal: GraphError, ids: tuple[str, str]) -> dict[str, Any]:
    date = tenant.clock.now().strftime("%Y-%m-%dT%H:%M:%S")
    return {
        "status": refusal.status,
        "headers": {"Content-Type": "application/json", **refusal.headers},
        "body": refusal.envelope(date, *ids),
    }


def _begin(tenant: SandboxTenant, version: str, item: dict[str, Any], operation: str, summary: Any) -> dict[str, Any]:
    client_request_id = next(
        (value for name, value in (item.get("headers") or {}).items() if name.lower() == "client-request-id"), None
    )
    return tenant.calls.begin(
        "graph",
        item["method"],
        f"/{version}{item['url']}",
        operation,
        client_request_id,
        summary,
        batch=True,
    )


def _name(tenant: SandboxTenant, version: str, item: dict[str, Any]) -> str:
    return resolve(tenant, Call(version, item["method"], item["url"], {}, _raw(item))).name


def _items(body: Any) -> list[dict[str, Any]]:
    items = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(items, list) or not items:
        raise bad_request("Invalid batch payload format.", "BadRequest")
    if len(items) > MOST_ITEMS:
        raise bad_request(f"Number of batch request steps exceeds the maximum value of {MOST_ITEMS}.", "BadRequest")
    seen: list[str] = []
    for item in items:
        if not isinstance(item, dict) or any(not isinstance(item.get(name), str) for name in ("id", "method", "url")):
            raise bad_request("Invalid batch payload format: each request needs id, method and url.", "BadRequest")
        if item["id"] in seen:
            raise bad_request(f"Duplicate request id found in the batch: {item['id']}.", "BadRequest")
        if any(needed not in seen for needed in item.get("dependsOn") or ()):
            raise bad_request("dependsOn must name requests that come before.", "BadRequest")
        item["method"] = item["method"].upper()
        if item["method"] not in _METHODS or not item["url"].startswith("/") or item["url"].startswith("/$batch"):
            raise bad_request("Invalid batch payload format: method or url.", "BadRequest")
        seen.append(item["id"])
    return items
