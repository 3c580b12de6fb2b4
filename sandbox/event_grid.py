"""Event Grid between vault and host: subscribes with the schema's handshake, then delivers at least once.

Every function of the host that has an Event Grid trigger is subscribed. What the host does not take is delivered again
at Event Grid's intervals, in the sandbox's time (graph-contract section 18).
"""

import asyncio
import contextlib
import json
import ssl
from datetime import timedelta
from typing import Any
from uuid import uuid4

import aiohttp

from sandbox.tenant import SandboxTenant
from sandbox.unkind.switches import EventSchema
from sandbox.vault_events import TOPIC, VaultEvent

_PAUSE = 0.2  # wall seconds between two looks at the vault
_AT_ONCE = 8
_ANSWER_WITHIN = aiohttp.ClientTimeout(30)  # what Event Grid gives an endpoint
_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
RETRIES = (
    *(10 * _SECOND, 30 * _SECOND, _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 30 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR),
    12 * _HOUR,
)
MOST_ATTEMPTS = 30
LONGEST = timedelta(hours=24)
ORIGIN = "eventgrid.azure.net"


class _NotTakenError(Exception):
    """The host did not take a subscription or a delivery."""


_FAILURES = (_NotTakenError, aiohttp.ClientError, TimeoutError, ValueError, LookupError)


class EventGrid:
    """Delivers what the vault of one tenant raises to one host."""

    def __init__(self, tenant: SandboxTenant, host: str) -> None:
        self._tenant = tenant
        self._host = host
        self._subscribed: dict[EventSchema, list[str]] = {}

    async def run(self, tls: ssl.SSLContext) -> None:
        """Deliver until cancelled."""
        connector = aiohttp.TCPConnector(ssl=tls)
        async with aiohttp.ClientSession(connector=connector, timeout=_ANSWER_WITHIN) as session:
            while True:
                await self.deliver(session)
                await asyncio.sleep(_PAUSE)

    async def deliver(self, session: aiohttp.ClientSession) -> None:
        """Deliver once whatever is due now."""
        events = self._tenant.vault_events
        events.look()
        now, schema = self._tenant.clock.now(), self._tenant.switches.vault_events
        due = [event for event in events.raised if not event.settled and event.due <= now]
        if schema == "none":
            for event in due:  # without a subscription an event is lost
                event.settled = True
            return
        if not due:
            return
        try:
            hooks = await self._hooks(session, schema)
        except _FAILURES:
            for event in due:
                self._put_off(event)
            return
        for start in range(0, len(due), _AT_ONCE):
            await asyncio.gather(*(self._try(session, hooks, schema, event) for event in due[start : start + _AT_ONCE]))

    async def _try(
        self, session: aiohttp.ClientSession, hooks: list[str], schema: EventSchema, event: VaultEvent
    ) -> None:
        try:
            for hook in hooks:
                await self._post(session, hook, schema, event)
        except _FAILURES:
            self._subscribed.pop(schema, None)  # another host may answer there now
            self._put_off(event)
            return
        event.attempts += 1
        event.delivered = self._tenant.clock.now()
        share = self._tenant.switches.event_repeat_share
        again = not event.repeated and self._tenant.unkind.draws.hits(share, "event", event.kind, event.name)
        event.settled, event.repeated = not again, again
        event.due = event.delivered + RETRIES[0]

    def _put_off(self, event: VaultEvent) -> None:
        """Try again at the next interval, or no more."""
        event.attempts += 1
        event.due = self._tenant.clock.now() + RETRIES[min(event.attempts, len(RETRIES)) - 1]
        event.settled = event.attempts >= MOST_ATTEMPTS or event.due - event.raised > LONGEST

    async def _hooks(self, session: aiohttp.ClientSession, schema: EventSchema) -> list[str]:
        """The addresses that are subscribed; subscribes with the handshake where none is."""
        if schema not in self._subscribed:
            async with session.get(f"{self._host}/admin/functions") as answer:
                functions = await answer.json()
            names = [
                function["name"]
                for function in functions
                if any(binding["type"] == "eventGridTrigger" for binding in function["bindings"])
            ]
            hooks = [f"{self._host}/runtime/webhooks/EventGrid?functionName={name}" for name in names]
            for hook in hooks:
                await (_shake_cloud_events(session, hook) if schema == "cloud_events" else _shake(session, hook))
            self._subscribed[schema] = hooks
        return self._subscribed[schema]

    async def _post(self, session: aiohttp.ClientSession, hook: str, schema: EventSchema, event: VaultEvent) -> None:
        vault = self._tenant.urls.vault
        body: Any = (
            event.in_cloud_events_schema(vault) if schema == "cloud_events" else [event.in_event_grid_schema(vault)]
        )
        kind = "application/cloudevents+json" if schema == "cloud_events" else "application/json"
        headers = {
            "aeg-event-type": "Notification",
            "aeg-delivery-count": str(event.attempts),
            "Content-Type": f"{kind}; charset=utf-8",
        }
        async with session.post(hook, data=json.dumps(body).encode(), headers=headers) as answer:
            if answer.status >= 300:
                raise _NotTakenError


async def _shake(session: aiohttp.ClientSession, hook: str) -> None:
    """Event Grid's own handshake: a validation event whose code the endpoint must tell."""
    code = str(uuid4())
    event = {
        "id": str(uuid4()),
        "topic": TOPIC,
        "subject": "",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": code, "validationUrl": "https://127.0.0.1/not-served"},
        "dataVersion": "2",
        "metadataVersion": "1",
    }
    async with session.post(hook, json=[event], headers={"aeg-event-type": "SubscriptionValidation"}) as answer:
        told = None
        with contextlib.suppress(ValueError, LookupError, aiohttp.ContentTypeError):
            told = (await answer.json())["validationResponse"]
        if answer.status != 200 or told != code:
            raise _NotTakenError


async def _shake_cloud_events(session: aiohttp.ClientSession, hook: str) -> None:
    """The handshake of CloudEvents: the endpoint must name our origin, or any, as one that may deliver."""
    async with session.options(hook, headers={"WebHook-Request-Origin": ORIGIN}) as answer:
        if answer.status != 200 or answer.headers.get("WebHook-Allowed-Origin") not in {ORIGIN, "*"}:
            raise _NotTakenError
