"""Running one function: arguments in, the function's answer and outputs out, one line on standard error."""

import asyncio
import contextvars
import functools
import sys
import time
import traceback
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import azure.functions
from azure.functions.meta import Datum

from sandbox.host.context import InvocationContext
from sandbox.host.index import ServedFunction, converter
from sandbox.host.outputs import OutputSender

# Set by the real host for Python where the app does not (host 4.1037); threads are made as they are needed.
_THREADS = 1000


class InvocationError(Exception):
    """The function, its arguments or one of its outputs failed; the cause says how."""


class _Out(azure.functions.Out[Any]):
    """What a function sets to be sent after it has returned."""

    def __init__(self) -> None:
        self.value: Any = None

    def set(self, val: Any) -> None:
        """Remember `val`; None sends nothing."""
        self.value = val

    def get(self) -> Any:
        """What was set last."""
        return self.value


class Invoker:
    """Calls functions as the worker does: coroutines on this loop, others in threads; outputs after success only."""

    def __init__(self, folder: Path, outputs: OutputSender, timeout: float | None) -> None:
        self._folder = folder
        self._outputs = outputs
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="function")
        self._running: set[asyncio.Task[Any]] = set()

    async def invoke(self, function: ServedFunction, data: Datum, metadata: Mapping[str, Datum] | None = None) -> Any:
        """Run `function` to its end, outputs included; raises InvocationError where anything of it failed.

        Answers the encoded return value of an HTTP function and None for all others.
        """
        task = asyncio.create_task(self._run(function, data, metadata))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # A caller that goes away does not end the function, as in Azure.
        return await asyncio.shield(task)

    async def finish(self, patience: float) -> None:
        """Let running functions end, for `patience` seconds at most, then drop them."""
        if self._running:
            await asyncio.wait(self._running, timeout=patience)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: ServedFunction, data: Datum, metadata: Mapping[str, Datum] | None) -> Any:
        started = time.perf_counter()
        try:
            answer = await self._call(function, data, metadata)
        except Exception as error:
            _report(function.name, "failed", started, f"{type(error).__name__}")
            traceback.print_exception(error, file=sys.stderr)
            raise InvocationError(f"{function.name} failed with {type(error).__name__}.") from error
        status = answer.value["status_code"].value if isinstance(answer, Datum) and answer.type == "http" else ""
        _report(function.name, "succeeded", started, status)
        return answer

    async def _call(self, function: ServedFunction, data: Datum, metadata: Mapping[str, Datum] | None) -> Any:
        arguments: dict[str, Any] = {
            function.trigger["name"]: converter(function.trigger["type"]).decode(data, trigger_metadata=metadata)
        }
        outs = {str(binding["name"]): _Out() for binding in function.outputs if binding["name"] != "$return"}
        arguments.update(outs)
        invocation_id = str(uuid.uuid4())
        if function.takes_context:
            arguments["context"] = InvocationContext(invocation_id, function.name, str(self._folder))
        async with asyncio.timeout(self._timeout):
            returned = await self._start(function, arguments)
        answer = _encoded("http", returned, function.output_types.get("$return")) if function.route else None
        sent = {name: out.value for name, out in outs.items()}
        if any(binding["name"] == "$return" for binding in function.outputs):
            sent["$return"] = returned
        await self._outputs.send(function, sent)
        return answer

    async def _start(self, function: ServedFunction, arguments: dict[str, Any]) -> Any:
        if function.is_async:
            return await function.call(**arguments)
        call = functools.partial(contextvars.copy_context().run, functools.partial(function.call, **arguments))
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _encoded(kind: str, value: Any, expected_type: object) -> Datum:
    """Encode as the worker does; None from a function that owes a response is an error, not an empty answer."""
    try:
        datum: Datum = converter(kind).encode(value, expected_type=expected_type)
    except NotImplementedError as error:
        raise TypeError(f'unable to encode a value of type {type(value).__name__} for the "{kind}" binding') from error
    return datum


def _report(name: str, outcome: str, started: float, detail: str) -> None:
    moment = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
    spent = f"{(time.perf_counter() - started) * 1000:.0f} ms"
    print(f"{moment} {name} {outcome} in {spent}" + (f" ({detail})" if detail else ""), file=sys.stderr, flush=True)
