"""What each mail says and to whom, as values; `clients/render.py` puts them into words from `templates/`.

Addresses come from the directory, a vendor's profile or the settings, never from a request. Text from a request is one
line, bounded, and stands in bodies only; a secret stands in a mail only where a hand-off's is given one. What is common
to all mails is here, and those of operations; others are in `*_letters.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from sso.brake import Kind, Limit
from sso.errors import Reason, Refused
from sso.handoff import one_line
from sso.model import Key, OperationId, Principal, Secret
from vendors.smime import PinnedCertificate

Folder = Literal[
    "handoff_to_owner",
    "handoff_to_vendor",
    "code",
    "page_locked",
    "page_problem",
    "owner_changed",
    "offboarded",
    "operation_failed",
    "consent_needed",
    "credential_ending",
    "certificate_renewal",
    "summary",
    "braked",
    "person_joined",
    "person_left",
]
LONGEST_SUBJECT = 250
SEALED_FILE = "smime.p7m"  # the name by which mail programs know an envelope (RFC 8551 section 3.2.1)


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a mail."""

    name: str
    content_type: str
    content: bytes = field(repr=False)
    parameters: tuple[tuple[str, str], ...] = ()  # of its Content-Type


@dataclass(frozen=True)
class Mail:
    """A finished mail; its bodies are not printed, because a plain hand-off holds a secret."""

    to: tuple[str, ...]
    cc: tuple[str, ...]
    reply_to: tuple[str, ...]
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    attachments: tuple[Attachment, ...]
    reference: str

    def __post_init__(self) -> None:
        """Refuse whatever could write a header of its own."""
        for name, value in (("subject", self.subject), ("reference", self.reference)):
            if one_line(value, LONGEST_SUBJECT) != value:
                raise Refused(
                    Reason(
                        name,
                        f"A mail's {name} must be one line of at most {LONGEST_SUBJECT} characters without control "
                        "characters; found others. Correct the name in the vendor's profile.",
                    )
                )
        for address in (*self.to, *self.cc, *self.reply_to):
            if one_line(address) != address or address.count("@") != 1 or any(mark in address for mark in ' ,;<>"()'):
                raise Refused(
                    Reason(
                        "address",
                        "A mail must go to plain addresses such as support@vendor.com; found something else. Correct "
                        "the address in the directory or the vendor's profile.",
                    )
                )
        if not self.to:
            raise Refused(Reason("address", "A mail must go to somebody; found no address."))


@dataclass(frozen=True)
class Sealed:
    """A secret that goes into a mail as a file which its reader alone can open."""

    secret: Secret
    label: str
    certificate: PinnedCertificate


@dataclass(frozen=True)
class Letter:
    """What one mail says: the folder of its templates, their values, and who gets it."""

    folder: Folder
    to: tuple[str, ...]
    reference: str
    values: Mapping[str, object]
    cc: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    secret: Secret | None = None  # of a plain hand-off, opened only when the mail is rendered
    sealed: Sealed | None = None  # encrypted when the mail is rendered


@dataclass(frozen=True)
class Organisation:
    """Who we are to those who read a mail."""

    name: str
    mail_sender: str
    tenant_id: str
    operators: str

    @property
    def domain(self) -> str:
        """The domain that our mails come from."""
        return self.mail_sender.rpartition("@")[2]


@dataclass(frozen=True)
class Recipient:
    """Where mail for an owner goes, and why it is not the owner's own address."""

    address: str
    why: str | None = None


@dataclass(frozen=True)
class Asked:
    """Who asked, as the request claims; nobody checked it."""

    requested_by: str | None = None
    ticket: str | None = None

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """The lines that a mail shows."""
        claim = one_line(self.requested_by or "")
        ticket = one_line(self.ticket or "")
        return (
            *([("Requested by", f"{claim} (as the request says)")] if claim else []),
            *([("Ticket", ticket)] if ticket else []),
        )


def recipient_of(owner: Principal | None, organisation: Organisation) -> Recipient:
    """The owner's address; where the owner is gone, disabled or without mail, the operators' and the reason."""
    if owner is None:
        why = "The owner of this application is no longer in the directory"
    elif not owner.enabled:
        why = f"The owner of this application, {one_line(owner.name)}, is disabled"
    elif owner.address is None:
        why = f"The owner of this application, {one_line(owner.name)}, has no mail address"
    else:
        return Recipient(owner.address)
    return Recipient(organisation.operators, f"{why}, so this mail came to you. Name another owner.")


def compose_owner_changed(
    key: Key,
    vendor: str,
    *,
    organisation: Organisation,
    old_owner: Principal,
    new_owner: Principal,
    operation: OperationId,
    asked: Asked | None = None,
) -> Letter:
    """Tell the old owner who owns the application now, so that nobody takes one over in silence."""
    recipient = recipient_of(old_owner, organisation)
    return Letter(
        "owner_changed",
        (recipient.address,),
        operation,
        {
            **application_values(key, vendor, organisation),
            "why": recipient.why,
            "facts": (
                ("Vendor", vendor),
                ("Instance", key.instance),
                ("New owner", f"{one_line(new_owner.name)} ({new_owner.address or new_owner.object_id})"),
                ("Operation", operation),
                *(asked or Asked()).facts,
            ),
            "reference": operation,
        },
    )


def compose_operation_failed(
    key: Key | None,
    vendor: str | None,
    *,
    organisation: Organisation,
    owner: Principal | None,
    operation: OperationId,
    kind: str,
    reasons: Sequence[Reason],
    asked: Asked | None = None,
) -> Letter:
    """Tell the owner, or the operators where there is no application, why an operation failed and what to do."""
    recipient = recipient_of(owner, organisation) if key is not None else Recipient(organisation.operators)
    return Letter(
        "operation_failed",
        (recipient.address,),
        operation,
        {
            **application_values(key, vendor or "Gatehouse", organisation),
            "why": recipient.why,
            "facts": (
                *([("Vendor", vendor)] if vendor else []),
                *([("Instance", key.instance)] if key else []),
                ("Operation", operation),
                ("Kind", kind),
                *(asked or Asked()).facts,
            ),
            "reasons": tuple((one_line(reason.field), one_line(reason.detail, 1000)) for reason in reasons),
            "replay": f"POST /api/operations/{operation}/replay",
            "reference": operation,
        },
    )


def compose_consent_needed(
    key: Key,
    vendor: str,
    *,
    organisation: Organisation,
    owner: Principal | None,
    operation: OperationId,
    scopes: Sequence[str],
    consent_url: str,
) -> Letter:
    """Send the owner the address where an administrator consents for everyone, which Gatehouse may not do here."""
    recipient = recipient_of(owner, organisation)
    return Letter(
        "consent_needed",
        (recipient.address,),
        operation,
        {
            **application_values(key, vendor, organisation),
            "why": recipient.why,
            "facts": (
                ("Vendor", vendor),
                ("Instance", key.instance),
                ("Operation", operation),
                ("Permissions", ", ".join(scopes)),
                ("Consent", consent_url),
            ),
            "consent_url": consent_url,
            "reference": operation,
        },
    )


def compose_offboarded(
    key: Key,
    vendor: str,
    *,
    organisation: Organisation,
    owner: Principal | None,
    contact: str | None,
    deletes: datetime | None,
    operation: OperationId,
    asked: Asked,
) -> Letter:
    """Tell the vendor, with the owner in copy, or the owner alone, that nobody signs in there any more."""
    recipient = recipient_of(owner, organisation)
    return Letter(
        "offboarded",
        (contact or recipient.address,),
        operation,
        {
            **application_values(key, vendor, organisation),
            "why": None if contact else recipient.why,
            "to_vendor": contact is not None,
            "facts": (
                ("Vendor", vendor),
                ("Instance", key.instance),
                *((("Deleted on", moment(deletes)),) if deletes else ()),
                ("Operation", operation),
                *(() if contact else asked.facts),
            ),
            "deletes": moment(deletes) if deletes else None,
            "reference": operation,
        },
        cc=(recipient.address,) if contact else (),
        reply_to=(recipient.address,) if contact else (),
    )


_TAKEN: Mapping[Kind, tuple[str, str]] = {
    "retirement": ("old credentials", "An old credential that stays a little longer disturbs nobody's sign-in."),
    "leaver": ("people's access because they left", "Those who are stopped keep their access until then."),
    "removal": ("assignments", "Those who are stopped keep their access until then."),
}


def compose_braked(
    kind: Kind, count: int, of: int, limit: Limit, *, organisation: Organisation, operation: OperationId
) -> Letter:
    """Tell the operators that a day has removed as much as it may, and how what is stopped goes on."""
    things, meanwhile = _TAKEN[kind]
    return Letter(
        "braked",
        (organisation.operators,),
        operation,
        {
            **application_values(None, "Gatehouse", organisation),
            "things": things,
            "meanwhile": meanwhile,
            "facts": (
                ("Removed within a day", f"{count} of {of}"),
                ("Limit", f"{limit.floor}, and {limit.share:.0%} of all (the greater counts)"),
                ("First one stopped", operation),
            ),
            "waiting": "GET /api/operations?state=waiting",
            "release": f"POST /api/operations/{operation}/release",
            "reference": operation,
        },
    )


def moment(instant: datetime) -> str:
    """An instant as mails and pages write it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def application_values(key: Key | None, vendor: str, organisation: Organisation) -> dict[str, object]:
    """What every mail names."""
    return {
        "organisation": organisation.name,
        "domain": organisation.domain,
        "vendor": vendor,
        "application": key.display_name(vendor) if key is not None else vendor,
        "address": str(key) if key is not None else "",
    }
