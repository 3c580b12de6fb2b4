"""Graph's published schemas as strict JSON Schemas: an unknown property or a wrong type is an error."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from sandbox.graph.operations import description
from sandbox.graph.schemas import properties


def problems_of(type_name: str, value: dict[str, Any]) -> list[str]:
    """What is wrong with an object that Graph has served."""
    served = {name: each for name, each in value.items() if not name.startswith("@odata.")}
    return [f"{error.json_path}: {error.message}" for error in validator(type_name).iter_errors(served)]


@cache
def validator(type_name: str) -> Draft202012Validator:
    """The validator of one type."""
    return Draft202012Validator({"$ref": f"#/$defs/{type_name}", "$defs": _definitions()})


@cache
def _definitions() -> dict[str, Any]:
    schemas = description()["components"]["schemas"]
    return {
        name.removeprefix("microsoft.graph."): _definition(name.removeprefix("microsoft.graph."), schema)
        for name, schema in schemas.items()
        if name.startswith("microsoft.graph.") and not name.endswith("Response")
    }


def _definition(short: str, schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        return {"enum": schema["enum"]}
    if "allOf" not in schema and "properties" not in schema:
        return _translated(schema)
    known = {name: _translated(each) for name, each in properties(short).items()} if "." not in short else {}
    return {"type": "object", "properties": known, "additionalProperties": False}


def _translated(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"$ref": "#/$defs/" + schema["$ref"].rsplit("/", 1)[1].removeprefix("microsoft.graph.")}
    if "anyOf" in schema:
        # The published way to say "this type or null".
        return {"anyOf": [_translated(schema["anyOf"][0]), {"type": "null"}]}
    kept = {name: value for name, value in schema.items() if name in ("type", "pattern", "enum", "minimum", "maximum")}
    if "items" in schema:
        kept["items"] = _translated(schema["items"])
    if schema.get("nullable") and "type" in kept:
        kept["type"] = [kept["type"], "null"]
    return kept
