"""The host as a whole: loads the app, serves HTTP, listens to queues, keeps timers, and stops cleanly."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from sandbox.host.administration import Administration
from sandbox.host.event_grid import EventGridTriggers
from sandbox.host.host_json import read_host_json
from sandbox.host.http import HttpTriggers
from sandbox.host.index import FunctionIndex, index_functions, load_app
from sandbox.host.invocation import Invoker
from sandbox.host.keys import Keys
from sandbox.host.outputs import OutputSender
from sandbox.host.queues import QueueListener
from sandbox.host.timers import Timer

_LARGEST_BODY = 100 * 1024 * 1024
# How long running functions get when the host is stopped.
_PATIENCE = 5.0
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Host:
    """One app, served until it is stopped."""

    def __init__(self, folder: Path, master_key: str | None, storage: str | None = None) -> None:
        settings = read_host_json(folder / "host.json")
        environment = os.environ
        # What the real host polls is no call of the app's.
        polled = {**environment, "AzureWebJobsStorage": storage} if storage else environment
        scale = float(environment.get("GATEHOUSE_WAIT_SCALE") or "1")
        self.index: FunctionIndex = index_functions(load_app(folder), settings, environment)
        self._listeners: list[QueueListener] = []
        self._outputs = OutputSender(environment, base64_messages=settings.queues.base64, on_sent=self._wake)
        timeout = settings.function_timeout.total_seconds() if settings.function_timeout else None
        self._invoker = Invoker(folder, self._outputs, timeout)
        self._timers: dict[str, Timer] = {}
        for function in self.index.functions:
            if function.trigger["type"] == "queueTrigger":
                self._listeners.append(
                    QueueListener(function, self._invoker, settings.queues, polled, scale, self._wake)
                )
            elif function.schedule is not None:
                self._timers[function.name] = Timer(function, function.schedule, self._invoker, scale)
        keys = Keys(master_key, [function.name for function in self.index.functions]) if master_key else None
        self._event_grid = EventGridTriggers(self.index, self._invoker, keys)
        self._http = HttpTriggers(self.index, self._invoker, keys)
        self._administration = Administration(self.index, self._invoker, self._timers, keys)

    def application(self) -> web.Application:
        """The web application that answers for the host and its functions."""
        application = web.Application(client_max_size=_LARGEST_BODY, middlewares=[self._attentive])
        application.add_routes(self._administration.routes())
        application.add_routes(self._event_grid.routes())
        application.router.add_route("*", "/{path:.*}", self._http.answer)
        return application

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Listen to queues and keep timers for as long as the context is open."""
        runs = [asyncio.create_task(listener.run()) for listener in self._listeners]
        runs += [asyncio.create_task(timer.run()) for timer in self._timers.values()]
        try:
            yield
        finally:
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)
            await asyncio.gather(*(listener.close(_PATIENCE) for listener in self._listeners))
            await self._invoker.finish(_PATIENCE)
            await self._outputs.close()

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.wake()

    @web.middleware
    async def _attentive(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        response = await handler(request)
        if request.method not in {"GET", "HEAD"}:
            # A call may have put something on a queue without an output binding; look soon.
            self._wake()
        return response


async def serve(
    folder: Path, listener: socket.socket, tls: ssl.SSLContext, master_key: str | None, storage: str | None = None
) -> None:
    """Serve `folder` over HTTPS on a listening socket until SIGTERM or SIGINT."""
    os.environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    os.environ.setdefault("AzureWebJobsScriptRoot", str(folder))
    os.environ.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
    address = "{}:{}".format(*listener.getsockname())
    os.environ.setdefault("WEBSITE_HOSTNAME", address)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    host = Host(folder, master_key, storage)
    for sentence in host.index.errors.values():
        print(sentence, file=sys.stderr, flush=True)
    runner = web.AppRunner(host.application(), access_log=None, shutdown_timeout=_PATIENCE)
    await runner.setup()
    try:
        async with host.working():
            site = web.SockSite(runner, listener, ssl_context=tls)
            await site.start()
            # One line that a starter can wait for: where, and which functions.
            ready = {"url": f"https://{address}", "functions": [each.name for each in host.index.functions]}
            print(json.dumps(ready), flush=True)
            await stopped.wait()
            await site.stop()
    finally:
        await runner.cleanup()
