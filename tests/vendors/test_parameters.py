"""Parameters and their patterns: what a request's value may be, and that checking it is cheap."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vendors.patterns import MOST_WAYS, pattern_problem
from vendors.profile import Parameter

WORD = Parameter(title="Word", pattern=".+")

BOMBS = [
    "(a+)+b",
    "(a*)*b",
    "(a|a)*b",
    "(a|aa)+b",
    "(aa?)*b",
    "([a-z]+)*b",
    "(a+a+){}b",
    "(?:a?){100}a{100}",
    "(.*)(.*)(.*)(.*)x",
    "a*a*a*a*b",
    "([a-z0-9]+-?)+",
    "(?:(?:a{1,9}){1,9}){1,9}",
    "(a|a)" * 30,
]


@pytest.mark.parametrize("pattern", BOMBS)
def test_a_pattern_that_a_value_could_blow_up_is_refused(pattern: str) -> None:
    """Patterns that can match in too many ways never run."""
    assert pattern_problem(pattern) is not None


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)a",
        "(?!a)b",
        "(a)\\1",
        "(?i)a",
        "(?P<n>a)",
        "a*?",
        "a++",
        "a{}",
        "[",
        "(a",
        "a)",
        "*",
        "\\",
        "a{2,1}",
        "[[a]",
        "\n",
    ],
)
def test_only_plain_classes_counts_and_groups_are_patterns(pattern: str) -> None:
    """What a reader could not judge at a glance, or Python cannot compile, is refused with advice."""
    assert "write" in (pattern_problem(pattern) or "")


@pytest.mark.parametrize(
    "pattern", ["[A-Za-z0-9-]{1,63}", "eu|us", "\\d{4}", "[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", "[^/]+", "[]a]+", "a{ 1}"]
)
def test_patterns_that_people_write_are_taken(pattern: str) -> None:
    """The usual patterns of host labels, numbers and choices pass."""
    assert pattern_problem(pattern) is None


ATOMS = st.sampled_from(["a", "b", "[ab]", ".", "\\w"])
COUNTS = st.sampled_from(["", "?", "*", "+", "{2}", "{0,3}", "{1,63}", "{2,}"])
PATTERNS = st.recursive(
    st.builds("".join, st.tuples(ATOMS, COUNTS)),
    lambda inner: st.one_of(
        st.builds("".join, st.tuples(inner, inner)),
        st.builds("({}|{}){}".format, inner, inner, COUNTS),
        st.builds("(?:{}){}".format, inner, COUNTS),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(PATTERNS, st.sampled_from(["a" * 199 + "!", "ab" * 99 + "!", "b" * 40 + "!"]))
def test_every_pattern_that_is_taken_matches_quickly(pattern: str, value: str) -> None:
    """Whatever pattern passes, the worst value of the longest length takes seconds at most, never minutes."""
    if pattern_problem(pattern) is not None:
        return
    begun = time.process_time()
    re.fullmatch(pattern, value, re.ASCII)
    assert time.process_time() - begun < 10, f"{MOST_WAYS} ways took longer than promised"


@given(st.text(max_size=250))
def test_a_value_is_short_and_visible(value: str) -> None:
    """Whatever the pattern, a taken value has 1 to 200 characters and none that hides or turns text."""
    if WORD.refusal(value) is None:
        assert 1 <= len(value) <= 200
        assert value.isprintable()


VALUES = {
    "a line break at the end": "contoso\n",
    "a null": "con\0toso",
    "a right-to-left override": "con\u202etoso",
    "a zero-width space": "con\u200btoso",
    "a line separator": "con\u2028toso",
    "a lone surrogate": "con\ud800",
    "201 characters": "a" * 201,
    "nothing": "",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_value_with_hidden_characters_is_refused_whatever_the_pattern(value: str) -> None:
    """No pattern lets control, bidi or invisible characters into mails and URLs."""
    assert WORD.refusal(value) is not None


def test_the_pattern_must_match_the_whole_value() -> None:
    """A value that only begins or ends well is refused, with form and finding in the sentence."""
    parameter = Parameter(title="Instance name", pattern="[a-z]{1,9}")
    assert parameter.refusal("contoso") is None
    assert parameter.refusal("contoso!") == (
        "expected Instance name in the form [a-z]{1,9}, found 'contoso!'; correct the value"
    )
    assert parameter.refusal("!contoso") is not None
    assert Parameter(title="Number", pattern="\\d+").refusal("\u0663") is not None
