"""Queue triggers: polling, leases, retries and poison queues by the real listener's rules."""

import asyncio
import base64
import binascii
import contextlib
import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from sandbox.host.host_json import QueueSettings, scaled, whole_seconds
from sandbox.host.index import ServedFunction, connection_string
from sandbox.host.invocation import InvocationError, Invoker

_LEASE = timedelta(minutes=10)
# A lease is never shorter than this, however fast the sandbox's time runs: a busy machine must be able to renew it.
_SHORTEST_LEASE = 2.0
_QUICKEST_POLL = 0.1
# Only this host fills a poison queue, and then wakes its listener: looking more often, however fast time runs, finds
# nothing.
_CALMEST_POISON_POLL = 2.0
# The real host caps the wait at 2 s when AZURE_FUNCTIONS_ENVIRONMENT is Development.
_DEVELOPMENT_POLL = timedelta(seconds=2)
# Beyond the real host: after something happened, every poll is quick for a while, so that a person need not wait.
_ATTENTIVE = 5.0
_LONGEST_QUEUE_NAME = 63


@dataclass
class _Lease:
    """The pop receipt that the last renewal answered: the only one that still counts."""

    pop_receipt: str


class QueueListener:
    """Feeds one function from one queue until it is stopped."""

    def __init__(
        self,
        function: ServedFunction,
        invoker: Invoker,
        settings: QueueSettings,
        environment: Mapping[str, str],
        scale: float,
        on_given_up: Callable[[], None],
    ) -> None:
        self._function = function
        self._invoker = invoker
        self._settings = settings
        self._scale = scale
        self._on_given_up = on_given_up
        self.queue = str(function.trigger["queueName"])
        connection = connection_string(str(function.trigger["connection"]), environment)
        # The loop below is the retry; the SDK's own would hide an outage for a minute. The storage is on this machine:
        # no proxy leads there, and the SDK would look one up in a thread with every poll.
        self._client = QueueClient.from_connection_string(connection, self.queue, retry_total=0, use_env_settings=False)
        poison = f"{self.queue}-poison"
        has_poison = not self.queue.endswith("-poison") and len(poison) <= _LONGEST_QUEUE_NAME
        self._poison = (
            QueueClient.from_connection_string(connection, poison, use_env_settings=False) if has_poison else None
        )
        development = environment.get("AZURE_FUNCTIONS_ENVIRONMENT") == "Development"
        longest = (
            min(settings.max_polling_interval, _DEVELOPMENT_POLL) if development else settings.max_polling_interval
        )
        self._longest_poll = max(scaled(longest, scale), _QUICKEST_POLL if has_poison else _CALMEST_POISON_POLL)
        self._lease = max(scaled(_LEASE, scale), _SHORTEST_LEASE)
        self._retry_after = whole_seconds(scaled(settings.visibility_timeout, scale))
        self._woken = asyncio.Event()
        self._attentive_until = 0.0
        self._be_attentive()
        self._work: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look at the queue at once, and be quick for a while."""
        self._be_attentive()
        self._woken.set()

    def _be_attentive(self) -> None:
        if self._poison is not None:
            self._attentive_until = time.monotonic() + _ATTENTIVE

    async def run(self) -> None:
        """Poll until cancelled; an unreachable queue is reported once and waited for."""
        delay, reported = _QUICKEST_POLL, False
        while True:
            self._woken.clear()
            try:
                messages = await self._receive()
                reported = False
            except AzureError as error:
                if not reported:
                    print(
                        f"The queue {self.queue!r} cannot be read: {type(error).__name__}.", file=sys.stderr, flush=True
                    )
                messages, reported = [], True
            for message in messages:
                task = asyncio.create_task(self._handle(message))
                self._work.add(task)
                task.add_done_callback(self._work.discard)
            if messages:
                self._be_attentive()
                delay = _QUICKEST_POLL
                while len(self._work) > self._settings.new_batch_threshold:
                    await asyncio.wait(self._work, return_when=asyncio.FIRST_COMPLETED)
                continue
            attentive = time.monotonic() < self._attentive_until
            delay = _QUICKEST_POLL if attentive else min(delay * random.uniform(1.5, 2.5), self._longest_poll)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), delay)

    async def close(self, patience: float) -> None:
        """Let messages that are being worked on end, then close the connections."""
        if self._work:
            await asyncio.wait(self._work, timeout=patience)
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self._client.close()
        if self._poison is not None:
            await self._poison.close()

    async def _receive(self) -> list[QueueMessage]:
        pages = self._client.receive_messages(
            messages_per_page=self._settings.batch_size, visibility_timeout=whole_seconds(self._lease)
        ).by_page()
        try:
            async for page in pages:
                return [message async for message in page]
        except ResourceNotFoundError:
            pass  # the listener creates no queue: an output, or whoever sends first, does
        return []

    async def _handle(self, message: QueueMessage) -> None:
        lease = _Lease(str(message.pop_receipt))
        deliveries = int(message.dequeue_count or 1)
        try:
            if deliveries > self._settings.max_dequeue_count:
                # The process died in every attempt: no further one.
                await self._give_up(message, lease)
                return
            try:
                body = self._body(message)
            except ValueError:
                await self._give_up(message, lease)
                return
            if await self._invoke(message, lease, body):
                await self._client.delete_message(str(message.id), lease.pop_receipt)
            elif deliveries >= self._settings.max_dequeue_count:
                await self._give_up(message, lease)
            else:
                await self._client.update_message(message, lease.pop_receipt, visibility_timeout=self._retry_after)
        except AzureError as error:
            # At least once: the message shows itself again when its lease ends.
            print(
                f"A message of {self.queue!r} could not be settled: {type(error).__name__}.",
                file=sys.stderr,
                flush=True,
            )

    def _body(self, message: QueueMessage) -> str:
        content = message.content or ""
        if not self._settings.base64:
            return str(content)
        try:
            return base64.b64decode(content, validate=True).decode("utf-8")
        except binascii.Error as error:
            raise ValueError("not base64") from error

    async def _invoke(self, message: QueueMessage, lease: _Lease, body: str) -> bool:
        renewal = asyncio.create_task(self._renew(message, lease))
        try:
            await self._invoker.invoke(self._function, Datum(body, "string"), message_metadata(message, body))
        except InvocationError:
            return False
        else:
            return True
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)

    async def _renew(self, message: QueueMessage, lease: _Lease) -> None:
        """Hold the message while its function runs: renewed at half time."""
        while True:
            await asyncio.sleep(self._lease / 2)
            try:
                renewed = await self._client.update_message(
                    message, lease.pop_receipt, visibility_timeout=whole_seconds(self._lease)
                )
            except AzureError as error:
                print(
                    f"A lease on {self.queue!r} was not renewed: {type(error).__name__}.", file=sys.stderr, flush=True
                )
                return
            lease.pop_receipt = str(renewed.pop_receipt)

    async def _give_up(self, message: QueueMessage, lease: _Lease) -> None:
        """Copy to the poison queue, then delete; without a poison queue it stays hidden until its lease ends."""
        if self._poison is None:
            return
        try:
            await self._poison.send_message(message.content)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):
                await self._poison.create_queue()
            await self._poison.send_message(message.content)
        print(f"A message of {self.queue!r} was moved to {self.queue}-poison.", file=sys.stderr, flush=True)
        await self._client.delete_message(str(message.id), lease.pop_receipt)
        self._on_given_up()


def message_metadata(message: QueueMessage, body: str) -> dict[str, Datum]:
    """The trigger metadata: the message's own, overruled by top-level members of a JSON body, ignoring case."""
    known: dict[str, Datum] = {
        "Id": Datum(str(message.id), "string"),
        "DequeueCount": Datum(int(message.dequeue_count or 1), "int"),
        "InsertionTime": Datum(_moment(message.inserted_on), "string"),
        "ExpirationTime": Datum(_moment(message.expires_on), "string"),
        "NextVisibleTime": Datum(_moment(message.next_visible_on), "string"),
        "PopReceipt": Datum(str(message.pop_receipt), "string"),
        "QueueTrigger": Datum(body, "string"),
    }
    names = {name.lower(): name for name in known}
    for member, value in _members(body).items():
        known[names.get(member.lower(), member)] = _datum(value)
    return known


def _members(body: str) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _datum(value: Any) -> Datum:
    if isinstance(value, str):
        return Datum(value, "string")
    if isinstance(value, int) and not isinstance(value, bool):
        return Datum(value, "int")
    return Datum(json.dumps(value), "json")


def _moment(moment: Any) -> str:
    return (moment if isinstance(moment, datetime) else datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S+00:00")
