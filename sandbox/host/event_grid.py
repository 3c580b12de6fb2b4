"""Event Grid triggers: the webhook that Event Grid delivers to, by the extension's rules (functions-host-contract 2).

POST …?functionName=NAME&code=KEY  `aeg-event-type` says what it is: the handshake of the Event Grid schema, events (one
                                   invocation each, all at once), or the end of a subscription
OPTIONS                            the handshake of CloudEvents 1.0 (its web hook specification, section 4)
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from aiohttp import web
from azure.functions.meta import Datum

from sandbox.host.index import FunctionIndex, ServedFunction
from sandbox.host.invocation import InvocationError, Invoker
from sandbox.host.keys import Keys

TRIGGER = "eventGridTrigger"
# The route of an extension ignores case: both "EventGrid" and "eventgrid" are in documented use.
PATH = r"/runtime/webhooks/{extension:(?i:eventgrid)}"


class EventGridTriggers:
    """Answers Event Grid for every function with its trigger."""

    def __init__(self, index: FunctionIndex, invoker: Invoker, keys: Keys | None) -> None:
        self._functions = {each.name.lower(): each for each in index.functions if each.trigger["type"] == TRIGGER}
        self._invoker = invoker
        self._keys = keys

    def routes(self) -> list[web.RouteDef]:
        """The one address of the extension."""
        return [web.post(PATH, self._post), web.options(PATH, self._options)]

    async def _options(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        origin = request.headers.get("WebHook-Request-Origin")
        if not origin:
            return web.Response(status=HTTPStatus.BAD_REQUEST)
        return web.Response(headers={"WebHook-Allowed-Origin": origin})

    async def _post(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        kind = request.headers.get("aeg-event-type", "").lower()
        if kind == "unsubscribe":
            return web.Response(status=HTTPStatus.ACCEPTED)
        try:
            events = _events(await request.json())
            if kind == "subscriptionvalidation":
                return web.json_response({"validationResponse": events[0]["data"]["validationCode"]})
        except (ValueError, LookupError, TypeError):
            return web.Response(status=HTTPStatus.BAD_REQUEST)
        if kind != "notification":
            return web.Response(status=HTTPStatus.BAD_REQUEST)
        return await self._notify(self._functions[request.query["functionName"].lower()], events)

    async def _notify(self, function: ServedFunction, events: list[Any]) -> web.Response:
        """One invocation for each event; where one fails, the whole delivery comes again."""
        calls = [self._invoker.invoke(function, Datum(json.dumps(event), "json"), {}) for event in events]
        results = await asyncio.gather(*calls, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, InvocationError):
                raise result
        failed = any(isinstance(result, InvocationError) for result in results)
        return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR if failed else HTTPStatus.ACCEPTED)

    def _refused(self, request: web.Request) -> web.Response | None:
        if self._keys is not None and not self._keys.admits_event_grid(request):
            return web.Response(status=HTTPStatus.UNAUTHORIZED)
        if request.query.get("functionName", "").lower() not in self._functions:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        return None


def _events(body: Any) -> list[Any]:
    """The events of a delivery: an array of them, or a single one, which is how CloudEvents come."""
    events = body if isinstance(body, list) else [body]
    if not events or not all(isinstance(event, dict) for event in events):
        raise ValueError("a delivery holds one event or an array of them")
    return events
