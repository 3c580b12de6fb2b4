"""The mails of a credential's renewal: a new signing certificate is announced, an old credential ends unreplaced."""

from datetime import datetime
from typing import Literal

from sso.codes import reference_of
from sso.handoff import Announcement, Handoff, facts_of
from sso.letters import Attachment, Letter, Organisation, application_values, moment, recipient_of
from sso.model import Principal

ACTIVATE = "Open the page below and press 'Activate now'. From then on only the new certificate signs."
TEST = "Test a sign-in, then press 'Installed and tested' on the page."


def compose_certificate_renewal(
    handoff: Handoff,
    announcement: Announcement,
    *,
    organisation: Organisation,
    owner: Principal | None,
    page_url: str,
    valid_until: datetime,
    reminder: bool,
) -> Letter:
    """Announce a new signing certificate: thumbprint, dates, metadata, what to do and when; never the code."""
    recipient = recipient_of(owner, organisation)
    reference = reference_of(facts_of(handoff))
    to_vendor = handoff.to == "vendor" and handoff.contact is not None
    new = announcement.certificate
    # Before there is a new certificate there is none to attach; the one in use would mislead.
    told = [value for value in handoff.values if new or not value.file]
    values = tuple((v.label, f"see the attached file {v.file}" if v.file else v.text) for v in told)
    files = [value for value in told if value.file]
    if new and not files:
        files, values = [new], (*values, (new.label, f"see the attached file {new.file}"))
    return Letter(
        "certificate_renewal",
        (handoff.contact if to_vendor and handoff.contact else recipient.address,),
        reference,
        {
            **application_values(handoff.key, handoff.vendor, organisation),
            "facts": _facts(handoff, announcement, organisation, reference),
            "old_ends": moment(announcement.old_ends),
            "asks": _asks(handoff, announcement),
            "told": values,
            "steps": handoff.steps,
            "guide": handoff.guide,
            "page_url": page_url,
            "valid_until": moment(valid_until),
            "reminder": reminder,
            "why": None if to_vendor else recipient.why,
            "reply_to": recipient.address if to_vendor else None,
            "reference": reference,
        },
        cc=(recipient.address,) if to_vendor else (),
        reply_to=(recipient.address,) if to_vendor else (),
        attachments=tuple(
            Attachment(file.file, "application/x-x509-ca-cert", file.text.encode("ascii"))
            for file in files
            if file.file
        ),
    )


def _facts(
    handoff: Handoff, announcement: Announcement, organisation: Organisation, reference: str
) -> tuple[tuple[str, str], ...]:
    new: tuple[tuple[str, str], ...] = ()
    if announcement.thumbprint and announcement.starts and announcement.ends:
        new = (
            ("New certificate, SHA-1 thumbprint", announcement.thumbprint),
            ("New certificate, valid", f"{moment(announcement.starts)} to {moment(announcement.ends)}"),
        )
    return (
        ("Vendor", handoff.vendor),
        ("Instance", handoff.key.instance),
        ("Reference", reference),
        ("Organisation", f"{organisation.name} ({organisation.domain})"),
        *([] if any(v.label == "Tenant ID" for v in handoff.values) else [("Tenant ID", handoff.tenant_id)]),
        *handoff.parameters,
        ("Certificate in use, valid until", moment(announcement.old_ends)),
        *new,
        ("Federation metadata", announcement.metadata_url),
    )


def _asks(handoff: Handoff, announcement: Announcement) -> tuple[str, ...]:
    """What the vendor does, by how it takes a new certificate."""
    vendor, by_metadata = handoff.vendor, announcement.mode in {"metadata", "metadata_single"}
    if announcement.signs_from:
        return (
            f"Nothing, if {vendor} reads the federation metadata regularly: the new certificate is in it already.",
            f"The new certificate signs from {moment(announcement.signs_from)} on.",
            "Otherwise have the metadata read before that time.",
        )
    if announcement.thumbprint is None and by_metadata:
        return (
            f"Choose a quiet time at which {vendor} can read the federation metadata again.",
            ACTIVATE,
            f"Have {vendor} read the metadata at once: the new certificate is in it. Until it has, nobody signs in.",
            TEST,
        )
    if announcement.thumbprint is None:
        return (
            "Choose a quiet time: the certificate in use has ended, so a new one signs as soon as it is made.",
            ACTIVATE,
            "The new certificate comes by the next mail. Install it at once: until then nobody signs in.",
        )
    if announcement.mode == "several":
        return (
            "Install the attached certificate beside the one in use; remove none.",
            "Press 'Installed and tested' on the page below. From then on the new certificate signs.",
        )
    return (
        "Choose a quiet time. Open the vendor's form and paste the attached certificate; do not save it yet.",
        ACTIVATE,
        "Save the form at once: between the two nobody signs in.",
        TEST,
    )


def compose_credential_ending(
    handoff: Handoff,
    what: Literal["client secret", "signing certificate"],
    *,
    organisation: Organisation,
    owner: Principal | None,
    ends: datetime,
) -> Letter:
    """Warn owner and operators that nobody has acknowledged the new credential, and when the old one ends."""
    recipient = recipient_of(owner, organisation)
    reference = reference_of(facts_of(handoff))
    return Letter(
        "credential_ending",
        tuple(dict.fromkeys((recipient.address, organisation.operators))),
        reference,
        {
            **application_values(handoff.key, handoff.vendor, organisation),
            "facts": (
                ("Vendor", handoff.vendor),
                ("Instance", handoff.key.instance),
                ("Reference", reference),
                (f"Old {what} ends", moment(ends)),
            ),
            "what": what,
            "why": recipient.why,
            "contact": handoff.contact,
            "ends": moment(ends),
            "reference": reference,
        },
    )
