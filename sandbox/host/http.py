"""HTTP triggers: which function answers, what it sees of the request, what becomes of its answer."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from azure.functions.meta import Datum
from multidict import CIMultiDict

from sandbox.host.index import FunctionIndex, ServedFunction
from sandbox.host.invocation import InvocationError, Invoker
from sandbox.host.keys import Keys


class HttpTriggers:
    """Answers every path that is no administration's."""

    def __init__(self, index: FunctionIndex, invoker: Invoker, keys: Keys | None) -> None:
        self._functions = [function for function in index.functions if function.route is not None]
        self._invoker = invoker
        self._keys = keys

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Call the first function, in the alphabetical order of names, whose route and method fit; else 404."""
        for function in self._functions:
            parameters = function.route.match(request.rel_url.raw_path) if function.route else None
            if parameters is None or (function.methods is not None and request.method.upper() not in function.methods):
                continue
            if self._keys is not None and not self._keys.admits(request, function):
                return web.Response(status=HTTPStatus.UNAUTHORIZED)
            return await self._call(function, request, parameters)
        return web.Response(status=HTTPStatus.NOT_FOUND)

    async def _call(self, function: ServedFunction, request: web.Request, parameters: dict[str, str]) -> web.Response:
        body = await request.read()
        if not request.content_length:
            body = b""  # a chunked request without a length arrives empty
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]},{value}" if key in headers else value
        data = {
            "method": Datum(request.method.upper(), "string"),
            "url": Datum(str(request.url), "string"),
            "headers": {name: Datum(value, "string") for name, value in headers.items()},
            "query": {name: Datum(value, "string") for name, value in _query(request).items()},
            "params": {name: Datum(value, "string") for name, value in parameters.items()},
            "body": Datum(body, "bytes"),
        }
        try:
            returned = await self._invoker.invoke(function, Datum(data, "http"), {})
        except InvocationError:
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        return _response(returned)


def _query(request: web.Request) -> dict[str, str]:
    """Repeated keys (which ignore case) joined by a comma; keys without a value dropped."""
    names: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in request.query.items():
        values.setdefault(names.setdefault(name.lower(), name), []).append(value)
    joined = {name: ",".join(each) for name, each in values.items()}
    return {name: value for name, value in joined.items() if value}


def _response(datum: Datum) -> web.Response:
    if datum.type != "http":
        return _text_response(str(datum.value))
    answer: dict[str, Any] = datum.value
    headers = CIMultiDict((name, value.value) for name, value in answer["headers"].items())
    for jar in answer["cookies"] or ():
        for morsel in jar.values():
            headers.add("Set-Cookie", morsel.OutputString())
    return web.Response(status=int(answer["status_code"].value), headers=headers, body=answer["body"].value)


def _text_response(text: str) -> web.Response:
    """A plain text is read as JSON by the host, with the surprises that follow: return HttpResponse instead."""
    try:
        content = json.loads(text)
    except ValueError:
        content = text
    status, headers = HTTPStatus.OK.value, CIMultiDict({"Content-Type": "text/plain; charset=utf-8"})
    if isinstance(content, dict):
        described = {str(name).lower(): value for name, value in content.items()}
        if "body" in described:
            content = described["body"]
            status = int(described.get("statuscode", described.get("status", status)))
            extra = described.get("headers")
            if isinstance(extra, Mapping):
                for name, value in extra.items():
                    headers[str(name)] = str(value)
    return web.Response(status=status, headers=headers, body=_printed(content).encode())


def _printed(content: Any) -> str:
    """As .NET prints a value: True with a capital letter, containers indented, nothing for null."""
    if content is None:
        return ""
    if isinstance(content, dict | list):
        return json.dumps(content, indent=2, ensure_ascii=False)
    return str(content)
