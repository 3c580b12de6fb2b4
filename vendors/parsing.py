"""From a profile's bytes to a `Profile`, or to one error that holds everything that is wrong with the file."""

from collections.abc import Mapping
from functools import partial
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
    Smime,
)
from vendors.reading import Path, Problem, instead_of, problems_of, read_toml
from vendors.slug import VendorSlug

_TABLES: Mapping[str, type[BaseModel]] = {
    "oidc": Oidc,
    "secret": SecretPolicy,
    "saml": Saml,
    "certificate": CertificatePolicy,
    "handoff": Handoff,
    "smime": Smime,
    "people": People,
}


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
    tables = read_toml(source, "a profile")
    if isinstance(tables, Problem):
        raise ProfileError(slug, (tables,))
    model = _model_of(tables)
    try:
        return model.model_validate(tables)
    except ValidationError as error:
        raise ProfileError(slug, problems_of(error, partial(_explain, model))) from None


def _model_of(tables: Mapping[str, Any]) -> type[SamlProfile] | type[OidcProfile]:
    """Choose by protocol; where that is missing or wrong, by the table that stands there, so the rest is checked."""
    if tables.get("protocol") == "saml" or (tables.get("protocol") != "oidc" and "saml" in tables):
        return SamlProfile
    return OidcProfile


def _explain(model: type[BaseModel], kind: str, path: Path) -> str | None:
    """The sentence for what a profile alone can say."""
    if path == ["protocol"] and kind in ("literal_error", "missing"):
        return 'must be "saml" or "oidc"; write the protocol of the vendor\'s guide'
    if kind == "extra_forbidden":
        return f"is no key of the schema; {_instead(model, path)}"
    return None


def _instead(model: type[BaseModel], path: Path) -> str:
    """Name the key that was meant, or the keys that there are."""
    key = str(path[-1])
    if path[0] in ("saml", "oidc") and len(path) == 1:
        return f'protocol = "{"oidc" if key == "saml" else "saml"}" has no table [{key}]: remove it or correct protocol'
    if path[0] == "source":
        return instead_of(key, (GallerySource, RegistrationSource))
    if path[0] == "parameters":
        return instead_of(key, (Parameter,))
    return instead_of(key, (_TABLES.get(str(path[-2]), model) if len(path) > 1 else model,))
