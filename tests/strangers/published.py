"""Calls read against what Graph publishes: `sandbox/graph-openapi-subset.json`, which no code of ours has written.

It is cut from github.com/microsoftgraph/msgraph-metadata (MIT). The one beta read is held to what the documentation of
`configurationUris` says, because the description is of v1.0.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

DESCRIPTION = Path(__file__).parents[2] / "sandbox" / "graph-openapi-subset.json"
METHODS = ("get", "post", "put", "patch", "delete")
MIME = "users.user.sendMail"  # the record of calls keeps no mail
# learn.microsoft.com/graph/api/resources/configurationuri (beta).
CONFIGURATION_URIS = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "configurationUris": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "usage": {"enum": ["redirectUri", "identifierUri", "loginUrl", "logoutUrl"]},
                    "values": {"type": "array", "items": {"type": "string"}},
                    "examples": {"type": ["array", "null"], "items": {"type": "string"}},
                    "isRequired": {"type": "boolean"},
                    "appliesToSingleSignOnMode": {"enum": ["saml", "password", "oidc"]},
                },
                "required": ["usage", "values", "isRequired", "appliesToSingleSignOnMode"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["configurationUris"],
    "additionalProperties": False,
}


def problems_of(calls: Iterable[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """How many bodies of Graph calls were read, and what is wrong with them."""
    read, problems = 0, []
    for call in calls:
        if call["service"] != "graph" or call["operation"] == "batch" or call["status"] is None:
            continue
        for where, schema, body in _bodies(call):
            read += 1
            found = _validator(json.dumps(schema)).iter_errors(_bare(body))
            name = f"{call['method']} {call['path'].partition('?')[0]} {where}"
            problems += [f"{name}: {error.json_path}: {error.message}" for error in found]
    return read, problems


def _bodies(call: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    """Each body of a call with its schema."""
    operation = _operations().get(call["operation"])
    if operation is None:
        if call["status"] < 400:
            yield "operation", {"not": {}}, call["operation"]  # carried out, and nothing publishes it
        return
    if call["path"].startswith("/beta/"):
        yield "response", CONFIGURATION_URIS if call["status"] < 400 else _error(), call["response"]
        return
    request = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if call["request"] is not None and call["operation"] != MIME and call["status"] < 400:
        yield "request", request or {"not": {}}, call["request"]
    if call["status"] >= 400:
        if call["response"] is not None:  # a gateway's own refusal has no body of Graph's
            yield "response", _error(), call["response"]
        return
    answers = operation["responses"]
    answer = answers.get(str(call["status"])) or answers.get("2XX")
    schema = (answer or {}).get("content", {}).get("application/json", {}).get("schema")
    if answer is None:
        yield "status", {"enum": sorted(answers)}, str(call["status"])
    elif schema is not None:
        yield "response", schema, call["response"]
    elif call["response"] is not None:
        yield "response", {"type": "null"}, call["response"]


def _error() -> Any:
    return {"$ref": "#/components/schemas/microsoft.graph.ODataErrors.ODataError"}


@cache
def _description() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DESCRIPTION.read_text("utf-8"))
    return document


@cache
def _operations() -> dict[str, Any]:
    paths = _description()["paths"].values()
    return {item[method]["operationId"]: item[method] for item in paths for method in METHODS if method in item}


@cache
def _definitions() -> dict[str, Any]:
    schemas = _description()["components"]["schemas"]
    return {name: _closed(schema) for name, schema in schemas.items()}


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**_translated(json.loads(schema)), "$defs": _definitions()})


def _closed(schema: Mapping[str, Any]) -> Any:
    """A named type: with its inherited properties, and no others."""
    flat = _properties(schema)
    if not flat:
        return _translated(schema)
    return {
        "type": "object",
        "properties": {name: _translated(each) for name, each in flat.items()},
        "additionalProperties": False,
    }


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in schema.get("allOf", ()):
        if "$ref" in part:
            part = _description()["components"]["schemas"][part["$ref"].rsplit("/", 1)[1]]  # noqa: PLW2901
        found |= _properties(part)
    found |= schema.get("properties", {})
    return found


def _translated(schema: Any) -> Any:
    """OpenAPI 3.0's words as JSON Schema's."""
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        return {"$ref": "#/$defs/" + schema["$ref"].rsplit("/", 1)[1]}
    if "anyOf" in schema:
        # The published way to say "this type or null".
        return {"anyOf": [*(_translated(each) for each in schema["anyOf"]), {"type": "null"}]}
    kept = {name: value for name, value in schema.items() if name in {"type", "pattern", "enum", "minimum", "maximum"}}
    kept |= {name: schema[name] for name in ("not", "required", "additionalProperties") if name in schema}
    if "properties" in schema or "allOf" in schema:
        kept["properties"] = {name: _translated(each) for name, each in _properties(schema).items()}
    if "items" in schema:
        kept["items"] = _translated(schema["items"])
    if schema.get("nullable") and isinstance(kept.get("type"), str):
        kept["type"] = [kept["type"], "null"]
    return kept


def _bare(value: Any) -> Any:
    """The value without OData's annotations."""
    if isinstance(value, Mapping):
        return {name: _bare(inner) for name, inner in value.items() if "@odata." not in name}
    if isinstance(value, list):
        return [_bare(inner) for inner in value]
    return value
