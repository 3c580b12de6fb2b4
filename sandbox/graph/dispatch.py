"""The way of one call: its operation is found, the token's roles are compared, the handler answers or refuses."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from sandbox.graph import (
    app_management,
    application_templates,
    applications,
    assignments,
    deleted_items,
    grants,
    mail,
    passwords,
    principals,
    reports,
    service_principals,
    signing_certificates,
)
from sandbox.graph.collision import writing
from sandbox.graph.errors import bad_request, denied, no_such_segment
from sandbox.graph.mail import refused_mail
from sandbox.graph.operations import Operation, match
from sandbox.graph.ownership import check_ownership
from sandbox.graph.store import Kind, Store
from sandbox.graph.synchronisation import synchronise
from sandbox.graph.throttling import throttle
from sandbox.graph.wire import GraphAnswer, GraphRequest, Handler
from sandbox.tenant import SandboxTenant
from sandbox.unkind.gate import Passage

HANDLERS: dict[str, Handler] = {
    **app_management.HANDLERS,
    **application_templates.HANDLERS,
    **applications.HANDLERS,
    **assignments.HANDLERS,
    **deleted_items.HANDLERS,
    **grants.HANDLERS,
    **mail.HANDLERS,
    **passwords.HANDLERS,
    **principals.HANDLERS,
    **reports.HANDLERS,
    **service_principals.HANDLERS,
    **signing_certificates.HANDLERS,
}

BETA_ALONE = frozenset({reports.CREDENTIAL_USE})
"""What there is in beta and not in v1.0."""

BETA = BETA_ALONE | {"applicationTemplates.applicationTemplate_GetApplicationTemplate"}
"""All that the sandbox serves of beta: its templates show configurationUris, v1.0's do not."""

WITHOUT_BODY = frozenset({"users.user.sendMail"})
"""Operations whose request the record of calls keeps as a summary alone."""

_BY_KEY = re.compile(r"/(applications|servicePrincipals)\((appId|uniqueName)='((?:[^'/]|'')*)'\)(/.+)")
_KINDS: dict[str, Kind] = {"applications": "applications", "servicePrincipals": "service_principals"}


@dataclass(frozen=True)
class Call:
    """A call as it came, before anything is known about it."""

    version: str
    method: str
    target: str
    """Path and query below the version, still encoded."""
    headers: Mapping[str, str]
    raw_body: bytes


@dataclass(frozen=True)
class Resolved:
    """What a call means; without an operation the description knows nothing of it."""

    name: str
    """The operationId, or method and path where there is none."""
    operation: Operation | None
    request: GraphRequest


def resolve(tenant: SandboxTenant, call: Call) -> Resolved:
    """Find what a call means; raises nothing, so that even a refused call has the name of its operation."""
    raw_path, _, raw_query = call.target.partition("?")
    path = unquote(raw_path).rstrip("/")
    store = Store(tenant.directory, tenant.unkind)
    found = match(call.method, path) or match(call.method, _by_object_id(store, path))
    request = GraphRequest(
        tenant=tenant,
        version=call.version,
        method=call.method,
        path=path,
        raw_query=raw_query,
        query=dict(parse_qsl(raw_query, keep_blank_values=True)),
        headers=call.headers,
        raw_body=call.raw_body,
        body=_json(call),
        parameters=found[1] if found else {},
    )
    if found is None:
        return Resolved(f"{call.method} {path}", None, request)
    return Resolved(found[0].operation_id, found[0], request)


async def answer(
    resolved: Resolved, claims: Mapping[str, Any], passage: Passage, latency_seconds: float = 0.0
) -> GraphAnswer:
    """Answer a call of an authenticated caller, after a while; raises GraphError for every refusal."""
    request = replace(resolved.request, claims=claims, passage=passage)
    handler = HANDLERS.get(resolved.name)
    served = resolved.name in BETA if request.version == "beta" else resolved.name not in BETA_ALONE
    if resolved.operation is None or handler is None or not served:
        raise no_such_segment(request.path)
    synchronise(request.tenant)
    headers = throttle(request, resolved.name)
    if not may_call(request, resolved.operation):
        raise refused_mail() if resolved.name == mail.OPERATION else denied()
    if request.raw_body and request.body is None and not request.headers.get("content-type", "").startswith("text/"):
        raise bad_request("Unable to read JSON request payload. Please ensure the payload is valid JSON.", "BadRequest")
    check_ownership(request, resolved.operation)
    with writing(request, resolved.name):
        await request.tenant.gate.wait(latency_seconds)
        result = await handler(request)
    return replace(result, headers={**headers, **result.headers})


def may_call(request: GraphRequest, operation: Operation) -> bool:
    """Tell whether the token's roles, or for a mail Exchange's own grant, allow the operation."""
    if operation.allows(frozenset(request.claims.get("roles", ()))):
        return True
    return operation.operation_id == mail.OPERATION and mail.is_in_exchange_scope(request)


def _by_object_id(store: Store, path: str) -> str:
    """Write `/applications(appId='…')/addPassword` with the object ID, the form the description lists."""
    hit = _BY_KEY.fullmatch(path)
    if not hit:
        return path
    collection, name, value, rest = hit.groups()
    found = store.find_by(_KINDS[collection], name, value.replace("''", "'"))
    return f"/{collection}/{found['id'] if found else value}{rest}"


def _json(call: Call) -> Any:
    if not call.raw_body:
        return None
    try:
        return json.loads(call.raw_body)
    except ValueError:
        return None
