"""An HR system: it knows a key, signs what it sends by Standard Webhooks or as BambooHR does, and says facts."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from azure.keyvault.secrets.aio import SecretClient

from clients.tenant import Tenant
from sandbox.hr_system import encoded, sign
from sso.webhooks import Delivery

KEY = b"a key of thirty-two random bytes"
BAMBOO_KEY = "5f2c-bamboohr-private-key"
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


async def keep_keys(tenant: Tenant, name: str = "gatehouse-webhook-hr-events", value: str | None = None) -> None:
    """Write a key into the vault, as an operator does."""
    async with SecretClient(tenant.settings.vault_url, tenant.credential) as vault:
        await vault.set_secret(name, value or encoded(KEY))


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


def delivery(said: Any, now: datetime, name: str = "msg_1", **headers: str) -> Delivery:
    """What is said, as bytes on the wire, signed."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    media = BATCH if isinstance(said, list) else STRUCTURED
    return Delivery({"content-type": media, **sign(body, name, now, [KEY]), **headers}, body)


def bamboohr(employees: Sequence[Mapping[str, Any]], now: datetime, key: str = BAMBOO_KEY) -> Delivery:
    """BambooHR's field-based webhook."""
    body, stamp = json.dumps({"employees": list(employees)}).encode(), str(int(now.timestamp()))
    signature = hmac.new(key.encode(), body + stamp.encode(), hashlib.sha256).hexdigest()
    return Delivery({"x-bamboohr-signature": signature, "x-bamboohr-timestamp": stamp}, body)
