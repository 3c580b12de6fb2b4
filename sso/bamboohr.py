"""BambooHR's own webhook, read as HR events (documentation.bamboohr.com/docs/field-based-webhooks).

Only "Updated" carries fields; "Created" and "Deleted" tell a number and no more, so a joiner is seen in the update that
follows a creation, and a deletion cannot say whose access must end: people are set to Inactive first.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sso.cloudevents import EVENTS, Said, json_of
from sso.errors import Reason, Refused
from sso.hr import FactKind, parse_event
from sso.webhooks import Delivery

SOURCE = "bamboohr"
# Attribute by the field that the webhook must post, names without spaces and in small letters.
FIELDS: Mapping[str, str] = {
    "department": "department",
    "jobtitle": "jobTitle",
    "employmentstatus": "employeeType",
    "country": "country",
    "location": "location",
}


def read_bamboohr(delivery: Delivery, now: datetime) -> list[Said]:
    """The events of a delivery; raises `Refused` (400) where it is no field-based webhook of BambooHR."""
    body = json_of(delivery.body)
    employees = body.get("employees") if isinstance(body, dict) else None
    if not isinstance(employees, list) or not 0 < len(employees) <= EVENTS:
        detail = f"The body must be a field-based webhook in JSON with 1 to {EVENTS} employees; see docs/people.md."
        raise Refused(Reason("employees", detail))
    read = [_said(entry, now, f"employees[{place}].") for place, entry in enumerate(employees)]
    return [one for one in read if one is not None]


def _said(entry: object, now: datetime, where: str) -> Said | None:
    """One employee's change; None for a creation, whose fields come with the update that follows it."""
    if not isinstance(entry, dict) or not isinstance(entry.get("fields", {}), dict):
        return Refused(Reason(where.rstrip("."), "An employee must be an object with its fields."))
    fields = {_plain(name): _value(value) for name, value in entry.get("fields", {}).items()}
    if entry.get("action") == "Created" and not fields:
        return None
    subject = fields.get("workemail")
    if not subject:
        detail = (
            f"BambooHR reports '{str(entry.get('action'))[:20]}' of employee {str(entry.get('id'))[:20]} without Work"
            " Email, so nobody knows whose access it means. Let the webhook post that field, and set people to Inactive"
            " before they are deleted."
        )
        return Refused(Reason(f"{where}fields", detail))
    kind = _kind(entry, fields)
    event = {
        "specversion": "1.0",
        "source": SOURCE,
        "id": f"{entry.get('id')}@{entry.get('timestamp')}",
        "type": f"gatehouse.person.{kind}",
        "subject": subject,
        "time": entry.get("timestamp"),
        "data": {
            "attributes": {name: fields[field] for field, name in FIELDS.items() if fields.get(field)},
            "effective": _effective(kind, fields),
        },
    }
    try:
        return parse_event(event, now, where)
    except Refused as refused:
        return refused


def _kind(entry: Mapping[str, Any], fields: Mapping[str, Any]) -> FactKind:
    """What a change means: Inactive has left whatever else changed; a status that became Active came back."""
    if entry.get("action") == "Deleted" or str(fields.get("status")).casefold() in {"inactive", "terminated"}:
        return "leaver"
    changed = {_plain(name) for name in entry.get("changedFields") or () if isinstance(name, str)}
    if "status" in changed:
        return "rehire"
    return "joiner" if "hiredate" in changed else "mover"


def _effective(kind: FactKind, fields: Mapping[str, Any]) -> str | None:
    """The day of hire of a joiner, from its first second in UTC; anything else is told when it takes effect."""
    day = fields.get("hiredate") if kind == "joiner" else None
    return f"{day}T00:00:00Z" if isinstance(day, str) and len(day) == 10 and day != "0000-00-00" else None


def _plain(name: object) -> str:
    """'Work Email', 'workEmail' and 'work_email' are one name: administrators may give fields names of their own."""
    return "".join(character for character in str(name).casefold() if character.isalnum())


def _value(value: object) -> Any:
    return value.get("value") if isinstance(value, dict) else value
