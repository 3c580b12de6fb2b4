"""What a proved delivery says: CloudEvents 1.0 over HTTP, structured or a batch.

Source: github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md.
"""

import json
from datetime import datetime
from typing import Any

from sso.errors import Reason, Refused
from sso.hr import Event, parse_event
from sso.webhooks import Delivery

EVENTS = 50  # in one batch
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"

Said = Event | Refused  # one event of a batch, or why it is none


def read_events(delivery: Delivery, now: datetime) -> list[Said]:
    """The CloudEvents of a delivery, structured or a batch; raises `Refused` where it is neither (415, 400).

    A broken event of a batch spoils no other: it stands in the list as its refusal.
    """
    media = delivery.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in {STRUCTURED, BATCH}:
        binary = any(name.startswith("ce-") for name in delivery.headers)
        what = "CloudEvents in binary mode are not taken" if binary else f"'{media[:60]}' is not taken"
        raise Refused(Reason("content-type", f"{what}; send {STRUCTURED} or {BATCH}."), status=415)
    body = json_of(delivery.body)
    if media == STRUCTURED:
        return [parse_event(body, now)]
    if not isinstance(body, list) or not 0 < len(body) <= EVENTS:
        raise Refused(Reason("", f"A batch must be a JSON array of 1 to {EVENTS} events."))
    read = [_said(entry, now, f"[{place}].") for place, entry in enumerate(body)]
    broken = [one for one in read if isinstance(one, Refused)]
    if len(broken) == len(read):
        raise Refused(*(reason for one in broken for reason in one.reasons))
    return read


def _said(entry: object, now: datetime, where: str) -> Said:
    try:
        return parse_event(entry, now, where)
    except Refused as refused:
        return refused


def json_of(body: bytes) -> Any:
    """The JSON of a body; raises `Refused` (400)."""
    try:
        read = json.loads(body)
        # A lone surrogate (RFC 8259 section 8.2) parses and can be neither stored nor answered.
        json.dumps(read, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refused(Reason("", "The body is not JSON in UTF-8.")) from None
    return read
