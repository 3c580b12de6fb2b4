"""The storage queues: messages that name an operation, and nothing that a decision needs.

Messages are base64 JSON as the Functions host reads them; a follow-up that must wait is sent with its visibility delay,
which an output binding cannot carry (Azure/azure-functions-host issue 4176).
"""

import contextlib
import json
from typing import Any, Literal

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import TextBase64DecodePolicy, TextBase64EncodePolicy
from azure.storage.queue.aio import QueueServiceClient

from sso.errors import NotReady
from sso.model import OperationId

QueueName = Literal["onboardings", "assignments", "rotations", "hr-events"]
QUEUES: tuple[QueueName, ...] = ("onboardings", "assignments", "rotations", "hr-events")
LONGEST_DELAY = 604_800  # seconds: seven days, the most that a message can be hidden
# Seconds, twelve in all at most: whoever called us waits meanwhile, and the SDK's own first pause alone is 15 (its
# ExponentialRetry). What stays unsent is sent by the sweep.
_RETRIES: dict[str, Any] = {"initial_backoff": 1, "increment_base": 2, "random_jitter_range": 1}


class Queues:
    """The queues of one storage account."""

    def __init__(self, service: QueueServiceClient) -> None:
        """Use this account; nothing is sent yet."""
        self._service = service

    @classmethod
    def connect(
        cls, connection: str | None, endpoint: str, credential: AsyncTokenCredential, **options: Any
    ) -> "Queues":
        """Open the queues by connection string, or by the identity; `options` are the SDK's own."""
        if connection:
            return cls(QueueServiceClient.from_connection_string(connection, **_RETRIES, **options))
        return cls(QueueServiceClient(endpoint, credential=credential, **_RETRIES, **options))

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()

    async def send(
        self, queue: QueueName, operation: OperationId, *, delay: float = 0, batch: int | None = None
    ) -> None:
        """Send the message of an operation (on `assignments`: of one of its batches), hidden for `delay` seconds."""
        message: dict[str, object] = {"operation": operation}
        if batch is not None:
            message["batch"] = batch
        client = self._service.get_queue_client(
            queue, message_encode_policy=TextBase64EncodePolicy(), message_decode_policy=TextBase64DecodePolicy()
        )
        hidden = min(round(delay), LONGEST_DELAY)
        try:
            try:
                await client.send_message(json.dumps(message), visibility_timeout=hidden)
            except ResourceNotFoundError:
                with contextlib.suppress(ResourceExistsError):
                    await client.create_queue()
                await client.send_message(json.dumps(message), visibility_timeout=hidden)
        except AzureError as error:
            msg = f"The queue '{queue}' took no message ({type(error).__name__}); the sweep will send it again."
            raise NotReady(msg, retry_after=30) from None

    async def lengths(self) -> dict[str, int]:
        """How many messages each queue and its poison queue hold, about; 0 for one that is not there yet."""
        found = {}
        for name in (*QUEUES, *(f"{queue}-poison" for queue in QUEUES)):
            try:
                properties = await self._service.get_queue_client(name).get_queue_properties()
                found[name] = int(properties.approximate_message_count or 0)
            except ResourceNotFoundError:
                found[name] = 0
        return found
