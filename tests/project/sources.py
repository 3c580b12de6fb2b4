"""The project's own files, read as text and as syntax trees."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.syntax import parsed

CLONE = Path(__file__).resolve().parents[2]
APP = ("function_app.py", "handlers", "clients", "sso", "vendors")
WHOLE = (*APP, "sandbox", "benchmarks", "tests")


@cache
def python_files(*places: str) -> tuple[Path, ...]:
    """Every Python file of these folders and files, by its path in the clone."""
    found = [
        path
        for place in places
        for path in ([CLONE / place] if place.endswith(".py") else (CLONE / place).rglob("*.py"))
    ]
    return tuple(sorted(path.relative_to(CLONE) for path in found))


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return parsed(CLONE / path)


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def calls_of(method: str, *places: str) -> list[str]:
    """Where a method is called, as file and innermost function, one entry for each call.

    The method is a name, or a name with that of its object in front (`datetime.now`).
    """
    owner, _, name = method.rpartition(".")
    found = []
    for path in python_files(*places):
        waiting: list[tuple[ast.AST, str]] = [(tree(path), "module")]
        while waiting:
            node, inside = waiting.pop()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = node.name
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
                named = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                if not owner or owner == named:
                    found.append(f"{path.as_posix()}:{inside}")
            waiting += [(child, inside) for child in ast.iter_child_nodes(node)]
    return sorted(found)
