"""Graph's refusals: status, code and text as the service words them (graph-contract section 3)."""

from collections.abc import Mapping
from typing import Any

from sandbox.unkind.gate import Faulted

_FAULTS = {
    429: ("TooManyRequests", "Too many requests."),
    500: ("Service_InternalServerError", "Encountered an internal server error."),
    502: ("UnknownError", "Bad gateway."),
    503: ("ServiceUnavailable", "Service is temporarily unavailable."),
    504: ("UnknownError", "The gateway did not receive a response in time."),
}


class GraphError(Exception):
    """An answer outside 2xx."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = dict(headers or {})

    def envelope(self, date: str, request_id: str, client_request_id: str) -> dict[str, Any]:
        """Return the body; live payloads spell `innerError` so."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = self.details
        error["innerError"] = {"date": date, "request-id": request_id, "client-request-id": client_request_id}
        return {"error": error}


def bad_request(message: str, code: str = "Request_BadRequest") -> GraphError:
    """Return a final refusal of what was sent."""
    return GraphError(400, code, message)


def unsupported_query(message: str) -> GraphError:
    """Return the refusal of a query the directory does not offer."""
    return GraphError(400, "Request_UnsupportedQuery", message)


def not_found(object_id: str) -> GraphError:
    """Return the refusal for an object that is not there, or not yet."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{object_id}' does not exist or one of its queried reference-property objects are not present.",
    )


def no_such_segment(path: str) -> GraphError:
    """Return the answer for what this sandbox does not serve: absent is 404, never a pretence."""
    return GraphError(404, "BadRequest", f"Resource not found for the segment '{path}'.")


def denied() -> GraphError:
    """Return the refusal of a caller whose token lacks the permission."""
    return GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def unauthenticated(message: str) -> GraphError:
    """Return the refusal of a missing or bad token."""
    return GraphError(401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": 'Bearer realm=""'})


def taken(name: str) -> GraphError:
    """Return the refusal of a value that another object of the tenant holds."""
    message = f"Another object with the same value for property {name} already exists."
    return GraphError(
        400,
        "Request_MultipleObjectsWithSameKeyValue",
        message,
        details=[{"code": "ObjectConflict", "message": message, "target": name}],
    )


def faulted(met: Faulted) -> GraphError:
    """Return the answer of a call that met a fault at the gate."""
    code, message = _FAULTS.get(
        met.status, ("Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    )
    headers = dict(met.headers)
    if met.status == 429:
        headers["x-ms-throttle-information"] = "CPULimitExceeded"
    return GraphError(met.status, code, message, headers=headers)
