"""Queue outputs as the real host sends them: after success, in parallel, JSON-looking text rewritten."""

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.storage.queue.aio import QueueClient

from sandbox.host.index import ServedFunction, connection_string, converter


class OutputError(Exception):
    """An output that cannot be sent as it was given."""


class OutputSender:
    """Sends what functions put on queues; each queue is created when it is missing."""

    def __init__(self, environment: Mapping[str, str], *, base64_messages: bool, on_sent: Callable[[], None]) -> None:
        self._environment = environment
        self._base64 = base64_messages
        self._on_sent = on_sent
        self._clients: dict[tuple[str, str], QueueClient] = {}

    async def send(self, function: ServedFunction, values: Mapping[str, Any]) -> None:
        """Send all outputs of one invocation at once; it is no transaction: one may fail when others are out."""
        sends = []
        for binding in function.outputs:
            value = values.get(str(binding["name"]))
            if value is None:
                continue
            client = self._client(binding)
            sends += [self._send(client, body) for body in _messages(value)]
        if not sends:
            return
        try:
            results = await asyncio.gather(*sends, return_exceptions=True)
        finally:
            # The real listener is told of messages that its own host has sent, and does not wait for its next poll.
            self._on_sent()
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def close(self) -> None:
        """Close the connections to Storage."""
        await asyncio.gather(*(client.close() for client in self._clients.values()))

    def _client(self, binding: Mapping[str, Any]) -> QueueClient:
        key = (str(binding["connection"]), str(binding["queueName"]))
        if key not in self._clients:
            connection = connection_string(key[0], self._environment)
            self._clients[key] = QueueClient.from_connection_string(connection, key[1], use_env_settings=False)
        return self._clients[key]

    async def _send(self, client: QueueClient, body: bytes) -> None:
        text = base64.b64encode(body).decode("ascii") if self._base64 else body.decode("utf-8")
        try:
            await client.send_message(text)
        except ResourceNotFoundError:
            # Somebody else may be quicker, which is all that is wanted.
            with contextlib.suppress(ResourceExistsError):
                await client.create_queue()
            await client.send_message(text)


def _messages(value: Any) -> list[bytes]:
    """The messages that one output value becomes."""
    try:
        datum: Datum = converter("queue").encode(value, expected_type=None)
    except NotImplementedError as error:
        raise OutputError(
            f"a queue output takes str, bytes, QueueMessage or a list, found {type(value).__name__}"
        ) from error
    if datum.type == "bytes":
        return [bytes(datum.value)]
    if datum.type == "json":
        content = json.loads(datum.value)
        return [_text(item) for item in content] if isinstance(content, list) else [_text(content)]
    return _rewritten(str(datum.value))


def _rewritten(text: str) -> list[bytes]:
    """A single text: the host reads it as JSON where it looks like JSON, and an array becomes several messages."""
    bare = text.strip()
    if not (bare.startswith("{") and bare.endswith("}")) and not (bare.startswith("[") and bare.endswith("]")):
        return [text.encode()]
    try:
        content = json.loads(bare)
    except ValueError as error:
        raise OutputError(
            "a queue output looks like JSON and is not; send bytes or a list to keep text as it is"
        ) from error
    return [_text(item) for item in content] if isinstance(content, list) else [_text(content)]


def _text(item: Any) -> bytes:
    return (item if isinstance(item, str) else json.dumps(item, indent=2, ensure_ascii=False)).encode()
