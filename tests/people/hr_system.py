"""An HR system: it knows a key, signs what it sends by Standard Webhooks or as BambooHR does, and says facts."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from azure.keyvault.secrets.aio import SecretClient

from clients.tenant import Tenant
from sso.webhooks import Delivery

KEY = b"a key of thirty-two random bytes"
BAMBOO_KEY = "5f2c-bamboohr-private-key"
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


def encoded(key: bytes = KEY) -> str:
    """A key as Standard Webhooks writes it."""
    return f"whsec_{base64.b64encode(key).decode()}"


async def keep_keys(tenant: Tenant, name: str = "gatehouse-webhook-hr-events", value: str | None = None) -> None:
    """Write a key into the vault, as an operator does."""
    async with SecretClient(tenant.settings.vault_url, tenant.credential) as vault:
        await vault.set_secret(name, value or encoded())


def event(kind: str, time: datetime, subject: str = "b.simon@contoso.com", **changes: Any) -> dict[str, Any]:
    """A CloudEvent; `effective` and attributes go into its data, everything else beside it."""
    data: dict[str, Any] = {"attributes": changes.pop("attributes", {})}
    if "effective" in changes:
        data["effective"] = changes.pop("effective").isoformat()
    return {
        "specversion": "1.0",
        "id": f"{kind}-{time.isoformat()}",
        "source": "https://hr.contoso.com",
        "type": f"gatehouse.person.{kind}",
        "subject": subject,
        "time": time.isoformat(),
        "datacontenttype": "application/json",
        "data": data,
        **changes,
    }


def sign(body: bytes, name: str, now: datetime, keys: Sequence[bytes] = (KEY,)) -> dict[str, str]:
    """The three headers of Standard Webhooks."""
    stamp = str(int(now.timestamp()))
    macs = [hmac.digest(key, f"{name}.{stamp}.".encode() + body, hashlib.sha256) for key in keys]
    signatures = " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)
    return {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": signatures}


def delivery(said: Any, now: datetime, name: str = "msg_1", **headers: str) -> Delivery:
    """What is said, as bytes on the wire, signed."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    media = BATCH if isinstance(said, list) else STRUCTURED
    return Delivery({"content-type": media, **sign(body, name, now), **headers}, body)


def bamboohr(employees: Sequence[Mapping[str, Any]], now: datetime, key: str = BAMBOO_KEY) -> Delivery:
    """BambooHR's field-based webhook."""
    body, stamp = json.dumps({"employees": list(employees)}).encode(), str(int(now.timestamp()))
    signature = hmac.new(key.encode(), body + stamp.encode(), hashlib.sha256).hexdigest()
    return Delivery({"x-bamboohr-signature": signature, "x-bamboohr-timestamp": stamp}, body)
