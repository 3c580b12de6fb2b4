"""The mails about people: who joined and is to be added by hand, and who left."""

from collections.abc import Sequence

from sso.handoff import one_line
from sso.letters import Letter, Organisation, application_values, recipient_of
from sso.model import Key, OperationId, Principal


def compose_person_joined(
    key: Key,
    vendor: str,
    *,
    organisation: Organisation,
    owner: Principal | None,
    people: Sequence[Sequence[tuple[str, str]]],
    guide: str,
    operation: OperationId,
) -> Letter:
    """Tell the owner whom to add at a vendor that makes no accounts by itself, in its form's own words."""
    recipient = recipient_of(owner, organisation)
    return Letter(
        "person_joined",
        (recipient.address,),
        operation,
        {
            **application_values(key, vendor, organisation),
            "why": recipient.why,
            "facts": (("Vendor", vendor), ("Instance", key.instance)),
            "people": tuple(tuple((label, one_line(value)) for label, value in fields) for fields in people),
            "guide": guide,
            "reference": operation,
        },
    )


def compose_person_left(
    key: Key,
    vendor: str,
    *,
    organisation: Organisation,
    owner: Principal | None,
    contact: str | None,
    people: Sequence[Principal],
    operation: OperationId,
) -> Letter:
    """Ask for the removal of accounts that no provisioning removes: the vendor's contact, else the owner.

    The people are named and nothing else: neither why, nor what else changes.
    """
    recipient = recipient_of(owner, organisation)
    named = tuple(one_line(f"{person.name} ({person.address or person.name})") for person in people)
    return Letter(
        "person_left",
        (contact or recipient.address,),
        operation,
        {
            **application_values(key, vendor, organisation),
            "why": None if contact else recipient.why,
            "to_vendor": contact is not None,
            "count": len(people),
            "facts": (("Vendor", vendor), ("Instance", key.instance), *(("Person", name) for name in named)),
            "reference": operation,
        },
        reply_to=(recipient.address,) if contact else (),
    )
