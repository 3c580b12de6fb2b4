"""The mails of a hand-off: its link or values, its code, and what goes wrong on its page."""

from datetime import datetime

from sso.codes import reference_of
from sso.handoff import Handoff, one_line
from sso.handoff import facts_of as handoff_facts
from sso.letters import (
    SEALED_FILE,
    Asked,
    Attachment,
    Letter,
    Organisation,
    Sealed,
    application_values,
    moment,
    recipient_of,
)
from sso.model import Principal, Secret
from sso.page import Page

LONGEST_PROBLEM = 2000  # characters of a vendor's report; more belongs into a conversation
_PROVISIONING = {
    "just-in-time": "{vendor} creates a person's account by itself at the first sign-in; add nobody by hand.",
    "manual": "{vendor} creates no accounts by itself: add each person there by hand before the first sign-in.",
    "scim": "Accounts at {vendor} are created by provisioning (SCIM); add nobody by hand.",
}


def compose_handoff(
    handoff: Handoff,
    *,
    organisation: Organisation,
    owner: Principal | None,
    page_url: str,
    valid_until: datetime,
    asked: Asked | None = None,
    secret: Secret | None = None,
    reminder: bool = False,
    used: tuple[str, ...] = (),
) -> Letter:
    """The hand-off's mail: the link and every public value, never the code; a reminder says what was `used`.

    `secret` is given only where it travels with the mail: in a plain hand-off, which profile and setting both allow, or
    encrypted to the certificate that the profile pins; raises `ValueError` otherwise.
    """
    if (secret is not None) != handoff.secret_in_mail:
        msg = f"the hand-off of {handoff.key} holds a secret in the mail exactly where its profile and setting say so"
        raise ValueError(msg)
    sealed = None
    if secret and handoff.sealed_for and handoff.secret_label:
        sealed, secret = Sealed(secret, handoff.secret_label, handoff.sealed_for), None
    recipient = recipient_of(owner, organisation)
    reference = reference_of(handoff_facts(handoff))
    values: dict[str, object] = {
        **application_values(handoff.key, handoff.vendor, organisation),
        "facts": (
            ("Vendor", handoff.vendor),
            ("Instance", handoff.key.instance),
            ("Reference", reference),
            ("Organisation", f"{organisation.name} ({organisation.domain})"),
            # Once only: where a field of the vendor has this very name, the value stands beside the field.
            *([] if any(v.label == "Tenant ID" for v in handoff.values) else [("Tenant ID", handoff.tenant_id)]),
            *handoff.parameters,
        ),
        "told": tuple((v.label, f"see the attached file {v.file}" if v.file else v.text) for v in handoff.values),
        "secret_label": handoff.secret_label,
        "sealed_file": SEALED_FILE if sealed else None,
        "sealed_for": handoff.sealed_for.thumbprint if handoff.sealed_for else None,
        "steps": handoff.steps,
        "guide": handoff.guide,
        "page_url": page_url,
        "reminder": reminder,
        "used": used,
        "valid_until": moment(valid_until),
        "reference": reference,
    }
    files = tuple(
        Attachment(v.file, "application/x-x509-ca-cert", v.text.encode("ascii")) for v in handoff.values if v.file
    )
    if handoff.to == "vendor":
        if handoff.contact is None:
            msg = f"the profile of {handoff.key} names no contact for its hand-off"
            raise ValueError(msg)
        return Letter(
            "handoff_to_vendor",
            (handoff.contact,),
            reference,
            {**values, "code_by_mail": handoff.code_to is not None, "reply_to": recipient.address},
            cc=(recipient.address,),
            reply_to=(recipient.address,),
            attachments=files,
            secret=secret,
            sealed=sealed,
        )
    return Letter(
        "handoff_to_owner",
        (recipient.address,),
        reference,
        {
            **values,
            "why": recipient.why,
            "try_url": handoff.try_url,
            "provisioning": _PROVISIONING[handoff.provisioning].format(vendor=handoff.vendor),
            "asked": (asked or Asked()).facts,
        },
        attachments=files,
        secret=secret,
    )


def compose_code(
    handoff: Handoff, *, organisation: Organisation, owner: Principal | None, code: str, valid_until: datetime
) -> Letter:
    """The code's mail, which goes another way than the link: to the owner, or to a second person at the vendor."""
    recipient = recipient_of(owner, organisation)
    reference = reference_of(handoff_facts(handoff))
    to_vendor = handoff.to == "vendor" and handoff.code_to is not None
    return Letter(
        "code",
        (handoff.code_to if to_vendor and handoff.code_to else recipient.address,),
        reference,
        {
            **application_values(handoff.key, handoff.vendor, organisation),
            "facts": (
                ("Vendor", handoff.vendor),
                ("Instance", handoff.key.instance),
                ("Reference", reference),
                ("Code", code),
            ),
            "why": None if to_vendor else recipient.why,
            "pass_on_to": handoff.contact if handoff.to == "vendor" and not to_vendor else None,
            "second_person": to_vendor,
            "valid_until": moment(valid_until),
            "reference": reference,
        },
        reply_to=(recipient.address,) if to_vendor else (),
    )


def compose_page_locked(page: Page, vendor: str, *, organisation: Organisation, owner: Principal | None) -> Letter:
    """Tell the owner that five wrong codes locked a page, and what was seen on it before."""
    recipient = recipient_of(owner, organisation)
    return Letter(
        "page_locked",
        (recipient.address,),
        page.reference,
        {
            **_page(page, vendor, organisation),
            "why": recipient.why,
            "collected": moment(page.collected) if page.collected else None,
        },
    )


def compose_page_problem(
    page: Page, vendor: str, text: str, *, organisation: Organisation, owner: Principal | None
) -> Letter:
    """Pass on to the owner what somebody with link and code wrote: bounded, and marked line by line as theirs."""
    recipient = recipient_of(owner, organisation)
    lines = tuple(one_line(line, LONGEST_PROBLEM) for line in text[:LONGEST_PROBLEM].splitlines())
    return Letter(
        "page_problem",
        (recipient.address,),
        page.reference,
        {**_page(page, vendor, organisation), "why": recipient.why, "lines": lines},
    )


def _page(page: Page, vendor: str, organisation: Organisation) -> dict[str, object]:
    """What a mail about a page names."""
    return {
        **application_values(page.key, vendor, organisation),
        "facts": (("Vendor", vendor), ("Instance", page.key.instance), ("Reference", page.reference)),
        "reference": page.reference,
    }
