"""A vendor's slug, apart from the profiles' schema, so that whoever only names a vendor does not load that."""

import re
from typing import NewType

VendorSlug = NewType("VendorSlug", str)


def parse_slug(text: str) -> VendorSlug:
    """Return the text as a slug, the name of a vendor's file; raises ValueError with the rule."""
    if len(text) > 40 or re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", text) is None:
        raise ValueError(
            f"A vendor's slug has small letters and digits, joined by single underscores, at most 40 characters; found"
            f" {text[:80]!r}. Use the name of the vendor's file without .toml."
        )
    return VendorSlug(text)
