"""Python files as syntax trees, for the tests that read the code."""

import ast
import gc
from pathlib import Path


def parsed(file: Path) -> ast.Module:
    """A file's syntax tree.

    Without garbage collection meanwhile: a finalizer that parses while the tree is built makes CPython 3.11 lose count
    of its depth and raise SystemError (github.com/python/cpython/issues/106905).
    """
    source = file.read_text(encoding="utf-8")
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        gc.enable()
