"""A TOML file of ours that people write: read whole, and everything that is wrong with it said at once.

Profiles and entitlements share this: each problem has its key path, what was found there, and what to do.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

LONGEST_FILE = 64 * 1024  # a profile has about 2 KiB

_NO_KEYS = ("<list>", "<template>", "<gallery>", "<registration>", "[key]")  # how pydantic names a union's member


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a file: where, what was found there, what to do."""

    path: str
    found: str
    sentence: str

    def __str__(self) -> str:
        """Return the line that a person reads."""
        return f"{self.path} {self.sentence}." + (f" Found: {self.found}." if self.found else "")


def read_toml(source: bytes, noun: str) -> dict[str, Any] | Problem:
    """Return the tables of a TOML file, or why it is none; `noun` is what the file is."""
    if len(source) > LONGEST_FILE:
        return Problem("the file", f"{len(source)} bytes", f"must have at most {LONGEST_FILE} bytes; shorten it")
    try:
        return tomllib.loads(source.decode())
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        found = repr(source[error.start : error.end])
        return Problem(f"line {line}", found, "must be UTF-8; save the file as UTF-8")
    except tomllib.TOMLDecodeError as error:
        place = re.fullmatch(r"(.*) \(at (.*)\)", str(error), re.DOTALL)
        message, where = place.groups() if place else (str(error), "the file")
        return Problem(where, "", f"is not TOML: {message}; correct the syntax (https://toml.io/en/v1.0.0)")
    except RecursionError:
        return Problem("the file", "", f"is nested too deeply; {noun} has tables of two levels")


Path = list[str | int]


def problems_of(error: ValidationError, explain: Callable[[str, Path], str | None]) -> tuple[Problem, ...]:
    """Every problem of a validation; `explain(kind, path)` gives the sentence where the file's own rule has one."""
    # pydantic counts only the good entries of a list, and so calls one whose entries are all bad too short.
    lines = [line for line in error.errors(include_url=False) if line["type"] != "too_short" or not line["input"]]
    return tuple(dict.fromkeys(_problem(dict(line), explain) for line in lines))


def _problem(line: dict[str, Any], explain: Callable[[str, Path], str | None]) -> Problem:
    location: tuple[str | int, ...] = line["loc"]
    kind: str = line["type"]
    context: Mapping[str, Any] = line.get("ctx") or {}
    path = [part for part in location if part not in _NO_KEYS] or list(location)
    found = "" if kind in ("missing", "extra_forbidden") or line["input"] is None else shown(line["input"])
    sentences = {
        "missing": f"is required; add {joined(path[-1:])}",
        "string_type": "must be text; put it in quotes",
        "int_type": "must be a whole number, without quotes",
        "bool_type": "must be true or false, without quotes",
        "tuple_type": 'must be a list; write ["…"]',
        "too_short": "must not be empty; add an entry or remove the key",
        "too_long": f"has too many entries; at most {context.get('max_length')} are allowed",
        "greater_than_equal": f"must be at least {context.get('ge')}; raise it",
        "less_than_equal": f"must be at most {context.get('le')}; lower it",
        "literal_error": f"must be {context.get('expected')}; choose one",
    }
    if kind in ("model_type", "model_attributes_type", "dict_type", "mapping_type"):
        sentence = f"must be a table; write [{joined(path)}]"
    else:
        sentence = sentences.get(kind, str(line["msg"]))
    return Problem(joined(path) or "the file", found, explain(kind, path) or sentence)


def joined(path: Path) -> str:
    """Return the key path as a person writes it: oidc.redirect_uris[0]."""
    keys = (part if isinstance(part, int) or re.fullmatch(r"[\w-]+", part, re.ASCII) else repr(part) for part in path)
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


def shown(found: object) -> str:
    """Return what was found, short enough for a line."""
    if isinstance(found, str) and "PRIVATE KEY" in found:
        return "a private key, which is not repeated here"
    text = "a table" if isinstance(found, Mapping | BaseModel) else repr(found)
    return text if len(text) <= 120 else f"{text[:117]}..."


def instead_of(key: str, models: Iterable[type[BaseModel]]) -> str:
    """Name the key that was meant by one that no model has, or the keys that there are."""
    keys = [field.alias or name for one in models for name, field in one.model_fields.items()]
    if near := difflib.get_close_matches(key, keys, n=1):
        return f"write {near[0]}, or remove it"
    return f"remove it, or write one of {', '.join(keys)}"
