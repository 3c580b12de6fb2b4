"""docs/reliability.md: each promise is kept by tests that exist."""

import re

import pytest

from tests.docs.reading import CLONE, code, document, names_of, rows, section

PROMISES = rows(section(document("docs/reliability.md"), "Promises and tests"))


@pytest.mark.parametrize(("promise", "cell"), PROMISES, ids=[row[0][:60] for row in PROMISES])
def test_each_promise_names_its_tests(promise: str, cell: str) -> None:
    """A promise names a test, or a file of tests, that is there."""
    witnesses = [witness for witness in code(cell) if witness.startswith("tests/")]
    assert promise
    assert witnesses
    for witness in witnesses:
        file, _, name = witness.partition("::")
        names = names_of(CLONE / file)
        assert name in names if name else any(re.search(r"(^|::)test_", each) for each in names)
