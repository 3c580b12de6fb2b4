"""The properties that Graph publishes for each type, and the check of what a client sends against them."""

import re
from functools import cache
from typing import Any

from sandbox.graph.errors import bad_request
from sandbox.graph.operations import description

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


@cache
def properties(name: str) -> dict[str, Any]:
    """Return the schema of each property of a type, inherited ones included, by the type's short name."""
    return _flattened(description()["components"]["schemas"][f"microsoft.graph.{name}"])


@cache
def property_names(name: str) -> frozenset[str]:
    """Return the names a `$select` or `$filter` may use."""
    return frozenset(properties(name)) - {"@odata.type"}


def check_properties(name: str, sent: dict[str, Any], where: str = "") -> None:
    """Refuse unknown properties and values of a wrong type, as 400, naming the property."""
    known = properties(name)
    for key, value in sent.items():
        if key.startswith("@odata."):
            continue
        if key not in known:
            raise bad_request(f"Invalid property '{where}{key}'.")
        _check(known[key], value, where + key)


def _check(schema: dict[str, Any], value: Any, where: str) -> None:
    if "anyOf" in schema:
        # The description writes a nullable complex value as a choice of the type and an empty nullable object.
        if value is not None:
            _check(schema["anyOf"][0], value, where)
        return
    if "$ref" in schema:
        _check_reference(schema["$ref"], value, where)
        return
    if value is None:
        if not schema.get("nullable"):
            raise _invalid(where)
        return
    expected = _PYTHON_TYPES.get(schema.get("type", ""), (object,))
    # In Python True is an integer; in JSON it is not.
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected and object not in expected):
        raise _invalid(where)
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        raise _invalid(where)
    if isinstance(value, list) and "items" in schema:
        for item in value:
            _check(schema["items"], item, where)


def _check_reference(reference: str, value: Any, where: str) -> None:
    short = reference.rsplit(".", 1)[1]
    schema = description()["components"]["schemas"][reference.rsplit("/", 1)[1]]
    if "enum" in schema:
        if value not in schema["enum"]:
            raise _invalid(where)
    elif not isinstance(value, dict):
        raise _invalid(where)
    else:
        check_properties(short, value, f"{where}.")


def _invalid(where: str) -> Exception:
    return bad_request(f"Invalid value specified for property '{where}'.")


def _flattened(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in schema.get("allOf", ()):
        if "$ref" in part:
            found |= properties(part["$ref"].rsplit("/", 1)[1].removeprefix("microsoft.graph."))
        else:
            found |= _flattened(part)
    found |= schema.get("properties", {})
    return found


def merged(old: Any, new: Any) -> Any:
    """Return the value after a PATCH: complex values keep what was not sent, collections are replaced as a whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: merged(old.get(name), value) for name, value in new.items()}}
    return new
