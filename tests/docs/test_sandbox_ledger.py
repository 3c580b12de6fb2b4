"""docs/sandbox.md: whatever it claims has a witness."""

import re

import pytest

from tests.docs.reading import CLONE, code, document, names_of, rows

ROWS = rows(document("docs/sandbox.md"))
WITNESSES = sorted({witness for _, _, cell in ROWS for witness in code(cell)})


@pytest.mark.parametrize("witness", WITNESSES)
def test_each_witness_is_a_test(witness: str) -> None:
    """A witness names a test that exists."""
    file, _, name = witness.partition("::")
    assert re.search(r"(^|::)test_\w+$", name)
    assert name in names_of(CLONE / file)


@pytest.mark.parametrize(("capability", "how", "cell"), ROWS, ids=[row[0] for row in ROWS])
def test_each_capability_has_its_witness(capability: str, how: str, cell: str) -> None:
    """What is real or emulated names a witness, what is absent names none, and there is no fourth kind."""
    assert capability
    assert how in {"real", "emulated", "absent"}
    assert bool(code(cell)) == (how != "absent")


def test_each_test_of_unkindness_is_a_witness() -> None:
    """Whatever is tested of the tenant's unkindness stands in the page too."""
    told = {witness.rsplit("::", maxsplit=1)[1] for witness in WITNESSES}
    tested = {
        name.rsplit("::", maxsplit=1)[-1]
        for file in (CLONE / "tests" / "sandbox").glob("test_unkind_*.py")
        for name in names_of(file)
        if re.search(r"(^|::)test_", name)
    }
    assert tested - told == set()
    assert tested


def test_strangers_are_among_the_witnesses() -> None:
    """A library that is not ours drives Graph, token service, SAML and vault."""
    driven = " ".join(cell for _, _, cell in ROWS if cell.startswith("stranger:"))
    for file in ("test_graph_stranger", "test_authority", "test_saml", "test_vault"):
        assert file in driven
