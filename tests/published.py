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

DESCRIPTION = Path(__file__).parents[1] / "sandbox" / "graph-openapi-subset.json"
WORDS = {"type", "pattern", "enum", "minimum", "maximum", "maxProperties"}
METHODS = ("get", "post", "put", "patch", "delete")
DIRECTORY_OBJECT = "microsoft.graph.directoryObject"
MIME = "users.user.sendMail"  # the record of calls keeps no mail
# The cut has no kinds of exemptions; the only one there is adds `value`
# (learn.microsoft.com/graph/api/resources/customsecurityattributestringvalueexemption).
EXEMPTION = "microsoft.graph.customSecurityAttributeExemption"
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


def problems_of(calls: Iterable[Mapping[str, Any]], *, requests: bool = True) -> tuple[int, list[str]]:
    """How many bodies of Graph calls were read, and what is wrong with them; answers alone where requests are not ours.

    A call without an answer is left out; what a batch held was recorded one by one.
    """
    read, problems = 0, []
    for call in calls:
        if call["service"] != "graph" or call["operation"] == "batch" or call["status"] is None:
            continue
        for where, schema, body in (*(_asked(call) if requests else ()), *_answered(call)):
            read += 1
            found = _validator(json.dumps(schema)).iter_errors(_bare(body))
            name = f"{call['method']} {call['path'].partition('?')[0]} {where}"
            problems += [f"{name}: {error.json_path}: {error.message}" for error in found]
    return read, problems


def problems_of_object(type_name: str, value: Mapping[str, Any]) -> list[str]:
    """What is wrong with an object of a type of Graph's."""
    schema = json.dumps({"$ref": f"#/components/schemas/microsoft.graph.{type_name}"})
    return [f"{error.json_path}: {error.message}" for error in _validator(schema).iter_errors(_bare(value))]


def _asked(call: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    """The operation and the body of a request, each with its schema; it is held to them whatever was answered."""
    operation = _operations().get(call["operation"])
    if operation is None:
        yield "operation", {"not": {}}, call["operation"]
    elif call["request"] is not None and call["operation"] != MIME:
        content = operation.get("requestBody", {}).get("content", {})
        yield "request", content.get("application/json", {}).get("schema") or {"not": {}}, call["request"]


def _answered(call: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    """The body of an answer with its schema."""
    if call["status"] >= 400:
        if call["response"] is not None:  # a gateway's own refusal has no body of Graph's
            yield "response", _error(), call["response"]
        return
    operation = _operations().get(call["operation"])
    if operation is None:
        yield "operation", {"not": {}}, call["operation"]  # carried out, and nothing publishes it
        return
    if call["path"].startswith("/beta/applicationTemplates"):
        yield "response", CONFIGURATION_URIS, call["response"]
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
    closed = {name: _closed(schema) for name, schema in schemas.items()}
    closed[EXEMPTION]["properties"]["value"] = {"type": "string"}
    return closed | {DIRECTORY_OBJECT: _one_of_its_kinds(schemas)}


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
        "properties": {name: _translated(each) for name, each in flat.items()} | {"@odata.type": {"type": "string"}},
        "additionalProperties": False,
    }


def _one_of_its_kinds(schemas: Mapping[str, Any]) -> Any:
    """A directory object says by its annotation which kind it is, and is held to that."""
    parent = {"$ref": f"#/components/schemas/{DIRECTORY_OBJECT}"}
    kinds = [name for name, schema in schemas.items() if parent in schema.get("allOf", ())]
    return {
        "required": ["@odata.type"],
        "properties": {"@odata.type": {"enum": [f"#{kind}" for kind in kinds]}},
        "allOf": [
            {"if": {"properties": {"@odata.type": {"const": f"#{kind}"}}}, "then": {"$ref": f"#/$defs/{kind}"}}
            for kind in kinds
        ],
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
        # The published way to say "this type or null": the other is an object that may be null and has no properties.
        return {"anyOf": [*(_translated(each) for each in schema["anyOf"]), {"type": "null"}]}
    kept = {name: value for name, value in schema.items() if name in WORDS}
    kept |= {name: schema[name] for name in ("not", "required", "additionalProperties") if name in schema}
    if "properties" in schema or "allOf" in schema:
        kept["properties"] = {name: _translated(each) for name, each in _properties(schema).items()}
    if "items" in schema:
        kept["items"] = _translated(schema["items"])
    if schema.get("nullable") and isinstance(kept.get("type"), str):
        kept["type"] = [kept["type"], "null"]
    return kept


def _bare(value: Any) -> Any:
    """The value without OData's annotations but the one that says which kind it is."""
    if isinstance(value, Mapping):
        return {name: _bare(inner) for name, inner in value.items() if "@odata." not in name or name == "@odata.type"}
    if isinstance(value, list):
        return [_bare(inner) for inner in value]
    return value
