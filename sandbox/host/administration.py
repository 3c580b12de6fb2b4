"""The host's own addresses: its state, the function index, keys, and running a function by hand."""

import asyncio
import contextlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from aiohttp import web
from azure.functions.meta import Datum
from azure.storage.queue import QueueMessage

from sandbox.host import event_grid
from sandbox.host.index import FunctionIndex, ServedFunction
from sandbox.host.invocation import InvocationError, Invoker
from sandbox.host.keys import Keys
from sandbox.host.queues import message_metadata
from sandbox.host.timers import Timer


class Administration:
    """Answers below /admin; with keys switched on only to the master key."""

    def __init__(self, index: FunctionIndex, invoker: Invoker, timers: dict[str, Timer], keys: Keys | None) -> None:
        self._index = index
        self._invoker = invoker
        self._timers = timers
        self._keys = keys
        self._by_hand: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """What the host serves beside the app."""
        return [
            web.get("/admin/host/status", self._guarded(self._status)),
            web.get("/admin/host/keys", self._guarded(self._host_keys)),
            web.get("/admin/host/systemkeys/eventgrid_extension", self._guarded(self._event_grid_key)),
            web.get("/admin/functions", self._guarded(self._functions)),
            web.get("/admin/functions/{name}/keys", self._guarded(self._function_keys)),
            web.post("/admin/functions/{name}", self._guarded(self._run)),
        ]

    def _guarded(self, handler: Any) -> Any:
        async def guarded(request: web.Request) -> web.Response:
            if self._keys is not None and not self._keys.admits_master(request):
                return web.Response(status=HTTPStatus.UNAUTHORIZED)
            response: web.Response = await handler(request)
            return response

        return guarded

    async def _status(self, _request: web.Request) -> web.Response:
        return web.json_response({"state": "Running", "errors": list(self._index.errors.values())})

    async def _functions(self, request: web.Request) -> web.Response:
        return web.json_response([self._described(function, request) for function in self._index.functions])

    def _described(self, function: ServedFunction, request: web.Request) -> dict[str, Any]:
        url = f"{request.scheme}://{request.host}/{function.route.template}" if function.route else None
        return {
            "name": function.name,
            "language": "python",
            "invoke_url_template": url,
            "bindings": list(function.bindings),
        }

    async def _host_keys(self, _request: web.Request) -> web.Response:
        return _keys_response(None if self._keys is None else self._keys.host)

    async def _event_grid_key(self, _request: web.Request) -> web.Response:
        key = None if self._keys is None else self._keys.event_grid
        return web.json_response({"name": "eventgrid_extension", "value": key, "links": []})

    async def _function_keys(self, request: web.Request) -> web.Response:
        return _keys_response(None if self._keys is None else self._keys.functions.get(request.match_info["name"]))

    async def _run(self, request: web.Request) -> web.Response:
        name = request.match_info["name"].lower()
        function = next((each for each in self._index.functions if each.name.lower() == name), None)
        if function is None:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        if function.route is not None:
            return web.Response(status=HTTPStatus.BAD_REQUEST, text="Call an HTTP function by its own address.")
        try:
            content = json.loads(await request.text() or "{}")
            given = content.get("input")
        except (ValueError, AttributeError):
            return web.Response(status=HTTPStatus.BAD_REQUEST, text='Expected a JSON object such as {"input": "…"}.')
        text = "" if given is None else given if isinstance(given, str) else json.dumps(given)
        task = asyncio.create_task(self._run_by_hand(function, text))
        self._by_hand.add(task)
        task.add_done_callback(self._by_hand.discard)
        return web.Response(status=HTTPStatus.ACCEPTED)

    async def _run_by_hand(self, function: ServedFunction, text: str) -> None:
        if function.name in self._timers:
            await self._timers[function.name].run_once()
            return
        message = QueueMessage(content=text)
        message.id, message.pop_receipt, message.dequeue_count = str(uuid.uuid4()), "by-hand", 1
        message.inserted_on = message.next_visible_on = datetime.now(UTC)
        message.expires_on = datetime.now(UTC) + timedelta(days=7)
        metadata = message_metadata(message, text)
        with contextlib.suppress(InvocationError):
            kind = "json" if function.trigger["type"] == event_grid.TRIGGER else "string"
            await self._invoker.invoke(function, Datum(text, kind), metadata)


def _keys_response(key: str | None) -> web.Response:
    return web.json_response({"keys": [{"name": "default", "value": key}] if key else [], "links": []})
