"""Reading documents: tables, fenced blocks, and whether a name stands in a file."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.syntax import parsed

CLONE = Path(__file__).resolve().parents[2]


def document(name: str) -> str:
    """The text of one document."""
    return (CLONE / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under one heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}$\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section '{heading}'"
    return found[2]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, headings and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    body = [line for place, line in enumerate(lines) if not _is_heading(lines, place) and not _is_rule(line)]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in body]


def _is_rule(line: str) -> bool:
    return set(line) <= set("|-: ")


def _is_heading(lines: list[str], place: int) -> bool:
    return place + 1 < len(lines) and _is_rule(lines[place + 1])


def block(text: str, language: str) -> str:
    """The first fenced block of a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no {language} block"
    return found[1]


def code(cell: str) -> list[str]:
    """Everything in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def names_of(file: Path) -> set[str]:
    """Every class, function, method and constant of a Python file; methods as `Class.method` and `Class::method`."""
    return set(_names(parsed(file).body, ""))


def _names(body: list[ast.stmt], owner: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield node.name
            yield from _names(node.body, node.name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from ([node.name] if not owner else [f"{owner}.{node.name}", f"{owner}::{node.name}"])
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
