"""The part of OData's `$filter` that the directory answers: comparisons, startswith, contains, any, and, or, not."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.graph.errors import bad_request, unsupported_query

Test = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<punctuation>[(),:])|(?P<word>[A-Za-z0-9_@$./*+-]+))", re.ASCII)
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT.*")
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "ge": lambda left, right: left >= right,
    "gt": lambda left, right: left > right,
    "le": lambda left, right: left <= right,
    "lt": lambda left, right: left < right,
}
_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
}


def parse_filter(text: str, names: frozenset[str], *, advanced: bool, contains: bool = False) -> Test:
    """Return the test a filter describes; unknown names and unoffered forms are refused as Graph does."""
    parser = _Parser(text, names, advanced=advanced, contains=contains)
    test = parser.either()
    parser.expect_end()
    return test


class _Parser:
    def __init__(self, text: str, names: frozenset[str], *, advanced: bool, contains: bool) -> None:
        self._text = text
        self._names = names
        self._advanced = advanced
        self._contains = contains
        self._tokens = _tokens(text)
        self._place = 0
        self._variables: list[str] = []

    def either(self) -> Test:
        tests = [self._both()]
        while self._takes("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def expect_end(self) -> None:
        if self._place != len(self._tokens):
            raise self._invalid()

    def _both(self) -> Test:
        tests = [self._one()]
        while self._takes("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        if self._takes("not"):
            self._needs_advanced("not")
            inner = self._one()
            return lambda row: not inner(row)
        if self._takes("("):
            grouped = self.either()
            self._expect(")")
            return grouped
        if self._next() in _TEXT_TESTS:
            return self._text_test()
        path = self._path()
        if path.endswith("/any"):
            return self._any(path.removesuffix("/any"))
        return self._comparison(path)

    def _text_test(self) -> Test:
        name = self._take()
        if name == "contains" and not self._contains:
            raise unsupported_query(f"Unsupported query: '{name}' is not supported here.")
        if name == "endswith":
            self._needs_advanced(name)
        self._expect("(")
        path = self._path()
        self._expect(",")
        wanted = str(self._literal()).casefold()
        self._expect(")")
        read, test = self._reader(path), _TEXT_TESTS[name]
        return lambda row: test(str(read(row) or "").casefold(), wanted)

    def _any(self, path: str) -> Test:
        read = self._reader(path)
        self._expect("(")
        variable = self._take()
        self._expect(":")
        self._variables.append(variable)
        inner = self.either()
        self._variables.pop()
        self._expect(")")
        return lambda row: any(inner({**row, variable: item}) for item in read(row) or ())

    def _comparison(self, path: str) -> Test:
        read, operator = self._reader(path), self._take()
        if operator == "in":
            self._expect("(")
            wanted = [self._literal()]
            while self._takes(","):
                wanted.append(self._literal())
            self._expect(")")
            return lambda row: any(_equal(read(row), each) for each in wanted)
        literal = self._literal()
        if operator == "eq":
            return lambda row: _equal(read(row), literal)
        if operator == "ne":
            self._needs_advanced("ne")
            return lambda row: not _equal(read(row), literal)
        if operator in _ORDER:
            order = _ORDER[operator]
            return lambda row: read(row) is not None and order(read(row), literal)
        raise self._invalid()

    def _path(self) -> str:
        path = self._take()
        first = path.split("/")[0]
        if first not in self._names and first not in self._variables:
            raise bad_request(f"Invalid filter clause: Could not find a property named '{first}'.", "BadRequest")
        return path

    def _reader(self, path: str) -> Callable[[Mapping[str, Any]], Any]:
        parts = path.split("/")

        def read(row: Mapping[str, Any]) -> Any:
            value: Any = row
            for part in parts:
                value = value.get(part) if isinstance(value, Mapping) else None
            return value

        return read

    def _literal(self) -> Any:
        token = self._take()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        named: dict[str, Any] = {"true": True, "false": False, "null": None}
        if token in named:
            return named[token]
        if _GUID.fullmatch(token) or _INSTANT.fullmatch(token):
            return token
        if token.isdecimal():
            return int(token)
        raise self._invalid()

    def _needs_advanced(self, name: str) -> None:
        # learn.microsoft.com/graph/aad-advanced-queries
        if not self._advanced:
            raise unsupported_query(
                f"Unsupported query: '{name}' needs the header ConsistencyLevel: eventual and $count=true."
            )

    def _next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next()
        if not token:
            raise self._invalid()
        self._place += 1
        return token

    def _takes(self, token: str) -> bool:
        if self._next() != token:
            return False
        self._place += 1
        return True

    def _expect(self, token: str) -> None:
        if not self._takes(token):
            raise self._invalid()

    def _invalid(self) -> Exception:
        return bad_request(f"Invalid filter clause: syntax error in '{self._text}'.", "BadRequest")


def _tokens(text: str) -> list[str]:
    tokens, place = [], 0
    stripped = text.rstrip()
    while place < len(stripped):
        hit = _TOKEN.match(stripped, place)
        if not hit:
            raise bad_request(f"Invalid filter clause: syntax error at position {place} in '{text}'.", "BadRequest")
        tokens.append(hit.group().strip())
        place = hit.end()
    return tokens


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        # The directory compares texts without regard to case.
        return left.casefold() == right.casefold()
    return bool(left == right)
