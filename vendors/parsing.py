"""From a profile's bytes to a `Profile`, or to one error that holds everything that is wrong with the file."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from vendors.profile import (
    CertificatePolicy,
    GallerySource,
    Handoff,
    Oidc,
    OidcProfile,
    Parameter,
    People,
    Profile,
    RegistrationSource,
    Saml,
    SamlProfile,
    SecretPolicy,
)
from vendors.slug import VendorSlug

LONGEST_FILE = 64 * 1024  # a profile has about 2 KiB

_NO_KEYS = ("<list>", "<template>", "<gallery>", "<registration>", "[key]")  # how pydantic names a union's member
_TABLES: Mapping[str, type[BaseModel]] = {
    "oidc": Oidc,
    "secret": SecretPolicy,
    "saml": Saml,
    "certificate": CertificatePolicy,
    "handoff": Handoff,
    "people": People,
}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a profile: where, what was found there, what to do."""

    path: str
    found: str
    sentence: str

    def __str__(self) -> str:
        """Return the line that a person reads."""
        return f"{self.path} {self.sentence}." + (f" Found: {self.found}." if self.found else "")


class ProfileError(ValueError):
    """A vendor's file is no profile; `problems` holds every reason, and the text lists them."""

    def __init__(self, slug: VendorSlug, problems: tuple[Problem, ...]) -> None:
        """Compose the message from all problems."""
        self.slug = slug
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n- ".join([f"vendors/{slug}.toml has {count}:", *map(str, problems)]))


def parse_profile(slug: VendorSlug, source: bytes) -> Profile:
    """Return the profile that the bytes of a TOML file describe; raises ProfileError with all problems."""
    tables = _read(slug, source)
    model = _model_of(tables)
    try:
        return model.model_validate(tables)
    except ValidationError as error:
        # pydantic counts only the good entries of a list, and so calls one whose entries are all bad too short.
        lines = [line for line in error.errors(include_url=False) if line["type"] != "too_short" or not line["input"]]
        raise ProfileError(slug, tuple(dict.fromkeys(_problem(model, dict(line)) for line in lines))) from None


def _read(slug: VendorSlug, source: bytes) -> dict[str, Any]:
    if len(source) > LONGEST_FILE:
        problem = Problem("the file", f"{len(source)} bytes", f"must have at most {LONGEST_FILE} bytes; shorten it")
        raise ProfileError(slug, (problem,))
    try:
        return tomllib.loads(source.decode())
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        problem = Problem(
            f"line {line}", repr(source[error.start : error.end]), "must be UTF-8; save the file as UTF-8"
        )
    except tomllib.TOMLDecodeError as error:
        place = re.fullmatch(r"(.*) \(at (.*)\)", str(error), re.DOTALL)
        message, where = place.groups() if place else (str(error), "the file")
        problem = Problem(where, "", f"is not TOML: {message}; correct the syntax (https://toml.io/en/v1.0.0)")
    except RecursionError:
        problem = Problem("the file", "", "is nested too deeply; a profile has tables of two levels")
    raise ProfileError(slug, (problem,)) from None


def _model_of(tables: Mapping[str, Any]) -> type[SamlProfile] | type[OidcProfile]:
    """Choose by protocol; where that is missing or wrong, by the table that stands there, so the rest is checked."""
    if tables.get("protocol") == "saml" or (tables.get("protocol") != "oidc" and "saml" in tables):
        return SamlProfile
    return OidcProfile


def _problem(model: type[BaseModel], line: dict[str, Any]) -> Problem:
    location: tuple[str | int, ...] = line["loc"]
    kind: str = line["type"]
    context: Mapping[str, Any] = line.get("ctx") or {}
    path = [part for part in location if part not in _NO_KEYS] or list(location)
    found = "" if kind in ("missing", "extra_forbidden") or line["input"] is None else _shown(line["input"])
    sentences = {
        "missing": f"is required; add {_joined(path[-1:])}",
        "extra_forbidden": f"is no key of the schema; {_instead(model, path)}",
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
        sentence = f"must be a table; write [{_joined(path)}]"
    else:
        sentence = sentences.get(kind, str(line["msg"]))
    if path == ["protocol"] and kind in ("literal_error", "missing"):
        sentence = 'must be "saml" or "oidc"; write the protocol of the vendor\'s guide'
    return Problem(_joined(path) or "the file", found, sentence)


def _joined(path: list[str | int]) -> str:
    """Return the key path as a person writes it: oidc.redirect_uris[0]."""
    keys = (part if isinstance(part, int) or re.fullmatch(r"[\w-]+", part, re.ASCII) else repr(part) for part in path)
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


def _shown(found: object) -> str:
    text = "a table" if isinstance(found, Mapping | BaseModel) else repr(found)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _instead(model: type[BaseModel], path: list[str | int]) -> str:
    """Name the key that was meant, or the keys that there are."""
    key = str(path[-1])
    if path[0] in ("saml", "oidc") and len(path) == 1:
        return f'protocol = "{"oidc" if key == "saml" else "saml"}" has no table [{key}]: remove it or correct protocol'
    if path[0] == "source":
        models: tuple[type[BaseModel], ...] = (GallerySource, RegistrationSource)
    elif path[0] == "parameters":
        models = (Parameter,)
    else:
        models = (_TABLES.get(str(path[-2]), model) if len(path) > 1 else model,)
    keys = [field.alias or name for one in models for name, field in one.model_fields.items()]
    if near := difflib.get_close_matches(key, keys, n=1):
        return f"write {near[0]}, or remove it"
    return f"remove it, or write one of {', '.join(keys)}"
