"""addTokenSigningCertificate: a real key, two key credentials and the password over them (graph-contract section 9)."""

from base64 import b64encode

from sandbox.certificates import make_signing_pair_aside, thumbprint_bytes
from sandbox.clock import graph_time, parse_time
from sandbox.graph.app_management import check_certificate
from sandbox.graph.errors import bad_request
from sandbox.graph.passwords import years_after
from sandbox.graph.service_principals import get_service_principal
from sandbox.graph.wire import GraphAnswer, GraphRequest, Handler

LONGEST_YEARS = 3


async def add_token_signing_certificate(request: GraphRequest) -> GraphAnswer:
    """Add a certificate; it signs nothing until its thumbprint is the preferred one."""
    found = get_service_principal(request)
    object_id = found["id"]
    body = request.json_object()
    if unknown := set(body) - {"displayName", "endDateTime"}:
        raise bad_request(f"The parameter '{min(unknown)}' in the request payload is not a valid parameter.")
    display_name = request.text("displayName")
    if not display_name.startswith("CN=") or display_name == "CN=":
        raise bad_request("The displayName of a token signing certificate must begin with 'CN='.")
    starts = request.tenant.clock.now()
    latest = years_after(starts, LONGEST_YEARS)
    try:
        ends = parse_time(body["endDateTime"]) if body.get("endDateTime") else latest
    except (TypeError, ValueError) as problem:
        raise bad_request("Invalid value specified for property 'endDateTime'.") from problem
    if not starts < ends <= latest:
        raise bad_request("Key credential end date is invalid.", "KeyCredentialsInvalidEndDate")
    check_certificate(request, found, starts, ends)
    pair = await make_signing_pair_aside(display_name.removeprefix("CN="), starts, ends)
    sign_key_id = request.directory.next_id("signKey", object_id)
    shared = {
        "customKeyIdentifier": b64encode(thumbprint_bytes(pair.certificate)).decode(),
        "displayName": display_name,
        "endDateTime": graph_time(ends),
        "startDateTime": graph_time(starts),
    }
    certificate = b64encode(pair.der).decode()
    verify = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": certificate}
    # Read again: making the key took a while, and another write may have come between.
    service_principal = request.store.get("service_principals", object_id)
    service_principal["keyCredentials"] += [
        {**shared, "keyId": request.directory.next_id("verifyKey", object_id), **verify},
        {**shared, "keyId": sign_key_id, "type": "X509CertAndPassword", "usage": "Sign", "key": certificate},
    ]
    service_principal["passwordCredentials"].append(
        {**shared, "keyId": sign_key_id, "hint": None, "secretText": None},
    )
    request.directory.signing_keys[pair.thumbprint] = (pair.private_key, pair.certificate)
    request.store.put("service_principals", service_principal)
    context = f"{request.root}/$metadata#microsoft.graph.selfSignedCertificate"
    # The answer carries the Sign key's keyId beside the Verify key's usage (graph-contract section 9, observed).
    return GraphAnswer(
        200, {"@odata.context": context, **shared, "keyId": sign_key_id, "thumbprint": pair.thumbprint, **verify}
    )


HANDLERS: dict[str, Handler] = {
    "servicePrincipals.servicePrincipal.addTokenSigningCertificate": add_token_signing_certificate,
}
