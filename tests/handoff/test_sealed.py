"""A secret that travels encrypted to the vendor's certificate: read by a stranger, openssl, and by nobody else."""

import re
import shutil
import subprocess
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from pathlib import Path

import pytest

from clients.envelope import enclosed
from clients.mail import mime
from clients.render import render_mail
from sso.codes import reference_of
from sso.handoff import Handoff, facts_of
from sso.handoff_letters import compose_handoff
from sso.letters import Letter
from sso.model import Secret
from sso.page import page_url
from tests.handoff.given import NOW, ORGANISATION, OWNER, TOKEN, handoff, page
from tests.secrecy.witness import holding
from tests.vendors.pinned import Vendor, vendor
from vendors.smime import pinned

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="this machine has no openssl")

CANARY = "8Q~Canary-ümläut.and/signs+=&<>"
SUPPORT = vendor("support@keyfields.com")
STRANGER = vendor("support@keyfields.com", key="rsa 2049")


def sealed(to: Vendor = SUPPORT) -> Handoff:
    """iLOGON_MHA's hand-off, sealed for a vendor."""
    return replace(handoff("ilogon_mha"), sealed_for=pinned(to.certificate))


def letter(hand_off: Handoff, secret: str | None = CANARY) -> Letter:
    """The letter of a hand-off."""
    return compose_handoff(
        hand_off,
        organisation=ORGANISATION,
        owner=OWNER,
        page_url=page_url("https://gatehouse.contoso.com", TOKEN),
        valid_until=NOW,
        secret=None if secret is None else Secret(secret),
    )


def sent(hand_off: Handoff) -> bytes:
    """The mail as it leaves."""
    return mime(render_mail(enclosed(letter(hand_off))), ORGANISATION.mail_sender)


def attached(mail: bytes) -> EmailMessage:
    """The one file of a mail."""
    message = message_from_bytes(mail, policy=default)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    [part] = message.iter_attachments()
    assert isinstance(part, EmailMessage)
    return part


def decrypted(folder: Path, envelope: bytes, holder: Vendor, form: str = "DER") -> bytes | None:
    """What the openssl program reads of an envelope with somebody's key; None where it refuses."""
    for name, content in (("smime.p7m", envelope), ("key.pem", holder.key.encode())):
        (folder / name).write_bytes(content)
    command = ["openssl", "cms", "-decrypt", "-inform", form, "-in", "smime.p7m", "-inkey", "key.pem"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=30)
    return done.stdout if done.returncode == 0 else None


def test_the_vendor_reads_its_field_and_nobody_else_does(tmp_path: Path) -> None:
    """With the certificate's key openssl shows reference, field and value; with another key nothing of it."""
    envelope = attached(sent(sealed())).get_payload(decode=True)
    assert isinstance(envelope, bytes)
    plain = decrypted(tmp_path, envelope, SUPPORT)
    assert plain is not None
    text = message_from_bytes(plain, policy=default).get_content()
    assert text.splitlines() == [f"Reference: {reference_of(facts_of(sealed()))}", f"Client Secret: {CANARY}"]
    other = decrypted(tmp_path, envelope, STRANGER)
    assert other is None or CANARY.encode() not in other


def test_the_file_is_what_mail_programs_know(tmp_path: Path) -> None:
    """The attachment is application/pkcs7-mime with smime-type and name, and openssl takes it as a mail's part."""
    part = attached(sent(sealed()))
    assert part.get_content_type() == "application/pkcs7-mime"
    assert part["Content-Type"].params == {"smime-type": "enveloped-data", "name": "smime.p7m"}
    assert (part.get_content_disposition(), part.get_filename()) == ("attachment", "smime.p7m")
    assert part["Content-Transfer-Encoding"] == "base64"
    as_mail = decrypted(tmp_path, part.as_bytes(policy=SMTP), SUPPORT, "SMIME")
    assert as_mail is not None
    assert b"Client Secret: " in as_mail
    (tmp_path / "smime.p7m").write_bytes(part.get_content())
    shown = subprocess.run(
        ["openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", "smime.p7m"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
        timeout=30,
    ).stdout
    assert "pkcs7-envelopedData" in shown
    assert "aes-256-cbc" in shown
    assert len(re.findall("d.ktri", shown)) == 1


def test_the_secret_is_nowhere_in_the_open() -> None:
    """Neither the mail, however it is encoded, nor any printed form of letter and mail holds the value."""
    mail = sent(sealed())
    places = {
        "mail": mail.decode("latin-1"),
        "letter": repr(letter(sealed())),
        "enclosed": repr(enclosed(letter(sealed()))),
    }
    assert holding(places, CANARY) == []
    assert holding({"mail": mail.decode("latin-1")}, CANARY[:12]) == []


def test_each_mail_is_encrypted_anew() -> None:
    """The same hand-off twice is two envelopes: nobody can tell from them whether the secret is the same."""
    one, other = (attached(sent(sealed())).get_content() for _ in range(2))
    assert one != other


def test_the_mail_says_what_the_file_is() -> None:
    """The vendor reads how to open the file and for which certificate; the code still comes by another way."""
    text = render_mail(enclosed(letter(sealed()))).text
    assert 'The value for "Client Secret" is in the attached file smime.p7m, encrypted (S/MIME)' in text
    assert f"thumbprint is {pinned(SUPPORT.certificate).thumbprint}" in text
    assert "shown once" not in text
    assert "The page asks for the code that we tell you by another way." in text


def test_the_page_has_nothing_to_collect() -> None:
    """What travels with the mail is not collected a second time; the page is for acknowledging."""
    assert page(handoff("ilogon_mha")).secret
    assert not page(sealed()).secret


def test_another_certificate_is_news() -> None:
    """A newly pinned certificate is a new hand-off; a profile without one tells what it always told."""
    facts = {facts_of(handoff("ilogon_mha")), facts_of(sealed()), facts_of(sealed(STRANGER))}
    assert len(facts) == 3
    assert facts_of(sealed()) == facts_of(sealed())


def test_a_letter_is_not_mailed_unsealed() -> None:
    """A sealed hand-off cannot be composed without its secret, and its letter is no mail before it was sealed."""
    with pytest.raises(ValueError, match="exactly where"):
        letter(sealed(), None)
    with pytest.raises(ValueError, match="not sealed yet"):
        render_mail(letter(sealed()))
    assert enclosed(letter(handoff("thoropass"), None)) == letter(handoff("thoropass"), None)
