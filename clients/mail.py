"""Send mails: our own value becomes MIME, and a function that was handed in posts it."""

import base64
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from sso.letters import Mail

_log = logging.getLogger(__name__)

# Folding a subject of 78 characters or more right behind its name gives it a space in front; up to 998 are allowed
# (RFC 5322 section 2.1.1). One that needs encoded words is folded between those, as RFC 2047 section 2 asks.
_UNFOLDED = SMTP.clone(max_line_length=998)


@dataclass(frozen=True)
class Ready:
    """A mail that only has to be posted."""

    reference: str
    content: bytes = field(repr=False)  # base64 of MIME; a plain hand-off holds a secret


class Mailer:
    """Sends mails from one mailbox; `post` takes the base64 of a MIME message (graph-contract section 12)."""

    def __init__(self, sender: str, post: Callable[[bytes], Awaitable[None]]) -> None:
        """Keep who sends and how."""
        self._sender = sender
        self._post = post

    def ready(self, mail: Mail) -> Ready:
        """A mail as it will travel."""
        return Ready(mail.reference, base64.b64encode(mime(mail, self._sender)))

    async def post(self, ready: Ready) -> None:
        """Post one mail; 202 means taken, not delivered, and a repeat after a cut answer sends it twice."""
        await self._post(ready.content)
        _log.info("Sent the mail with reference %s.", ready.reference)


def mime(mail: Mail, sender: str) -> bytes:
    """A mail as MIME: text and HTML as alternatives, attachments beside them.

    Subject and addresses are the only headers that hold anything from outside, and the header registry encodes them.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(addr_spec=sender)
    message["To"] = tuple(Address(addr_spec=address) for address in mail.to)
    if mail.cc:
        message["Cc"] = tuple(Address(addr_spec=address) for address in mail.cc)
    if mail.reply_to:
        message["Reply-To"] = tuple(Address(addr_spec=address) for address in mail.reply_to)
    message["Subject"] = mail.subject
    message["X-Gatehouse-Reference"] = mail.reference
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers to a mailbox nobody reads
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    for attachment in mail.attachments:
        maintype, _, subtype = attachment.content_type.partition("/")
        message.add_attachment(
            attachment.content,
            maintype=maintype,
            subtype=subtype,
            filename=attachment.name,
            params=dict(attachment.parameters),
        )
    return message.as_bytes(policy=_UNFOLDED if mail.subject.isascii() else SMTP)
