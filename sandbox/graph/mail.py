"""sendMail in both of its forms, JSON and base64 MIME: 202 and a message in the mailbox (graph-contract section 12)."""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import timedelta
from email import message_from_bytes
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses
from typing import Any

from sandbox.graph.errors import GraphError
from sandbox.graph.schemas import check_properties
from sandbox.graph.wire import GraphAnswer, GraphRequest, Handler
from sandbox.mailbox import Attachment, Message

OPERATION = "users.user.sendMail"
MINUTE = timedelta(minutes=1)
LARGEST_REQUEST = 4 * 1024 * 1024


async def send_mail(request: GraphRequest) -> GraphAnswer:
    """Deliver a mail from a mailbox of this tenant; sending it twice delivers it twice."""
    sender = _sender(request)
    if len(request.raw_body) > LARGEST_REQUEST:
        raise GraphError(413, "ErrorMessageSizeExceeded", "The request exceeds the maximum size of 4 MB.")
    if request.headers.get("content-type", "").startswith("text/plain"):
        message = _from_mime(request, sender)
    else:
        message = _from_json(request, sender)
    if not (*message.to, *message.cc):
        raise GraphError(400, "ErrorInvalidRecipients", "At least one recipient is not valid.")
    await _send(request, sender, message)
    return GraphAnswer(202, request_summary={"subject": message.subject, "to": list(message.to)})


def refused_mail() -> GraphError:
    """Return the refusal of a sender that neither Entra nor Exchange has granted."""
    return GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def is_in_exchange_scope(request: GraphRequest) -> bool:
    """Tell whether Exchange's RBAC for Applications lets the caller send as this mailbox (graph-contract 12)."""
    scope = request.tenant.switches.exchange_mail_scope.casefold()
    return bool(scope) and _sender(request).casefold() == scope


async def _send(request: GraphRequest, sender: str, message: Message) -> None:
    """Take a mail, if the mailbox is not busy with others, and let it arrive when its turn has come."""
    tenant = request.tenant
    switches, limits, draws = tenant.switches, tenant.unkind.limits, tenant.unkind.draws
    if switches.mail_connections and limits.sending[sender] >= switches.mail_connections:
        raise GraphError(
            429,
            "ApplicationThrottled",
            "Application is over its MailboxConcurrency limit.",
            headers={"Retry-After": "2"},
        )
    limits.sending[sender] += 1
    try:
        if switches.mail_connections:
            await tenant.gate.wait(switches.latency_seconds)
    finally:
        limits.sending[sender] -= 1
    now = tenant.clock.now()
    turns = [turn for turn in limits.mails.get(sender, []) if turn > now - MINUTE]
    limits.mails[sender] = turns
    turn = now
    if switches.mails_per_minute and len(turns) >= switches.mails_per_minute:
        turn = max(now, turns[-switches.mails_per_minute] + MINUTE)
    turns.append(turn)
    delay = draws.between(0, switches.mail_delay_seconds, "mail", request.key)
    tenant.mailbox.deliver(message, turn + timedelta(seconds=delay))


def _sender(request: GraphRequest) -> str:
    wanted = request.parameters["user-id"]
    found = request.store.find("users", wanted.lower()) or request.store.find_by("users", "userPrincipalName", wanted)
    if found is None or not found["mail"]:
        raise GraphError(404, "ErrorInvalidUser", f"The requested user '{wanted}' is invalid.")
    return str(found["mail"])


def _from_json(request: GraphRequest, sender: str) -> Message:
    body = request.json_object()
    sent = body.get("message")
    if not isinstance(sent, dict):
        raise GraphError(400, "ErrorInvalidParameter", "The 'message' parameter is missing.")
    check_properties("message", sent)
    headers = {str(each.get("name")): str(each.get("value")) for each in sent.get("internetMessageHeaders") or ()}
    if refused := [name for name in headers if not name.lower().startswith("x-")]:
        raise GraphError(
            400, "InvalidInternetMessageHeader", f"The header '{refused[0]}' must begin with 'x-' or 'X-'."
        )
    content = sent.get("body") or {}
    is_html = str(content.get("contentType", "text")).lower() == "html"
    text = content.get("content") or ""
    return Message(
        at=request.tenant.clock.now(),
        sender=sender,
        to=_addresses(sent.get("toRecipients")),
        cc=_addresses(sent.get("ccRecipients")),
        reply_to=_addresses(sent.get("replyTo")),
        subject=sent.get("subject") or "",
        text="" if is_html else text,
        html=text if is_html else "",
        attachments=tuple(
            Attachment(
                str(file.get("name")),
                str(file.get("contentType") or "application/octet-stream"),
                str(file.get("contentBytes") or ""),
            )
            for file in sent.get("attachments") or ()
        ),
        headers=headers,
    )


def _addresses(recipients: list[dict[str, Any]] | None) -> tuple[str, ...]:
    found = tuple(str((each.get("emailAddress") or {}).get("address") or "") for each in recipients or ())
    return _checked(found)


def _checked(addresses: Iterable[str]) -> tuple[str, ...]:
    found = tuple(addresses)
    for address in found:
        local, _, domain = address.rpartition("@")
        if not local or "." not in domain or any(letter.isspace() for letter in address):
            raise GraphError(400, "ErrorInvalidRecipients", "At least one recipient is not valid.")
    return found


def _from_mime(request: GraphRequest, sender: str) -> Message:
    try:
        content = b64decode(b"".join(request.raw_body.split()), validate=True)
    except binascii.Error as problem:
        raise GraphError(400, "ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content.") from (
            problem
        )
    try:
        return _read_mime(request, sender, message_from_bytes(content, policy=default))
    except (MessageError, LookupError, UnicodeError) as problem:
        raise GraphError(400, "ErrorMimeContentInvalid", "The MIME content cannot be read.") from problem


def _read_mime(request: GraphRequest, sender: str, mail: EmailMessage) -> Message:
    return Message(
        at=request.tenant.clock.now(),
        sender=sender,
        to=_header_addresses(mail, "to"),
        cc=_header_addresses(mail, "cc"),
        reply_to=_header_addresses(mail, "reply-to"),
        subject=str(mail["subject"] or ""),
        text=_body(mail, "plain"),
        html=_body(mail, "html"),
        attachments=tuple(
            Attachment(
                part.get_filename() or "",
                part.get_content_type(),
                b64encode(_content(part)).decode(),
            )
            for part in mail.iter_attachments()
        ),
        headers={name: str(value) for name, value in mail.items()},
    )


def _header_addresses(mail: EmailMessage, name: str) -> tuple[str, ...]:
    values = [str(value) for value in mail.get_all(name, [])]
    return _checked(address for _, address in getaddresses(values))


def _body(mail: EmailMessage, subtype: str) -> str:
    part = mail.get_body(preferencelist=(subtype,))
    return "" if part is None else str(part.get_content()).replace("\r\n", "\n")


def _content(part: Any) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


HANDLERS: dict[str, Handler] = {OPERATION: send_mail}
