"""Which regular expressions a parameter may use, and what matching one value costs at most.

A pattern runs over text that strangers send. Python's engine tries every way in which a pattern can fit, so the
number of ways is bounded beforehand: literals and classes are one way, a repetition is the sum over its counts, an
alternation the sum of its branches, a sequence the product of its parts. Only what this reader knows is allowed:
no look-around, no back-reference, no flags.
"""

import re

LONGEST_VALUE = 200
MOST_WAYS = 10_000_000  # about one second of Python's engine, in the worst case

_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]")
_SET_OPERATION = re.compile(r"(?<!\\)\[|--|&&|\|\||~~")  # may change its meaning in a later Python
_QUANTIFIER = re.compile(r"[*+?]|\{(\d*)(,?)(\d*)\}")
_ESCAPE = re.compile(r"\\[dwDW\W]", re.ASCII)


class PatternError(ValueError):
    """The pattern is none that a profile may use; the text completes 'must …' or 'has …'."""


def pattern_problem(pattern: str) -> str | None:
    """Say what keeps this text from being a parameter's pattern."""
    if not pattern or len(pattern) > 200:
        return "must have 1 to 200 characters"
    if not (pattern.isascii() and pattern.isprintable()):
        return "must be printable ASCII; write other characters as a class such as [^/]"
    try:
        ways, end = _alternation(pattern, 0)
        re.compile(pattern, re.ASCII)
    except (re.error, PatternError, OverflowError, RecursionError) as error:
        return f"is no pattern that can be used: {error}; write plain classes and counts such as [a-z0-9-]{{1,63}}"
    if end != len(pattern):
        return (
            f"has an unexpected character at position {end}; write plain classes and counts such as [a-z0-9-]{{1,63}}"
        )
    if ways > MOST_WAYS:
        return (
            "can be matched in too many ways (repetitions inside or beside repetitions), so one value could occupy a"
            " worker for minutes; write one class with one count, such as [a-z0-9-]{1,63}"
        )
    return None


def _alternation(pattern: str, at: int) -> tuple[int, int]:
    """Count the ways of branches up to the end or a closing bracket; return them and the position."""
    ways, at = _sequence(pattern, at)
    while at < len(pattern) and pattern[at] == "|":
        branch, at = _sequence(pattern, at + 1)
        ways += branch
    return ways, at


def _sequence(pattern: str, at: int) -> tuple[int, int]:
    ways = 1
    while at < len(pattern) and pattern[at] not in "|)":
        once, at = _item(pattern, at)
        if quantifier := _QUANTIFIER.match(pattern, at):
            once, at = _repeated(once, quantifier), quantifier.end()
            if pattern[at : at + 1] in ("?", "+", "*"):
                raise PatternError("lazy and possessive repetitions are not allowed")
        ways = min(ways * once, MOST_WAYS + 1)
    return ways, at


def _item(pattern: str, at: int) -> tuple[int, int]:
    if pattern[at] == "[":
        found = _CLASS.match(pattern, at)
    elif pattern[at] == "\\":
        found = _ESCAPE.match(pattern, at)
    elif pattern[at] == "(":
        start = at + 3 if pattern.startswith("(?:", at) else at + 1
        if pattern[start : start + 1] in ("?", "*", "+"):
            raise PatternError("only ( and (?: open a group")
        ways, end = _alternation(pattern, start)
        if pattern[end : end + 1] != ")":
            raise PatternError("a group is not closed")
        return ways, end + 1
    else:
        return 1, at + 1
    if found is None or _SET_OPERATION.search(found[0], 1):
        raise PatternError(f"the part at position {at} is not allowed")
    return 1, found.end()


def _repeated(once: int, quantifier: re.Match[str]) -> int:
    """Return the sum of once ** count over every count that the quantifier and the longest value allow."""
    mark = quantifier[0]
    if mark[0] in "*+?":
        low, high = {"*": (0, LONGEST_VALUE), "+": (1, LONGEST_VALUE), "?": (0, 1)}[mark]
    else:
        if not quantifier[1] and not quantifier[3]:
            raise PatternError(f"{mark} names no count")
        low = int(quantifier[1] or 0)
        high = int(quantifier[3] or LONGEST_VALUE) if quantifier[2] else low
    low, high = min(low, LONGEST_VALUE), min(high, LONGEST_VALUE)
    ways = 0
    for count in range(low, high + 1):
        ways += once**count
        if ways > MOST_WAYS:
            return MOST_WAYS + 1
    return max(ways, 1)
