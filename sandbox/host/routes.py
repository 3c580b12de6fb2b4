"""Route templates, matched as the real host matches them: by segments, ignoring case, with constraints."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

_PLACEHOLDER = re.compile(r"\{(?P<rest>\*{0,2})(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<constraints>(?::[^{}=?]+)*)"
                          r"(?:=(?P<default>[^{}?]*))?(?P<optional>\?)?\}")  # fmt: skip


class RouteError(Exception):
    """A route template that the host refuses."""


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d{1,10}", text) is not None and -(2**31) <= int(text) < 2**31


def _is_guid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


_CONSTRAINTS: dict[str, Callable[[str], bool]] = {
    "int": _is_integer,
    "long": lambda text: re.fullmatch(r"[+-]?\d{1,19}", text) is not None,
    "guid": _is_guid,
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "bool": lambda text: text.lower() in {"true", "false"},
    "required": lambda text: text != "",
}


@dataclass(frozen=True)
class _Segment:
    pattern: re.Pattern[str] | None
    names: tuple[str, ...]
    constraints: tuple[tuple[str, Callable[[str], bool]], ...]
    optional: bool = False
    default: str | None = None
    rest: bool = False


@dataclass(frozen=True)
class Route:
    """One template, ready to be matched; `prefix` stands before it."""

    template: str
    segments: tuple[_Segment, ...]

    def match(self, raw_path: str) -> dict[str, str] | None:
        """The route's parameters, or None where the path is another's."""
        parts = [_decoded(part) for part in raw_path.strip("/").split("/")] if raw_path.strip("/") else []
        found: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            if segment.rest:
                found[segment.names[0]] = "/".join(parts[index:])
                return found
            if index >= len(parts):
                if not (segment.optional or segment.default is not None):
                    return None
                if segment.default is not None:
                    found[segment.names[0]] = segment.default
                continue
            match = segment.pattern.fullmatch(parts[index]) if segment.pattern else None
            if match is None:
                return None
            values = dict(zip(segment.names, match.groups(), strict=True))
            if not all(holds(values[name]) for name, holds in segment.constraints):
                return None
            found.update(values)
        return found if len(parts) <= len(self.segments) else None


def parse_route(template: str, prefix: str) -> Route:
    """Read a template without its prefix; raises RouteError with the reason it would not be served."""
    if template.startswith(("/", "~")):
        raise RouteError(f"the route {template!r} must not begin with a slash or tilde")
    if template.lower().startswith(("admin", "runtime")):
        raise RouteError(f"the route {template!r} begins with a word that the host keeps for itself (admin, runtime)")
    whole = "/".join(part for part in (prefix, template) if part)
    segments = tuple(_segment(part, template) for part in whole.split("/")) if whole else ()
    if any(segment.rest for segment in segments[:-1]):
        raise RouteError(f"the route {template!r} has a catch-all that is not its last segment")
    return Route(whole, segments)


def _segment(text: str, template: str) -> _Segment:
    if not text:
        raise RouteError(f"the route {template!r} has an empty segment")
    pattern, names, constraints = "", [], []
    position = 0
    found = list(_PLACEHOLDER.finditer(text))
    for match in found:
        literal = text[position : match.start()]
        pattern += re.escape(literal) + "(.+?)"
        position = match.end()
        names.append(match["name"])
        constraints += [(match["name"], _constraint(word, template)) for word in match["constraints"].split(":")[1:]]
    tail = text[position:]
    if any(brace in "".join(_PLACEHOLDER.split(text)[::6]) for brace in "{}"):
        raise RouteError(f"the route {template!r} has a brace that belongs to no parameter")
    only = found[0] if len(found) == 1 and found[0].group() == text else None
    return _Segment(
        re.compile(pattern + re.escape(tail), re.IGNORECASE | re.DOTALL),
        tuple(names),
        tuple(constraints),
        optional=only is not None and only["optional"] is not None,
        default=only["default"] if only is not None else None,
        rest=only is not None and only["rest"] != "",
    )


def _constraint(word: str, template: str) -> Callable[[str], bool]:
    if word in _CONSTRAINTS:
        return _CONSTRAINTS[word]
    if call := re.fullmatch(r"(length|minlength|maxlength|min|max|range|regex)\((.*)\)", word):
        name, argument = call.groups()
        if name == "regex":
            pattern = re.compile(argument, re.IGNORECASE)
            return lambda text: pattern.search(text) is not None
        try:
            numbers = [int(part) for part in argument.split(",")]
        except ValueError:
            raise RouteError(f"the route {template!r} has the constraint {word!r} without numbers") from None
        return _numeric(name, numbers)
    raise RouteError(f"the route {template!r} has the unknown constraint {word!r}")


def _numeric(name: str, numbers: list[int]) -> Callable[[str], bool]:
    first, last = numbers[0], numbers[-1]
    checks: dict[str, Callable[[str], bool]] = {
        "length": lambda text: first <= len(text) <= last,
        "minlength": lambda text: len(text) >= first,
        "maxlength": lambda text: len(text) <= first,
        "min": lambda text: _is_integer(text) and int(text) >= first,
        "max": lambda text: _is_integer(text) and int(text) <= first,
        "range": lambda text: _is_integer(text) and first <= int(text) <= last,
    }
    return checks[name]


def _decoded(part: str) -> str:
    """One segment as the function sees it; an encoded slash stays encoded, as in the real server."""
    return unquote(re.sub("%2f", "%252F", part, flags=re.IGNORECASE))
