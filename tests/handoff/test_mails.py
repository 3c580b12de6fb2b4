"""Mails as they arrive: who gets them, what their lines are, and that no text becomes more than text."""

import base64
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import cast

import pytest
from lxml import html

from clients.mail import Mailer, mime
from clients.render import render_mail
from sso.codes import reference_of
from sso.errors import Reason, Refused
from sso.handoff import Announcement, Handoff, facts_of
from sso.handoff_letters import compose_code, compose_handoff, compose_page_locked, compose_page_problem
from sso.letters import (
    Asked,
    Letter,
    Mail,
    compose_consent_needed,
    compose_operation_failed,
    compose_owner_changed,
    recipient_of,
)
from sso.model import OperationId, Principal, Secret
from sso.page import page_url
from sso.people_letters import compose_person_joined, compose_person_left
from sso.renewal_letters import compose_certificate_renewal, compose_credential_ending
from sso.summary import Night, PutAside, compose_summary
from tests.handoff.given import CODE, NOW, ORGANISATION, OWNER, TENANT_ID, TOKEN, handoff, page

LINK = page_url("https://gatehouse.contoso.com", TOKEN)
HOSTILE = [
    "{{7*7}}{% for x in y %}",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "&amp; & &lt;",
    "Contoso\r\nBcc: thief@evil.example\r\n\r\nbody",
    "x\nPage: https://evil.example/api/handoffs/y",
    "\u202egnitset\u2028line\x00\x1b[31m",
    "a" * 5000,
]


def arrived(mail: Mail) -> EmailMessage:
    """A mail as the other side parses it."""
    return message_from_bytes(mime(mail, ORGANISATION.mail_sender), policy=default)


def text_of(message: EmailMessage) -> str:
    """The text part."""
    part = message.get_body(("plain",))
    assert part is not None
    return cast("str", part.get_content()).replace("\r\n", "\n")


def html_of(message: EmailMessage) -> str:
    """The HTML part."""
    part = message.get_body(("html",))
    assert part is not None
    return cast("str", part.get_content())


def told(hand_off: Handoff, owner: Principal | None = OWNER, asked: Asked | None = None) -> Mail:
    """The hand-off's mail."""
    return render_mail(
        compose_handoff(hand_off, organisation=ORGANISATION, owner=owner, page_url=LINK, valid_until=NOW, asked=asked)
    )


def code(hand_off: Handoff, owner: Principal | None = OWNER) -> Mail:
    """The code's mail."""
    return render_mail(compose_code(hand_off, organisation=ORGANISATION, owner=owner, code=CODE, valid_until=NOW))


@pytest.mark.parametrize("slug", ["hellotracks", "smarttrace", "ilogon_mha", "thoropass", "clicktime"])
def test_a_hand_off_names_itself_and_every_value(slug: str) -> None:
    """Vendor, instance, reference, tenant, page and each value stand on lines of their own, in text and HTML."""
    hand_off = handoff(slug, "emea", InstanceName="contoso")
    mail = told(hand_off)
    message = arrived(mail)
    lines = text_of(message).split("\n")
    expected = [
        f"Vendor: {hand_off.vendor}",
        "Instance: emea",
        f"Reference: {reference_of(facts_of(hand_off))}",
        f"Tenant ID: {TENANT_ID}",
        f"Page: {LINK}",
        *(f"{title}: {value}" for title, value in hand_off.parameters),
        *(f"{v.label}: {f'see the attached file {v.file}' if v.file else v.text}" for v in hand_off.values),
    ]
    assert [lines.count(line) for line in expected] == [1] * len(expected)
    assert str(message["Subject"]).startswith(("Contoso: ", hand_off.vendor))
    assert hand_off.vendor in str(message["Subject"])
    assert f"[{reference_of(facts_of(hand_off))}]" in str(message["Subject"])
    document = html.document_fromstring(html_of(message))
    cells = {row.findtext("th"): row.findtext("td") for row in document.iter("tr")}
    assert all(cells[v.label] == (f"see the attached file {v.file}" if v.file else v.text) for v in hand_off.values)
    assert LINK in {link.get("href") for link in document.iter("a")}


def test_the_vendors_steps_come_in_their_order() -> None:
    """The owner reads the vendor's steps as the profile lists them, numbered."""
    text = text_of(arrived(told(handoff("clicktime"))))
    places = [text.index(f"{number}. {step}") for number, step in enumerate(handoff("clicktime").steps, 1)]
    assert places == sorted(places)


def test_the_certificate_is_attached() -> None:
    """A certificate comes as a file in the armour of Entra's download."""
    hand_off = handoff("clicktime")
    files = {part.get_filename(): part.get_content() for part in arrived(told(hand_off)).iter_attachments()}
    assert files == {"clicktime-default.cer": next(v.text for v in hand_off.values if v.file).encode()}


def test_a_vendors_mail_copies_and_answers_to_the_owner() -> None:
    """To the profile's contact, copied to the owner, and answers reach the owner."""
    message = arrived(told(handoff("ilogon_mha")))
    assert [str(message[name]) for name in ("From", "To", "Cc", "Reply-To")] == [
        ORGANISATION.mail_sender,
        "support@keyfields.com",
        OWNER.address,
        OWNER.address,
    ]


@pytest.mark.parametrize("slug", ["ilogon_mha", "smarttrace"])
def test_link_and_code_never_share_a_mail(slug: str) -> None:
    """The mail with the link holds no code, the mail with the code holds no link, goes to the owner, has no copy."""
    link_mail, code_mail = told(handoff(slug)), code(handoff(slug))
    assert CODE not in link_mail.text + link_mail.html + link_mail.subject
    assert TOKEN not in code_mail.text + code_mail.html + code_mail.subject
    assert f"Code: {CODE}" in code_mail.text.split("\n")
    assert (code_mail.to, code_mail.cc) == ((OWNER.address,), ())
    assert code_mail.reference == link_mail.reference


def test_a_second_person_at_the_vendor_may_get_the_code() -> None:
    """Where the profile names `code_to`, the code goes there."""
    assert code(replace(handoff("ilogon_mha"), code_to="second@keyfields.com")).to == ("second@keyfields.com",)


@pytest.mark.parametrize(
    ("owner", "why"),
    [
        (None, "no longer in the directory"),
        (replace(OWNER, enabled=False), "is disabled"),
        (replace(OWNER, address=None), "has no mail address"),
    ],
)
def test_the_operators_stand_in_for_an_owner_who_is_gone(owner: Principal | None, why: str) -> None:
    """Hand-off and code go to the operators and say why."""
    for mail in (told(handoff(), owner), code(handoff(), owner)):
        assert mail.to == (ORGANISATION.operators,)
        assert why in mail.text
        assert why in mail.html
    assert recipient_of(OWNER, ORGANISATION).why is None


def test_no_value_of_a_secret_is_in_a_mail_unless_profile_and_setting_say_so() -> None:
    """A plain hand-off holds the secret and cannot be composed without it; any other cannot be composed with it."""
    secret = Secret("canary~secret")
    plain = replace(handoff("ilogon_mha"), plain=True)

    def compose(hand_off: Handoff, given: Secret | None) -> Letter:
        return compose_handoff(
            hand_off, organisation=ORGANISATION, owner=OWNER, page_url=LINK, valid_until=NOW, secret=given
        )

    mail = render_mail(compose(plain, secret))
    assert "Client Secret: canary~secret" in mail.text.split("\n")
    assert "canary~secret" in mail.html
    assert "canary" not in repr(mail) + repr(compose(plain, secret))
    for hand_off, given in ((plain, None), (handoff("ilogon_mha"), secret), (handoff("thoropass"), secret)):
        with pytest.raises(ValueError, match="exactly where"):
            compose(hand_off, given)


def test_try_it_and_who_asked_stand_in_the_owners_mail() -> None:
    """The owner reads who asked, as a claim, the ticket, how accounts come to be, and where to try."""
    text = told(handoff("clicktime"), asked=Asked("helpdesk@contoso.com", "IT-1234")).text
    assert "Requested by: helpdesk@contoso.com (as the request says)" in text
    assert "Ticket: IT-1234" in text
    assert f"Try it: {handoff('clicktime').try_url}" in text
    assert "add each person there by hand" in text
    assert "Try it" not in told(handoff("smarttrace")).text


def test_several_people_are_told_in_one_mail() -> None:
    """Whom to add and whom to remove are listed one by one; one person alone is spoken of as one."""
    names = ("Ann", "Bob")

    def joined(count: int) -> Mail:
        people = [[("full name", name)] for name in names[:count]]
        letter = compose_person_joined(
            handoff().key,
            "SmartTrace",
            organisation=ORGANISATION,
            owner=OWNER,
            people=people,
            guide="https://learn.microsoft.com/x",
            operation=OperationId("1"),
        )
        return render_mail(letter)

    def left(count: int, contact: str | None) -> Mail:
        letter = compose_person_left(
            handoff().key,
            "SmartTrace",
            organisation=ORGANISATION,
            owner=OWNER,
            contact=contact,
            people=[replace(OWNER, name=name) for name in names[:count]],
            operation=OperationId("1"),
        )
        return render_mail(letter)

    assert (joined(1).subject, joined(2).subject) == (
        "SmartTrace: a person to add at SmartTrace [1]",
        "SmartTrace: 2 people to add at SmartTrace [1]",
    )
    assert "2 people may sign in" in joined(2).text
    assert all(f"full name: {name}" in joined(2).text for name in names)
    assert left(1, None).subject == "SmartTrace: please remove an account [1]"
    assert "remove or disable their\naccounts there" in left(2, None).text
    vendors = left(2, "support@smarttrace.example")
    assert vendors.subject == "SmartTrace: please remove 2 accounts [1]"
    assert "these people's accounts" in vendors.text
    assert all(f"Person: {name} (" in vendors.text for name in names)


LETTERS: dict[str, Callable[[str], Letter]] = {
    "hand-off to owner": lambda text: compose_handoff(
        replace(handoff(), parameters=(("Name", text[:200].replace("\n", " ").replace("\r", " ")),)),
        organisation=ORGANISATION,
        owner=OWNER,
        page_url=LINK,
        valid_until=NOW,
        asked=Asked(text, text),
    ),
    "problem": lambda text: compose_page_problem(page(), "SmartTrace", text, organisation=ORGANISATION, owner=OWNER),
    "locked": lambda text: compose_page_locked(
        page(), "SmartTrace", organisation=ORGANISATION, owner=replace(OWNER, name=text, enabled=False)
    ),
    "owner changed": lambda text: compose_owner_changed(
        handoff().key,
        "SmartTrace",
        organisation=ORGANISATION,
        old_owner=OWNER,
        new_owner=replace(OWNER, name=text),
        operation=OperationId("operation"),
        asked=Asked(text, text),
    ),
    "failed": lambda text: compose_operation_failed(
        handoff().key,
        "SmartTrace",
        organisation=ORGANISATION,
        owner=OWNER,
        operation=OperationId("operation"),
        kind="onboarding",
        reasons=[Reason(text, text)],
        asked=Asked(text, text),
    ),
    "consent": lambda text: compose_consent_needed(
        handoff().key,
        "SmartTrace",
        organisation=ORGANISATION,
        owner=replace(OWNER, name=text, enabled=False),
        operation=OperationId("operation"),
        scopes=["openid"],
        consent_url="https://login.microsoftonline.com/x/adminconsent?client_id=y",
    ),
    "credential ending": lambda text: compose_credential_ending(
        handoff(), "client secret", organisation=ORGANISATION, owner=replace(OWNER, name=text, enabled=False), ends=NOW
    ),
    "certificate renewal": lambda text: compose_certificate_renewal(
        handoff("clicktime"),
        Announcement("single", NOW, "AB12", NOW, NOW, None, "https://login.example/metadata", None),
        organisation=ORGANISATION,
        owner=replace(OWNER, name=text, enabled=False),
        page_url=LINK,
        valid_until=NOW,
        reminder=False,
    ),
    "people joined": lambda text: compose_person_joined(
        handoff().key,
        "SmartTrace",
        organisation=ORGANISATION,
        owner=replace(OWNER, name=text, enabled=False),
        people=[[("full name", text), ("email", "x")], [("full name", text), ("email", "y")]],
        guide="https://learn.microsoft.com/x",
        operation=OperationId("operation"),
    ),
    "people left": lambda text: compose_person_left(
        handoff().key,
        "SmartTrace",
        organisation=ORGANISATION,
        owner=OWNER,
        contact=None,
        people=[replace(OWNER, name=text), replace(OWNER, name=text)],
        operation=OperationId("operation"),
    ),
    "summary": lambda text: compose_summary(
        Night(put_aside=(PutAside("rotations", text, NOW),)), "2026-09-01", NOW, organisation=ORGANISATION
    ),
}


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_stays_text(letter: str, text: str) -> None:
    """No text makes a header, a line that means something, an element, or runs as a template."""
    mail = render_mail(LETTERS[letter](text))
    message = arrived(mail)
    quiet = arrived(render_mail(LETTERS[letter]("quiet")))
    assert sorted(message.keys()) == sorted(quiet.keys())
    assert [message[name] for name in ("To", "Cc", "Reply-To", "Bcc")][1:] == [None, None, None]
    assert str(message["Subject"]) == mail.subject
    pages = [line for line in text_of(message).split("\n") if line.lstrip().lower().startswith(("page:", "code:"))]
    assert pages in ([], [f"Page: {LINK}"])
    document = html.document_fromstring(html_of(message))
    assert [tag for tag in ("script", "img", "iframe", "form") if document.find(f".//{tag}") is not None] == []
    if "{{" in text and letter not in ("locked", "consent", "credential ending", "certificate renewal"):
        assert "{{7*7}}" in text_of(message)
    assert len(text_of(message)) < 20_000


@pytest.mark.parametrize("name", ["Vendor\r\nBcc: thief@evil.example", "Vendor\nX", "V\x00", "V\u202e", "V" * 300])
def test_a_line_break_never_reaches_a_subject(name: str) -> None:
    """A subject with a line break, a control character or no end is refused, whatever let it through."""
    with pytest.raises(Refused, match="subject"):
        told(replace(handoff(), vendor=name))


@pytest.mark.parametrize(
    "vendor", ["Größe & Söhne", "株式会社テスト" * 8, "A vendor with a name of very many words " * 4]
)
def test_a_long_or_foreign_name_arrives_unchanged(vendor: str) -> None:
    """A subject that is encoded or long reads as it was written, and no line is longer than mail allows."""
    mail = told(replace(handoff(), vendor=vendor.strip()))
    assert str(arrived(mail)["Subject"]) == mail.subject
    assert f"Vendor: {vendor.strip()}" in text_of(arrived(mail))


@pytest.mark.parametrize(
    "address",
    ["a@b.example\r\nBcc: c@d.example", "a@b.example, c@d.example", "A <a@b.example>", "nobody", "a b@c.example", ""],
)
def test_only_plain_addresses_get_mail(address: str) -> None:
    """What is not one plain address is refused before it comes near a header."""
    with pytest.raises(Refused, match="address"):
        told(handoff(), replace(OWNER, address=address))


def test_a_mail_says_that_a_machine_wrote_it() -> None:
    """The reference is a header of its own, and out-of-office programs are asked to be quiet (RFC 3834)."""
    message = arrived(told(handoff()))
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Gatehouse-Reference"] == reference_of(facts_of(handoff()))
    assert len(mime(told(handoff()), ORGANISATION.mail_sender).splitlines()) > 10
    assert max(map(len, mime(told(handoff("clicktime")), ORGANISATION.mail_sender).splitlines())) <= 998


async def test_the_mailer_posts_base64_of_the_mime_message() -> None:
    """What is posted is what Graph's MIME form of sendMail takes (graph-contract section 12)."""
    posted: list[bytes] = []

    async def post(content: bytes) -> None:
        posted.append(content)

    mailer = Mailer(ORGANISATION.mail_sender, post)
    await mailer.post(mailer.ready(told(handoff())))
    [content] = posted
    message = message_from_bytes(base64.b64decode(content, validate=True), policy=default)
    assert message["To"] == OWNER.address
