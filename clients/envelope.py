"""Encrypt a secret to a vendor's certificate: an S/MIME envelope (RFC 8551, RFC 5652) as a file of a mail."""

from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP

from sso.letters import SEALED_FILE, Attachment, Letter, Sealed


def enclosed(letter: Letter) -> Letter:
    """The letter with what it holds sealed as a file of its own; one that holds nothing is returned as it is."""
    if letter.sealed is None:
        return letter
    envelope = Attachment(
        SEALED_FILE,
        "application/pkcs7-mime",
        seal(letter.sealed, letter.reference),
        (("smime-type", "enveloped-data"), ("name", SEALED_FILE)),
    )
    return replace(letter, attachments=(*letter.attachments, envelope), sealed=None)


def seal(sealed: Sealed, reference: str) -> bytes:
    """The envelope of one secret: whoever has the key of its certificate reads a line with the vendor's field name.

    What is encrypted is a MIME entity, as RFC 8551 section 3.1 asks, so that a mail program shows it by itself.
    """
    # 30 ms that only a mail with an envelope pays, and not every start.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs7  # noqa: PLC0415

    entity = EmailMessage(policy=SMTP)
    entity.set_content(f"Reference: {reference}\n{sealed.label}: {sealed.secret.reveal()}\n")
    return (
        pkcs7.PKCS7EnvelopeBuilder()
        .set_data(entity.as_bytes())
        .set_content_encryption_algorithm(AES256)
        .add_recipient(x509.load_pem_x509_certificate(sealed.certificate.pem.encode()))
        .encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])
    )
