"""Reading a hand-off as its addressee does: the newest mail for a vendor and instance, line by line."""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sandbox.mailbox import Mailbox, Message

LINE = re.compile(r"^\s*(?:[-*•]\s+)?(?P<label>[^:\n]{1,80}?)\s*:\s+(?P<value>\S.*?)\s*$", re.MULTILINE)
ATTACHED = re.compile(r"see the attached file (?P<name>.+?)\.?$", re.IGNORECASE)


@dataclass(frozen=True)
class HandoffMail:
    """What one mail told: its reference, its page, and values under the vendor's own field labels."""

    to: tuple[str, ...]
    reference: str
    page: str
    values: Mapping[str, str]
    """Values by label, the label in lower case; an attached file's content stands for the mention of it."""


def newest_handoff(mailbox: Mailbox, vendor: str, instance: str, contact: str | None) -> HandoffMail | None:
    """The newest hand-off that reached this vendor's contact, or our own people where the vendor has none."""
    for message in reversed(mailbox.messages):
        lines = _lines(message)
        page, reference = lines.get("page"), lines.get("reference")
        if page and reference and _concerns(lines, vendor, instance) and _reaches(message, contact):
            return HandoffMail(message.to, reference, page, _with_attachments(lines, message))
    return None


def code_for(mailbox: Mailbox, vendor: str, instance: str, reference: str) -> str | None:
    """The code of a hand-off, in whoever's mail it is: passed on by telephone where that is someone else."""
    for message in reversed(mailbox.messages):
        lines = _lines(message)
        if _concerns(lines, vendor, instance) and lines.get("reference") == reference and "code" in lines:
            return lines["code"]
    return None


def _lines(message: Message) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in LINE.finditer(message.text.replace("\r\n", "\n")):
        found.setdefault(line["label"].strip().casefold(), line["value"])
    return found


def _concerns(lines: Mapping[str, str], vendor: str, instance: str) -> bool:
    return lines.get("vendor", "").casefold() == vendor.casefold() and lines.get("instance") == instance


def _reaches(message: Message, contact: str | None) -> bool:
    if contact is None:
        return any(_domain(address) == _domain(message.sender) for address in message.to)
    return any(address.casefold() == contact.casefold() for address in message.to)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].casefold()


def _with_attachments(lines: Mapping[str, str], message: Message) -> dict[str, str]:
    return dict(_resolved(lines, message))


def _resolved(lines: Mapping[str, str], message: Message) -> Iterator[tuple[str, str]]:
    for label, value in lines.items():
        mention = ATTACHED.search(value)
        file = next((file for file in message.attachments if mention and file.name == mention["name"]), None)
        content = base64.b64decode(file.content_base64).decode("utf-8", "replace") if file else value
        yield label, content
