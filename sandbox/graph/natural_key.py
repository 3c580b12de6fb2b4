"""What a call is about, in words that are the same in every run with one seed: draws depend on it, never on chance."""

import re
from base64 import b64decode
from email import message_from_bytes
from email.policy import default
from typing import Any

from sandbox.graph.wire import GraphRequest

# Names that tell apart the calls which make something at one and the same path.
_NAMING = ("displayName", "principalId", "appId", "clientId")
_MADE_AT = re.compile(r"/(applications|servicePrincipals|oauth2PermissionGrants)|.*/(instantiate|appRoleAssign\w+)")
# A hand-off's reference is drawn by the app, and not from our seed.
_REFERENCE = re.compile(r"\[[^\]]*\]")


def natural_key(request: GraphRequest) -> str:
    """Return the key of a call: its path, and what it makes there."""
    if request.path.endswith("/sendMail"):
        return f"{request.path} {_mail(request)}"
    if request.method != "POST" or not _MADE_AT.fullmatch(request.path) or not isinstance(request.body, dict):
        # A query is part of what is read; tokens of pages come with it and are the same for one seed.
        return f"{request.path}?{request.raw_query}" if request.raw_query else request.path
    return " ".join([request.path, *(str(request.body[name]) for name in _NAMING if name in request.body)])


def _mail(request: GraphRequest) -> str:
    try:
        subject, receivers = _of_json(request.body) if request.body else _of_mime(request.raw_body)
    except (KeyError, TypeError, ValueError):
        return ""
    return f"{receivers} {_REFERENCE.sub('', subject).strip()}"


def _of_json(body: Any) -> tuple[str, str]:
    message = body["message"]
    return message["subject"], ",".join(each["emailAddress"]["address"] for each in message["toRecipients"])


def _of_mime(raw_body: bytes) -> tuple[str, str]:
    mail = message_from_bytes(b64decode(raw_body), policy=default)
    return str(mail["subject"]), str(mail["to"])
