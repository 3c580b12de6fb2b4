"""Webhooks: whether a delivery comes from whom it says, decided over the bytes that were received.

Standard Webhooks (github.com/standard-webhooks/standard-webhooks) signs `id.timestamp.body`; BambooHR signs the body
followed by its timestamp (documentation.bamboohr.com/docs/webhooks). Both are HMAC-SHA256, and two keys are taken, the
newest and the one before it, so that a key can be changed without losing an event.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NoReturn

from sso.errors import Reason, Refused, TenantError
from vendors.fields import unprintable

Sender = Literal["hr-events", "bamboohr"]
TOLERANCE = timedelta(minutes=5)  # between the sender's clock and ours, either way
PREFIX = "whsec_"  # of a key, by the specification; base64 follows
SHORTEST_KEY = 24  # bytes, by the specification
ID_LENGTH = 200


class WebhookKey:
    """A key that signs webhooks: it prints as nothing, opens nowhere, and only says what a message's signature is."""

    __slots__ = ("__key",)

    def __init__(self, key: bytes) -> None:
        """Close over the key."""
        self.__key = key

    @classmethod
    def of(cls, sender: Sender, value: str) -> "WebhookKey":
        """Read a key as its sender's vault secret holds it; raises `TenantError` where it cannot be one."""
        if sender == "bamboohr":
            return cls(value.strip().encode())
        try:
            key = base64.b64decode(value.strip().removeprefix(PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if len(key) < SHORTEST_KEY:
            msg = (
                f"The vault secret {secret_name(sender)} is no webhook key: expected '{PREFIX}' and the base64 of at"
                f" least {SHORTEST_KEY} random bytes. Write a new version, and give it to the HR system."
            )
            raise TenantError(msg)
        return cls(key)

    def mac(self, message: bytes) -> bytes:
        """The HMAC-SHA256 of a message."""
        return hmac.digest(self.__key, message, hashlib.sha256)

    def __repr__(self) -> str:
        """Never the key."""
        return "<webhook key>"

    def __reduce__(self) -> NoReturn:
        """Keys are not pickled or copied."""
        msg = "a webhook key does not serialise"
        raise TypeError(msg)


def secret_name(sender: Sender) -> str:
    """The vault secret that holds a sender's key."""
    return f"gatehouse-webhook-{sender}"


@dataclass(frozen=True)
class Delivery:
    """One request as it came: header names in small letters, and the bytes that were signed."""

    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """A header; raises `Refused` (401) without it."""
        value = self.headers.get(name, "")
        if value and len(value) <= 4096:
            return value
        raise _unproved(name, f"The header '{name}' is missing. Sign the request as the README says.")


def verify_standard(delivery: Delivery, keys: Sequence[WebhookKey], now: datetime) -> str:
    """The id of a delivery that is signed with one of the keys and new enough; raises `Refused` (401)."""
    name, stamp = delivery.header("webhook-id"), delivery.header("webhook-timestamp")
    if len(name) > ID_LENGTH or unprintable(name) or not name.isascii():
        raise _unproved("webhook-id", f"The header 'webhook-id' must be up to {ID_LENGTH} printable ASCII characters.")
    message = b".".join((name.encode(), stamp.encode("latin-1", "replace"), delivery.body))
    signatures = [
        _decoded(entry.removeprefix("v1,"))
        for entry in delivery.header("webhook-signature").split()
        if entry.startswith("v1,")
    ]
    _compare(message, signatures, keys, "webhook-signature")
    _check_age("webhook-timestamp", stamp, now)
    return name


def verify_bamboohr(delivery: Delivery, keys: Sequence[WebhookKey], now: datetime) -> str:
    """The name of a delivery of BambooHR, which gives none itself: the hash of its body; raises `Refused` (401)."""
    signature, stamp = delivery.header("x-bamboohr-signature"), delivery.header("x-bamboohr-timestamp")
    try:
        given = bytes.fromhex(signature)
    except ValueError:
        given = b""
    _compare(delivery.body + stamp.encode("latin-1", "replace"), [given], keys, "x-bamboohr-signature")
    _check_age("x-bamboohr-timestamp", stamp, now)
    return hashlib.sha256(delivery.body).hexdigest()


def _compare(message: bytes, signatures: Iterable[bytes], keys: Sequence[WebhookKey], header: str) -> None:
    """Compare every signature with every key's, all in constant time; raises `Refused` (401) where none is right."""
    known = [key.mac(message) for key in keys]
    right = [hmac.compare_digest(mac, signature) for mac in known for signature in signatures]
    if not any(right):
        detail = "The signature is not right for these bytes and our key. Compare the key with the vault's."
        raise _unproved(header, detail)


def _check_age(header: str, stamp: str, now: datetime) -> None:
    """Raise `Refused` (401) for a timestamp that is no moment, or one too far from ours."""
    try:
        moment = datetime.fromtimestamp(int(stamp), UTC) if stamp.isdecimal() else datetime.fromisoformat(stamp)
        age = abs(now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC)))
    except (ValueError, OverflowError, OSError):
        raise _unproved(header, f"The header '{header}' is no moment in time.") from None
    if age > TOLERANCE:
        detail = (
            f"The delivery is {age.total_seconds():.0f} s away from our clock; at most 300 are taken. Send it anew."
        )
        raise _unproved(header, detail)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _unproved(header: str, detail: str) -> Refused:
    return Refused(Reason(header, detail), status=401)
