"""Every mail the tenant has sent, readable by those it was sent to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.clock import graph_time


@dataclass(frozen=True)
class Attachment:
    """A file that came with a mail."""

    name: str
    content_type: str
    content_base64: str


@dataclass(frozen=True)
class Message:
    """A delivered mail; `sender` is what the wire calls `from`."""

    at: datetime
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    subject: str = ""
    text: str = ""
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the mail as `GET /mailbox` shows it."""
        return {
            "at": graph_time(self.at),
            "from": self.sender,
            "to": list(self.to),
            "cc": list(self.cc),
            "reply_to": list(self.reply_to),
            "subject": self.subject,
            "text": self.text,
            "html": self.html,
            "attachments": [
                {"name": file.name, "content_type": file.content_type, "content_base64": file.content_base64}
                for file in self.attachments
            ],
            "headers": dict(self.headers),
        }


class Mailbox:
    """All mails in the order of their arrival; some are still on their way."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._arrived: list[Message] = []
        self._under_way: list[tuple[datetime, Message]] = []

    @property
    def messages(self) -> list[Message]:
        """Return the mails that have arrived."""
        self._receive()
        return self._arrived

    @property
    def delayed(self) -> list[tuple[datetime, Message]]:
        """Return the mails that are still on their way, and when they arrive."""
        self._receive()
        return self._under_way

    def _receive(self) -> None:
        now = self._now()
        due = sorted((entry for entry in self._under_way if entry[0] <= now), key=lambda entry: entry[0])
        self._under_way = [entry for entry in self._under_way if entry[0] > now]
        self._arrived += [message for _, message in due]

    def deliver(self, message: Message, at: datetime | None = None) -> None:
        """Add one mail, which arrives now or later."""
        self._under_way.append((message.at if at is None else at, message))

    def addressed_to(self, address: str) -> list[Message]:
        """Return the mails an address has received, oldest first, as recipient or in copy."""
        wanted = address.casefold()
        return [
            message
            for message in self.messages
            if any(wanted == receiver.casefold() for receiver in (*message.to, *message.cc))
        ]
