"""Every mail the tenant has sent, readable by those it was sent to."""

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
    """All mails in the order of their sending."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def deliver(self, message: Message) -> None:
        """Add one mail."""
        self.messages.append(message)

    def addressed_to(self, address: str) -> list[Message]:
        """Return the mails an address has received, oldest first, as recipient or in copy."""
        wanted = address.casefold()
        return [
            message
            for message in self.messages
            if any(wanted == receiver.casefold() for receiver in (*message.to, *message.cc))
        ]
