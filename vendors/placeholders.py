"""Filling a profile's templates with a request's parameters, so that no value can change where a URL leads."""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from vendors.addresses import LABEL, LONGEST_URL, PLACEHOLDER, has_dot_segment, names_in, registrable_domain


class FillError(ValueError):
    """A value does not fit its place in a template; the text says which, why and what to do."""

    def __init__(self, parameter: str | None, sentence: str) -> None:
        """Keep the parameter at fault, None where it is their combination."""
        super().__init__(sentence)
        self.parameter = parameter


def fill(template: str, parameters: Mapping[str, str]) -> str:
    """Return the template with every placeholder filled: a label in the host, percent-encoded behind it.

    Raises FillError for a missing or unfit value, and whenever scheme, port or registrable domain came out changed.
    """
    scheme, separator, rest = template.partition("://")
    cut = min((index for mark in "/?#" if (index := rest.find(mark)) >= 0), default=len(rest))
    host, behind = (rest[:cut], rest[cut:]) if separator else ("", template)
    for name in names_in(template):
        if not parameters.get(name):
            raise FillError(name, f"'{template}' needs the parameter {name}; the request has none. Add its value.")
    for name in names_in(host):
        if LABEL.fullmatch(parameters[name]) is None:
            raise FillError(
                name,
                f"{name} becomes a host name in '{template}'; expected letters, digits and inner hyphens, at most 63,"
                f" found {parameters[name][:80]!r}. Use the name that the vendor gave.",
            )
    head = PLACEHOLDER.sub(lambda match: parameters[match[1]], host)
    tail = PLACEHOLDER.sub(lambda match: quote(parameters[match[1]], safe="", errors="replace"), behind)
    filled = f"{scheme}{separator}{head}{tail}" if separator else tail
    _compare(template, filled)
    return filled


def _compare(template: str, filled: str) -> None:
    """Refuse a filled template that is too long or whose owner is not the profile's."""
    if len(filled) > LONGEST_URL:
        raise FillError(None, f"'{template}' has {len(filled)} characters when filled; Entra takes {LONGEST_URL}.")
    if "://" not in template:
        return
    before = urlsplit(PLACEHOLDER.sub("placeholder", template))
    after = urlsplit(filled)
    same = (
        before.scheme == after.scheme
        and before.port == after.port
        and after.username is None
        and registrable_domain(before.hostname or "") == registrable_domain(after.hostname or "")
    )
    if not same or has_dot_segment(filled):
        raise FillError(
            None, f"The values would make '{template}' lead elsewhere ('{filled}'). Correct the parameters."
        )
