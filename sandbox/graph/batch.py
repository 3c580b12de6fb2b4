"""`$batch`: up to twenty calls in one, each authorised, answered and recorded on its own (graph-contract 13)."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.graph.dispatch import WITHOUT_BODY, Call, answer, resolve
from sandbox.graph.errors import GraphError, bad_request
from sandbox.graph.wire import GraphAnswer
from sandbox.tenant import SandboxTenant

MOST_ITEMS = 20
OPERATION = "batch"
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})


async def answer_batch(
    tenant: SandboxTenant, claims: Mapping[str, Any], version: str, body: Any, ids: tuple[str, str]
) -> GraphAnswer:
    """Answer every item; the batch itself succeeds even where all of them fail."""
    items = _items(body)
    answered: dict[str, int] = {}
    responses = []
    for item in items:
        if any(answered.get(needed, 424) >= 400 for needed in item.get("dependsOn") or ()):
            refusal = GraphError(424, "FailedDependency", "A request that this one depends on has failed.")
            response = _refused(tenant, refusal, ids)
            _record(tenant, version, item, "batch item", response, None)
        else:
            response = await _answer_item(tenant, claims, version, item, ids)
        answered[item["id"]] = response["status"]
        responses.append({"id": item["id"], **response})
    summary = {"requests": [{name: item[name] for name in ("id", "method", "url")} for item in items]}
    return GraphAnswer(200, {"responses": responses}, request_summary=summary)


async def _answer_item(
    tenant: SandboxTenant, claims: Mapping[str, Any], version: str, item: dict[str, Any], ids: tuple[str, str]
) -> dict[str, Any]:
    headers = {str(name).lower(): str(value) for name, value in (item.get("headers") or {}).items()}
    raw_body = _raw(item)
    resolved = resolve(tenant, Call(version, item["method"], item["url"], headers, raw_body))
    summary: Any = {"length": len(raw_body)} if resolved.name in WITHOUT_BODY else item.get("body")
    try:
        if raw_body and "content-type" not in headers:
            raise bad_request("Content-Type header is required for a batch item with a body.", "BadRequest")
        result = await answer(resolved, claims)
    except GraphError as refusal:
        response = _refused(tenant, refusal, ids)
    else:
        summary = result.request_summary or summary
        response = {"status": result.status, "headers": dict(result.headers)}
        if result.body is not None:
            response["headers"]["Content-Type"] = "application/json"
            response["body"] = result.body
    _record(tenant, version, item, resolved.name, response, summary)
    return response


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


def _record(
    tenant: SandboxTenant, version: str, item: dict[str, Any], operation: str, response: dict[str, Any], summary: Any
) -> None:
    client_request_id = next(
        (value for name, value in (item.get("headers") or {}).items() if name.lower() == "client-request-id"), None
    )
    tenant.calls.record(
        "graph",
        item["method"],
        f"/{version}{item['url']}",
        operation,
        response["status"],
        client_request_id,
        summary,
        response.get("body"),
        batch=True,
    )


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
