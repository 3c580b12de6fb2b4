"""Lists and single objects as Graph hands them out: filtered, cut into pages, reduced to what was selected."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, quote

from sandbox.directory import GraphObject
from sandbox.graph.errors import bad_request, unsupported_query
from sandbox.graph.filters import parse_filter
from sandbox.graph.schemas import property_names
from sandbox.graph.wire import GraphAnswer, GraphRequest

PAGE = 100
LARGEST_PAGE = 999
KNOWN_OPTIONS = frozenset({"$filter", "$select", "$top", "$skiptoken", "$count", "$orderby"})

View = Callable[[GraphObject], GraphObject]


def page(
    request: GraphRequest,
    rows: Iterable[GraphObject],
    type_name: str,
    set_name: str,
    *,
    view: View = dict,
    defaults: tuple[str, ...] = (),
    contains: bool = False,
) -> GraphAnswer:
    """Answer with one page of the rows that the request's filter lets through."""
    _refuse_unknown_options(request)
    names = property_names(type_name)
    advanced = request.headers.get("consistencylevel") == "eventual" and request.query.get("$count") == "true"
    chosen = list(rows)
    if "$filter" in request.query:
        test = parse_filter(request.query["$filter"], names, advanced=advanced, contains=contains)
        chosen = [row for row in chosen if test(row)]
    chosen = _ordered(request, chosen, names)
    size, start = _size(request), _start(request, chosen)
    selected = _selected(request, names)
    shown = [_reduced(view(row), selected or defaults) for row in chosen[start : start + size]]
    body: dict[str, Any] = {"@odata.context": _context(request, set_name, selected)}
    if advanced:
        body["@odata.count"] = len(chosen)
    if start + size < len(chosen):
        body["@odata.nextLink"] = _next_link(request, chosen[start + size - 1])
    body["value"] = shown
    return GraphAnswer(200, body)


def entity(
    request: GraphRequest,
    found: GraphObject,
    type_name: str,
    set_name: str,
    *,
    status: int = 200,
    defaults: tuple[str, ...] = (),
) -> GraphAnswer:
    """Answer with one object."""
    _refuse_unknown_options(request)
    selected = _selected(request, property_names(type_name))
    context = f"{_context(request, set_name, selected)}/$entity"
    return GraphAnswer(status, {"@odata.context": context, **_reduced(found, selected or defaults)})


def _refuse_unknown_options(request: GraphRequest) -> None:
    for name in request.query:
        if name.startswith("$") and name not in KNOWN_OPTIONS:
            raise unsupported_query(f"Unsupported query: the sandbox does not offer '{name}'.")


def _context(request: GraphRequest, set_name: str, selected: tuple[str, ...]) -> str:
    return f"{request.root}/$metadata#{set_name}" + (f"({','.join(selected)})" if selected else "")


def _selected(request: GraphRequest, names: frozenset[str]) -> tuple[str, ...]:
    selected = tuple(name.strip() for name in request.query.get("$select", "").split(",") if name.strip())
    for name in selected:
        if name not in names:
            raise bad_request(f"Parsing OData Select and Expand failed: no property named '{name}'.", "BadRequest")
    return selected


def _reduced(row: GraphObject, names: tuple[str, ...]) -> GraphObject:
    """The properties that were asked for; an annotation is none and stays, so a directory object says its kind."""
    if not names:
        return row
    return {name: value for name, value in row.items() if "@odata." in name} | {name: row.get(name) for name in names}


def _ordered(request: GraphRequest, rows: list[GraphObject], names: frozenset[str]) -> list[GraphObject]:
    if not (order := request.query.get("$orderby")):
        return rows
    name, _, direction = order.partition(" ")
    if name not in names or direction not in ("", "asc", "desc"):
        raise unsupported_query(f"Unsupported query: cannot order by '{order}'.")
    return sorted(rows, key=lambda row: str(row.get(name) or "").casefold(), reverse=direction == "desc")


def _size(request: GraphRequest) -> int:
    wanted = request.query.get("$top", str(PAGE))
    if not wanted.isdecimal() or not 1 <= int(wanted) <= LARGEST_PAGE:
        raise bad_request(f"Invalid page size specified: '{wanted}'. Must be between 1 and {LARGEST_PAGE} inclusive.")
    return int(wanted)


def _start(request: GraphRequest, rows: list[GraphObject]) -> int:
    if not (token := request.query.get("$skiptoken")):
        return 0
    try:
        last = urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError as problem:
        raise bad_request("Skip token is invalid.", "Directory_ExpiredPageToken") from problem
    places = {row["id"]: place for place, row in enumerate(rows)}
    if last not in places:
        raise bad_request("Skip token is expired: read from the first page again.", "Directory_ExpiredPageToken")
    return places[last] + 1


def _next_link(request: GraphRequest, last: GraphObject) -> str:
    token = urlsafe_b64encode(last["id"].encode()).decode().rstrip("=")
    options = [(name, value) for name, value in parse_qsl(request.raw_query) if name != "$skiptoken"]
    options.append(("$skiptoken", token))
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in options)
    return f"{request.root}{quote(request.path)}?{query}"
