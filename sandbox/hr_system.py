"""An HR system beside the tenant: its key lies in the vault, and it signs what it says (Standard Webhooks).

github.com/standard-webhooks/standard-webhooks
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.demo_wire import Wire

KEY_NAME = "gatehouse-webhook-hr-events"


class HrSystem:
    """Whoever tells the app of people."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._key = secrets.token_bytes(32)

    async def keep_key(self) -> None:
        """Put the key into the vault, as an operator does."""
        environment, state = self._wire.state.env, self._wire.state
        # A vault's audience is its domain without the vault's own name (graph-contract 17).
        audience = f"https://{state.vault.partition('.')[2]}"
        token = await self._wire.call(
            "GET",
            environment["IDENTITY_ENDPOINT"],
            params={"api-version": "2019-08-01", "resource": audience},
            headers={"X-IDENTITY-HEADER": environment["IDENTITY_HEADER"]},
        )
        await self._wire.call(
            "PUT",
            f"{state.vault}/secrets/{KEY_NAME}?api-version=7.4",
            json={"value": encoded(self._key)},
            headers={"Authorization": f"Bearer {token['access_token']}"},
        )

    async def say(self, kind: str, people: Sequence[str], attributes: Mapping[str, str] | None = None) -> list[Any]:
        """Tell the same of one person, or of several in a batch, by one signed delivery; returns the operations."""
        now = datetime.now(UTC)
        events = [_event(kind, person, attributes or {}, now) for person in people]
        body = json.dumps(events if len(events) > 1 else events[0]).encode()
        media = f"application/cloudevents{'-batch' if len(events) > 1 else ''}+json"
        headers = {"Content-Type": media, **sign(body, f"msg_{secrets.token_hex(8)}", now, [self._key])}
        url = f"{self._wire.state.host}/api/hr-events"
        return list((await self._wire.call("POST", url, data=body, headers=headers))["items"])


def encoded(key: bytes) -> str:
    """A key as Standard Webhooks writes it."""
    return f"whsec_{base64.b64encode(key).decode()}"


def sign(body: bytes, name: str, now: datetime, keys: Sequence[bytes]) -> dict[str, str]:
    """The three headers of Standard Webhooks, with a signature by each key."""
    stamp = str(int(now.timestamp()))
    macs = [hmac.digest(key, f"{name}.{stamp}.".encode() + body, hashlib.sha256) for key in keys]
    signatures = " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)
    return {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": signatures}


def _event(kind: str, person: str, attributes: Mapping[str, str], now: datetime) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": secrets.token_hex(8),
        "source": "https://hr.contoso.com",
        "type": f"gatehouse.person.{kind}",
        "subject": person,
        "time": now.isoformat(),
        "datacontenttype": "application/json",
        "data": {"attributes": dict(attributes)},
    }
