"""Somebody who reads everything that is no vault: what the app logged, stored, mailed and answered."""

import base64
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueServiceClient

from tests.world import Reply, World


class Witness(World):
    """A client of the app and of the sandbox that keeps whatever it was answered."""

    replies: list[tuple[str, Reply]]

    @classmethod
    def beside(cls, world: World) -> "Witness":
        """A witness of the same sandbox, which has seen nothing yet."""
        witness = cls(world.state, world._session, world.tls, world.log)  # noqa: SLF001  # the same connections
        witness.replies = []
        return witness

    async def _call(self, method: str, url: str, body: Any = None, **options: Any) -> Reply:
        reply = await super()._call(method, url, body, **options)
        self.replies.append((f"{method} {url}", reply))
        return reply

    async def places(self, begin: int = 0) -> dict[str, str]:
        """The text of every place: log (from this byte on), rows, messages, mails, calls, dump and answers."""
        with self.log.open("rb") as log:
            log.seek(begin)
            found = {"log": log.read().decode(errors="replace")}
        found |= {f"answer {number} of {call}": _text(reply) for number, (call, reply) in enumerate(self.replies)}
        found |= {f"mail {number}": json.dumps(mail) for number, mail in enumerate(await self.mailbox())}
        found |= {"calls": json.dumps(await self.calls()), "dump": json.dumps(await self.dump())}
        return found | await self._rows() | await self._messages()

    async def _rows(self) -> dict[str, str]:
        found = {}
        async with TableServiceClient.from_connection_string(self.state.storage) as tables:
            async for table in tables.list_tables():
                async for row in tables.get_table_client(table.name).list_entities():
                    found[f"row {table.name} {row['PartitionKey']} {row['RowKey']}"] = json.dumps(
                        dict(row), default=str
                    )
        return found

    async def _messages(self) -> dict[str, str]:
        found = {}
        async with QueueServiceClient.from_connection_string(self.state.storage) as queues:
            async for queue in queues.list_queues():
                async with queues.get_queue_client(queue) as client:
                    for number, message in enumerate(await client.peek_messages(32)):
                        found[f"message {number} on {queue.name}"] = str(message.content)
        return found


def _text(reply: Reply) -> str:
    return "\n".join([*(f"{name}: {value}" for name, value in reply.headers.items()), reply.text])


def holding(places: Mapping[str, str], word: str) -> list[str]:
    """The places that hold a word: in the open, as an address, JSON or HTML writes it, in hexadecimal or in base64."""
    forms = set(_forms(word))
    return [name for name, text in places.items() if any(form in text for form in forms) or _hex(word) in text.lower()]


def _forms(word: str) -> Iterator[str]:
    yield from (word, quote(word, safe=""), word.replace("~", "%7E"), json.dumps(word)[1:-1], escape(word))
    for shift in range(3):
        # What stands before the word moves its bits; the characters that also hold bits of its neighbours are left out.
        encoded = base64.b64encode(b"\0" * shift + word.encode())
        whole = encoded[(0, 2, 3)[shift] : len(encoded.rstrip(b"=")) - 1].decode()
        yield from (whole, whole.replace("+", "-").replace("/", "_"))


def _hex(word: str) -> str:
    return word.encode().hex()
