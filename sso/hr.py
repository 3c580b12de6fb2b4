"""HR facts: what was said about somebody, and which of it counts at a given moment.

Events come late, twice, out of order and for a day to come. Of all that was said, the fact with the newest `time`
counts, in force from its `effective`; until then the newest of those that are in force already does. So the order in
which events arrive changes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast, get_args

from pydantic import TypeAdapter

from sso.entitlements import AttributeName, attributes_of
from sso.errors import Reason, Refused
from vendors.fields import unprintable

FactKind = Literal["joiner", "mover", "leaver", "rehire"]
KINDS: tuple[FactKind, ...] = get_args(FactKind)
TYPE_PREFIX = "gatehouse.person."
CLOCKS_APART = timedelta(minutes=5)  # how far ahead of ours the clock of an HR system may be
FARTHEST = timedelta(days=3660)  # from now, of anything that an HR system plans or remembers
TEXT = 256  # characters, the longest principal name
ID_LENGTH = 200


@dataclass(frozen=True)
class Fact:
    """One thing that was said about a person: what, since when it is known, from when it holds."""

    kind: FactKind
    subject: str
    time: datetime  # when it was recorded
    effective: datetime
    attributes: Mapping[AttributeName, str] = field(default_factory=dict)

    @property
    def order(self) -> tuple[datetime, bool, datetime, str, str]:
        """What makes one fact newer than another; of two recorded in the same moment a leaver is the newer one."""
        said = json.dumps(dict(self.attributes), sort_keys=True)
        return self.time, self.kind == "leaver", self.effective, self.kind, said


@dataclass(frozen=True)
class Timeline:
    """The facts about one person that can still matter, newest first."""

    facts: tuple[Fact, ...] = ()

    def record(self, fact: Fact) -> "Timeline":
        """With one more fact; those that a newer one leaves no moment are dropped, so that the row stays small."""
        kept: list[Fact] = []
        known = {one.order: one for one in (*self.facts, fact)}
        for _, one in sorted(known.items(), reverse=True):
            if not kept or one.effective < kept[-1].effective:
                kept.append(one)
        return Timeline(tuple(kept))

    def at(self, now: datetime) -> Fact | None:
        """The fact that is in force; None before the first."""
        return next((fact for fact in self.facts if fact.effective <= now), None)

    def is_here(self, now: datetime) -> bool:
        """Whether somebody works here: neither has left, nor is to join on a day to come; who is unknown does."""
        current = self.at(now) or min(self.facts, key=lambda fact: fact.effective, default=None)
        if current is None or current.effective <= now:
            return current is None or current.kind != "leaver"
        return current.kind not in {"joiner", "rehire"}

    def next_change(self, now: datetime) -> datetime | None:
        """When another fact comes into force."""
        return min((fact.effective for fact in self.facts if fact.effective > now), default=None)

    def standing(self, fact: Fact, now: datetime) -> Literal["superseded", "planned", "in force"]:
        """Whether a fact counts, will count, or counts no more."""
        if fact.order not in {one.order for one in self.facts}:
            return "superseded"
        if fact.effective > now:
            return "planned"
        current = self.at(now)
        return "in force" if current and current.order == fact.order else "superseded"


_FACT = TypeAdapter(Fact)


def fact_to_json(fact: Fact) -> dict[str, Any]:
    """A fact as an operation's row keeps it."""
    return dict(_FACT.dump_python(fact, mode="json"))


def fact_from_json(kept: Mapping[str, Any]) -> Fact:
    """Read a fact back."""
    return _FACT.validate_python(kept)


@dataclass(frozen=True)
class Event:
    """A CloudEvent that says a fact; `source` and `id` name it, whoever delivers it."""

    source: str
    id: str
    fact: Fact


def parse_event(body: object, now: datetime, where: str = "") -> Event:
    """Read one CloudEvent 1.0 in structured form; raises `Refused` with every reason, each field below `where`."""
    if not isinstance(body, dict):
        raise Refused(Reason(where.rstrip("."), "An event must be a JSON object: a CloudEvent 1.0."))
    reader = _Reader(body, where)
    if body.get("specversion") != "1.0":
        reader.refuse("specversion", "'specversion' must be \"1.0\": events are CloudEvents 1.0.")
    source, event_id = reader.text("source", TEXT), reader.text("id", ID_LENGTH)
    kind = str(body.get("type")).removeprefix(TYPE_PREFIX)
    if body.get("type") != f"{TYPE_PREFIX}{kind}" or kind not in KINDS:
        reader.refuse("type", f"'type' must be one of {', '.join(TYPE_PREFIX + one for one in KINDS)}.")
    media = body.get("datacontenttype", "application/json")
    if not isinstance(media, str) or media.partition(";")[0].strip().lower() != "application/json":
        reader.refuse("datacontenttype", "'datacontenttype' must be application/json.")
    subject = reader.text("subject", TEXT)
    time = reader.moment(body, "time", now)
    data = body.get("data", {})
    attributes: dict[AttributeName, str] = {}
    effective = time
    if not isinstance(data, dict):
        reader.refuse("data", "'data' must be an object with attributes and effective.")
    else:
        given = data.get("attributes", {})
        if isinstance(given, dict):
            attributes, reasons = attributes_of(given)
            reader.reasons += [Reason(where + reason.field, reason.detail) for reason in reasons]
        else:
            reader.refuse("data.attributes", "'data.attributes' must be an object of texts.")
        if data.get("effective") is not None:
            effective = reader.moment(data, "effective", now, "data.")
    if time and time > now + CLOCKS_APART:
        reader.refuse("time", "'time' says when the fact was recorded and lies ahead; what comes is in data.effective.")
    if reader.reasons or source is None or event_id is None or subject is None or time is None or effective is None:
        raise Refused(*reader.reasons)
    return Event(source, event_id, Fact(cast("FactKind", kind), subject, time, effective, attributes))


class _Reader:
    """Collects reasons while an event is read."""

    def __init__(self, body: Mapping[str, Any], where: str) -> None:
        self._body = body
        self._where = where
        self.reasons: list[Reason] = []

    def refuse(self, field_name: str, detail: str) -> None:
        self.reasons.append(Reason(self._where + field_name, detail))

    def text(self, name: str, longest: int) -> str | None:
        value = self._body.get(name)
        if isinstance(value, str) and 0 < len(value) <= longest and value.strip() == value and not unprintable(value):
            return value
        self.refuse(name, f"'{name}' must be one line of 1 to {longest} printable characters.")
        return None

    def moment(self, source: Mapping[str, Any], name: str, now: datetime, prefix: str = "") -> datetime | None:
        found = _instant(source.get(name))
        if found is None:
            detail = (
                f"'{prefix}{name}' must be a date and time with its offset (RFC 3339), such as 2026-07-01T08:00:00Z."
            )
            self.refuse(prefix + name, detail)
            return None
        if abs(found - now) > FARTHEST:
            self.refuse(prefix + name, f"'{prefix}{name}' is more than ten years away; correct the date.")
            return None
        return found


def _instant(text: object) -> datetime | None:
    """Read a date and time with its offset; None where it is none."""
    if not isinstance(text, str) or len(text) > 40 or "T" not in text.upper():
        return None
    try:
        found = datetime.fromisoformat(text.upper())
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None
