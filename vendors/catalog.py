"""Looking a vendor up: names come from the folder alone, a profile is read when it is asked for."""

import difflib
import os
import re
from pathlib import Path

from vendors.parsing import ProfileError, parse_profile
from vendors.profile import Profile
from vendors.slug import VendorSlug, parse_slug

_SUFFIX = ".toml"


class UnknownVendorError(LookupError):
    """No profile has this name; `nearest` holds the names that come close."""

    def __init__(self, name: str, nearest: list[VendorSlug]) -> None:
        """Compose the sentence from the name and its neighbours."""
        self.name = name
        self.nearest = nearest
        hint = f"Did you mean {' or '.join(nearest)}?" if nearest else "GET /vendors lists those there are."
        super().__init__(f"There is no vendor {name[:80]!r}. {hint}")


class Catalog:
    """The profiles of one folder; thousands cost nothing until one is loaded, and each is read once."""

    def __init__(self, folder: Path = Path(__file__).parent) -> None:
        """Remember the folder; nothing is read."""
        self._folder = folder
        self._loaded: dict[VendorSlug, Profile] = {}

    def slugs(self) -> list[VendorSlug]:
        """Return every vendor's slug in order, from file names alone; a name that is no slug raises ValueError."""
        with os.scandir(self._folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(_SUFFIX))
        return [parse_slug(name.removesuffix(_SUFFIX)) for name in names]

    def load(self, slug: str) -> Profile:
        """Return one vendor's profile; raises UnknownVendorError, or ProfileError with every problem of its file."""
        try:
            known = parse_slug(slug)
        except ValueError:
            raise UnknownVendorError(slug, self.nearest(slug)) from None
        if known not in self._loaded:
            try:
                source = (self._folder / f"{known}{_SUFFIX}").read_bytes()
            except FileNotFoundError:
                raise UnknownVendorError(slug, self.nearest(slug)) from None
            self._loaded[known] = parse_profile(known, source)
        return self._loaded[known]

    def find(self, slug: str) -> Profile | None:
        """The same; None where the profile was taken out or is broken: what is onboarded is there all the same."""
        try:
            return self.load(slug)
        except (UnknownVendorError, ProfileError):
            return None

    def nearest(self, name: str) -> list[VendorSlug]:
        """Return up to three slugs that somebody who wrote this name may have meant, the likeliest first."""
        written = re.sub(r"[^a-z0-9]+", "_", name[:80].lower()).strip("_")
        return [VendorSlug(slug) for slug in difflib.get_close_matches(written, self.slugs(), n=3)]
