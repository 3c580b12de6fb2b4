"""What the vault accepts: names, values, attributes and tags within their limits, or a refusal in its envelope."""

import re
from typing import Any

from aiohttp import web

NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
LARGEST_VALUE = 25 * 1024
LONGEST_CONTENT_TYPE = 255
MOST_TAGS = 15
LONGEST_TAG = 256


class VaultError(Exception):
    """A refusal in the vault's own envelope."""

    def __init__(self, status: int, code: str, message: str, inner: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"code": code, "message": message}}
        if inner:
            self.body["error"]["innererror"] = {"code": inner}


def secret_name(request: web.Request) -> str:
    """Return the name in the path, or refuse it."""
    name = request.match_info["name"]
    if not NAME.fullmatch(name):
        raise bad_parameter(f"The secret name {name} does not match ^[0-9a-zA-Z-]+$ of at most 127 characters.")
    return name


def check_version(request: web.Request) -> None:
    """Refuse a call that names no api-version."""
    if not request.query.get("api-version"):
        raise bad_parameter("The api-version query parameter is missing.")


async def json_body(request: web.Request) -> dict[str, Any]:
    """Return the body as an object, or refuse it."""
    try:
        body = await request.json()
    except ValueError as problem:
        raise bad_parameter("The request body is not valid JSON.") from problem
    if not isinstance(body, dict):
        raise bad_parameter("The request body must be an object.")
    return body


def attributes_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return enabled, nbf and exp as far as they were sent."""
    attributes = _object_of(body, "attributes")
    expected: dict[str, type] = {"enabled": bool, "nbf": int, "exp": int}
    for name, value in attributes.items():
        if name not in expected or not isinstance(value, expected[name]):
            raise bad_parameter(f"Attribute {name} is not one of enabled, nbf and exp, or not of its type.")
    return dict(attributes)


def content_type_of(body: dict[str, Any]) -> str | None:
    """Return the content type, or refuse it."""
    content_type = body.get("contentType")
    if content_type is not None and (not isinstance(content_type, str) or len(content_type) > LONGEST_CONTENT_TYPE):
        raise bad_parameter(f"contentType takes at most {LONGEST_CONTENT_TYPE} characters.")
    return content_type


def tags_of(body: dict[str, Any]) -> dict[str, str]:
    """Return the tags, or refuse them."""
    tags = _object_of(body, "tags")
    if len(tags) > MOST_TAGS:
        raise bad_parameter(f"A secret takes at most {MOST_TAGS} tags.")
    for name, value in tags.items():
        if not isinstance(value, str) or len(name) > LONGEST_TAG or len(value) > LONGEST_TAG:
            raise bad_parameter(f"Tags are strings of at most {LONGEST_TAG} characters.")
    return dict(tags)


def bad_parameter(message: str) -> VaultError:
    """Return the refusal of what was sent."""
    return VaultError(400, "BadParameter", message)


def not_found(name: str) -> VaultError:
    """Return the refusal for a secret that is not there."""
    return VaultError(
        404,
        "SecretNotFound",
        f"A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may "
        "be able to recover it using the correct recovery command.",
    )


def _object_of(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name) or {}
    if not isinstance(value, dict):
        raise bad_parameter(f"{name} must be an object.")
    return value
