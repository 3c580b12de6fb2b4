"""Client secrets: addPassword tells the value once, removePassword ends it (graph-contract section 8)."""

import re
import secrets
import string
from datetime import UTC, datetime
from typing import Any

from sandbox.clock import graph_time, parse_time
from sandbox.graph.app_management import check_secret
from sandbox.graph.applications import get_application
from sandbox.graph.errors import bad_request
from sandbox.graph.schemas import check_properties
from sandbox.graph.wire import NO_CONTENT, GraphAnswer, GraphRequest, Handler

CANARY = "8Q~Canary."
"""In every client secret of the sandbox: whoever looks for leaks looks for this. Entra's own carry `8Q~`."""

DEFAULT_YEARS = 2
_ALPHABET = string.ascii_letters + string.digits + "_~.-"
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


async def add_password(request: GraphRequest) -> GraphAnswer:
    """Mint a client secret; its text is in this answer and in no other."""
    application = get_application(request)
    wanted = _wanted(request)
    now = request.tenant.clock.now()
    starts = _time(wanted, "startDateTime") or now
    ends = _time(wanted, "endDateTime") or years_after(starts, DEFAULT_YEARS)
    check_secret(request, application, starts, ends)
    if ends <= starts:
        raise bad_request("Credential end date must be later than its start date.", "CredentialInvalidLifetime")
    text = _secret_text()
    key_id = request.directory.next_id("secret", application["id"])
    credential = {
        "customKeyIdentifier": None,
        "displayName": wanted.get("displayName"),
        "endDateTime": graph_time(ends),
        "hint": text[:3],
        "keyId": key_id,
        "secretText": None,
        "startDateTime": graph_time(starts),
    }
    application["passwordCredentials"].append(credential)
    request.directory.secret_values[key_id] = text
    request.tenant.unkind.secrets_known[key_id] = tuple(
        now + lag for lag in request.tenant.unkind.lags("secret", key_id)
    )
    request.store.put("applications", application)
    return GraphAnswer(
        200,
        {
            "@odata.context": f"{request.root}/$metadata#microsoft.graph.passwordCredential",
            **credential,
            "secretText": text,
        },
    )


async def remove_password(request: GraphRequest) -> GraphAnswer:
    """End a client secret at once."""
    application = get_application(request)
    key_id = request.text("keyId")
    if not _GUID.fullmatch(key_id):
        raise bad_request("Invalid value specified for property 'keyId'.")
    kept = [found for found in application["passwordCredentials"] if found["keyId"].lower() != key_id.lower()]
    # A replica that has not heard of the secret yet finds none to remove (graph-contract section 4).
    seen = request.store.seen("applications", application["id"]) or {"passwordCredentials": []}
    known = any(found["keyId"].lower() == key_id.lower() for found in seen["passwordCredentials"])
    if len(kept) == len(application["passwordCredentials"]) or not known:
        raise bad_request(f"No password credential found with keyId {key_id}.")
    application["passwordCredentials"] = kept
    request.directory.secret_values.pop(key_id.lower(), None)
    request.store.put("applications", application)
    return NO_CONTENT


def years_after(starts: datetime, years: int) -> datetime:
    """Return the same day some years later; the 29th of February becomes the 28th."""
    day = 28 if (starts.month, starts.day) == (2, 29) else starts.day
    return starts.astimezone(UTC).replace(year=starts.year + years, day=day)


def _wanted(request: GraphRequest) -> dict[str, Any]:
    if request.body is None:
        return {}
    body = request.json_object()
    if unknown := set(body) - {"passwordCredential"}:
        raise bad_request(f"The parameter '{min(unknown)}' in the request payload is not a valid parameter.")
    wanted = body.get("passwordCredential") or {}
    check_properties("passwordCredential", wanted)
    if wanted.get("secretText"):
        raise bad_request("The value of a new password is made by the service and cannot be set.")
    return dict(wanted)


def _time(wanted: dict[str, Any], name: str) -> datetime | None:
    try:
        return parse_time(wanted[name]) if wanted.get(name) else None
    except ValueError as problem:
        raise bad_request(f"Invalid value specified for property '{name}'.") from problem


def _secret_text() -> str:
    first = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(3))
    return first + CANARY + "".join(secrets.choice(_ALPHABET) for _ in range(27))


HANDLERS: dict[str, Handler] = {
    "applications.application.addPassword": add_password,
    "applications.application.removePassword": remove_password,
}
