"""Entra's sign-in errors, as one table: number, OAuth error, status and sentence.

The sentences are those Entra shows (learn.microsoft.com/entra/identity-platform/reference-error-codes and live
replies), because people, and vendors' support desks, recognise them.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Catalogued:
    """One row of the catalogue."""

    error: str
    status: int
    sentence: str


CATALOGUE: dict[int, Catalogued] = {
    50011: Catalogued(
        "invalid_request",
        400,
        "The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the "
        "application '{client_id}'. Make sure the redirect URI sent in the request matches one added to your "
        "application in the Azure portal.",
    ),
    50034: Catalogued("invalid_grant", 400, "The user account {user} does not exist in the {tenant} directory."),
    50057: Catalogued("invalid_grant", 400, "The user account is disabled."),
    50105: Catalogued(
        "invalid_grant",
        400,
        "Your administrator has configured the application {name} ('{client_id}') to block users unless they are "
        "specifically granted ('assigned') access to the application. The signed in user '{user}' is blocked because "
        "they are not a direct member of a group with access, nor had access directly assigned by an administrator. "
        "Please contact your administrator to assign access to this application.",
    ),
    53003: Catalogued(
        "invalid_grant",
        400,
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
    ),
    54005: Catalogued(
        "invalid_grant",
        400,
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing "
        "refresh token.",
    ),
    70003: Catalogued("unsupported_grant_type", 400, "The app requested an unsupported grant type '{value}'."),
    70005: Catalogued("unsupported_response_type", 400, "The response type '{value}' is not supported here."),
    70008: Catalogued(
        "invalid_grant",
        400,
        "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive "
        "authorization request for this user and resource.",
    ),
    70011: Catalogued("invalid_scope", 400, "The provided value for the input parameter 'scope' is not valid."),
    75005: Catalogued("invalid_request", 400, "The request is not a valid Saml2 protocol message."),
    90002: Catalogued(
        "invalid_request",
        400,
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud.",
    ),
    90033: Catalogued("temporarily_unavailable", 503, "A transient error has occurred. Please try again."),
    90094: Catalogued(
        "access_denied",
        400,
        "The grant requires admin permission. Need admin approval: {name} needs permission to access resources in "
        "your organization that only an admin can grant.",
    ),
    500011: Catalogued(
        "invalid_resource",
        400,
        "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant.",
    ),
    500031: Catalogued("invalid_request", 400, "Cannot find signing certificate configured."),
    500112: Catalogued(
        "invalid_grant",
        400,
        "The reply address '{uri}' does not match the reply address provided when requesting Authorization code.",
    ),
    500113: Catalogued("invalid_request", 400, "No reply address is registered for the application."),
    501481: Catalogued(
        "invalid_grant",
        400,
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    ),
    700016: Catalogued(
        "unauthorized_client",
        400,
        "Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant. You may have sent your authentication request to the wrong tenant.",
    ),
    750054: Catalogued(
        "invalid_request",
        400,
        "SAMLRequest or SAMLResponse must be present as query string parameters in HTTP request for SAML Redirect "
        "binding.",
    ),
    900144: Catalogued("invalid_request", 400, "The request body must contain the following parameter: '{value}'."),
    1002012: Catalogued(
        "invalid_scope",
        400,
        "The provided value for scope {value} is not valid. Client credential flows must have a scope value with "
        "/.default suffixed to the resource identifier (application ID URI).",
    ),
    7000112: Catalogued("unauthorized_client", 400, "Application '{client_id}'({name}) is disabled."),
    7000215: Catalogued(
        "invalid_client",
        401,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        "the client secret ID, for a secret added to app '{client_id}'.",
    ),
    7000218: Catalogued(
        "invalid_client",
        401,
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    7000222: Catalogued(
        "invalid_client",
        401,
        "The provided client secret keys for app '{client_id}' are expired. Visit the Azure portal to create new keys "
        "for your app: https://aka.ms/NewClientSecret.",
    ),
    9002313: Catalogued("invalid_grant", 400, "Invalid request. Request is malformed or invalid."),
}


class SignInError(Exception):
    """A sign-in or token request that Entra refuses, by its number in the catalogue."""

    def __init__(self, code: int, **facts: str) -> None:
        self.code = code
        row = CATALOGUE[code]
        self.error = row.error
        self.status = row.status
        self.sentence = f"AADSTS{code}: {row.sentence.format(**facts)}"
        super().__init__(self.sentence)


def error_body(problem: SignInError, now: datetime) -> dict[str, Any]:
    """The JSON that Entra's token endpoint answers with (RFC 6749 section 5.2, and Entra's own members)."""
    trace_id, correlation_id = str(uuid.uuid4()), str(uuid.uuid4())
    timestamp = f"{now:%Y-%m-%d %H:%M:%S}Z"
    return {
        "error": problem.error,
        "error_description": (
            f"{problem.sentence} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {timestamp}"
        ),
        "error_codes": [problem.code],
        "timestamp": timestamp,
        "trace_id": trace_id,
        "correlation_id": correlation_id,
        "error_uri": f"https://login.microsoftonline.com/error?code={problem.code}",
    }
