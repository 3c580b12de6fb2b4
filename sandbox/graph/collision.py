"""Writes on an application and its service principal, one at a time or 409 (graph-contract sections 3 and 4)."""

from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.graph.errors import GraphError
from sandbox.graph.wire import GraphRequest


@contextmanager
def writing(request: GraphRequest, operation: str) -> Iterator[None]:
    """Hold the pair that a write is about, or refuse the write with 409 where another one is too near."""
    pair = _pair(request)
    if pair is None:
        yield
        return
    unkind = request.tenant.unkind
    if unkind.collisions.collides(pair, operation, request.tenant.switches.collision_share):
        if request.passage is not None:
            request.tenant.gate.note(request.passage, "collision")
        # "Retry-After if sent": sometimes it is.
        named = unkind.draws.hits(0.5, "collision Retry-After", pair, operation)
        raise GraphError(
            409,
            "Directory_ConcurrencyViolation",
            "Error due to concurrent requests being made to the tenant. Please wait briefly and retry.",
            headers={"Retry-After": "2"} if named else None,
        )
    with unkind.collisions.writing(pair, operation):
        yield


def _pair(request: GraphRequest) -> str | None:
    """Return the client ID of the pair that a write is about; an assignment is an object of its own."""
    if request.method == "GET" or "/appRoleAssign" in request.path:
        return None
    store, given = request.store.primary, request.parameters
    if "application-id" in given:
        found = store.find("applications", given["application-id"])
    elif "servicePrincipal-id" in given:
        found = store.find("service_principals", given["servicePrincipal-id"])
    elif "uniqueName" in given:
        found = store.find_by("applications", "uniqueName", given["uniqueName"])
    else:
        return given.get("appId")
    return None if found is None else str(found["appId"])
