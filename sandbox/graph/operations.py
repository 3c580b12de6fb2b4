"""Which operation a method and a path mean, and who may call it, read from the published description."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DESCRIPTION = Path(__file__).parent.parent / "graph-openapi-subset.json"

METHODS = ("get", "post", "put", "patch", "delete")

_PER_OBJECT = "per object type:"
_READS_DELETED = frozenset({"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All"})


@dataclass(frozen=True)
class Operation:
    """One operation of Graph."""

    operation_id: str
    method: str
    template: str
    pattern: re.Pattern[str]
    names: tuple[str, ...]
    any_of: frozenset[str]
    """A token needs one of these roles; none listed means that any token does."""
    also: tuple[frozenset[str], ...]
    """And one of each of these."""

    def allows(self, roles: frozenset[str]) -> bool:
        """Tell whether a token with these roles may call it."""
        held = roles | {role.replace(".ReadWrite.", ".Read.") for role in roles}
        return (not self.any_of or bool(held & self.any_of)) and all(held & needed for needed in self.also)


@cache
def description() -> dict[str, Any]:
    """Return the OpenAPI subset."""
    document: dict[str, Any] = json.loads(DESCRIPTION.read_text("utf-8"))
    return document


@cache
def operations() -> tuple[Operation, ...]:
    """Return all operations, those with the fewest variable parts first."""
    found = [
        _operation(method.upper(), template, item[method])
        for template, item in description()["paths"].items()
        for method in METHODS
        if method in item
    ]
    return tuple(sorted(found, key=lambda operation: len(operation.names)))


def match(method: str, path: str) -> tuple[Operation, Mapping[str, str]] | None:
    """Find the operation of a path below the version, with the values of its variable parts."""
    for operation in operations():
        if operation.method == method and (hit := operation.pattern.fullmatch(path)):
            return operation, {
                name: value.replace("''", "'") for name, value in zip(operation.names, hit.groups(), strict=True)
            }
    return None


def _operation(method: str, template: str, details: dict[str, Any]) -> Operation:
    names: list[str] = []

    def variable(part: str) -> str:
        if not part.startswith("{"):
            return re.escape(part)
        names.append(part[1:-1])
        return r"((?:[^'/]|'')*)" if part[1:-1] in ("appId", "uniqueName") else "([^/]+)"

    # Graph takes a cast with and without the namespace's first word: graph.application, microsoft.graph.application.
    pattern = "".join(variable(part) for part in re.split(r"(\{[^}]+\})", template))
    pattern = pattern.replace(r"/graph\.", r"/(?:microsoft\.)?graph\.")
    permissions = details.get("x-ms-graph-application-permissions", {})
    least, others = permissions.get("least", []), permissions.get("others", [])
    any_of = frozenset((*least, *others))
    if any(name.startswith(_PER_OBJECT) for name in any_of):
        # What this tenant keeps among its deleted items is applications and service principals.
        any_of = _READS_DELETED if method == "GET" else frozenset({"Application.ReadWrite.All"})
    also = tuple(frozenset(names.split(",")) for names in permissions.get("alsoRequires", []))
    return Operation(details["operationId"], method, template, re.compile(pattern), tuple(names), any_of, also)
