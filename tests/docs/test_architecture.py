"""docs/architecture.md names what is there."""

import re
import tomllib

import pytest

from tests.docs.reading import CLONE, document, names_of, rows, section

TEXT = document("docs/architecture.md")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py):([\w.]+)`", TEXT)))
FILES = sorted(set(re.findall(r"`([\w/]+/[\w/]+\.py)`", TEXT)))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_each_name_stands_in_its_file(file: str, name: str) -> None:
    """Whoever follows `file:function` finds it."""
    assert name in names_of(CLONE / file)


@pytest.mark.parametrize("file", FILES)
def test_each_file_is_there(file: str) -> None:
    """Whoever follows the name of a file finds it."""
    assert (CLONE / file).is_file()


def test_the_layers_are_those_of_the_import_contract() -> None:
    """The page's layers, below function_app, are the contract's, in its order."""
    contracts = tomllib.loads(document("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert [row[0] for row in rows(section(TEXT, "Layers"))] == ["function_app", *layers]
    assert " > ".join(["function_app", *layers]) in TEXT
