"""Certificates as vendors have them made for S/MIME, good ones and each kind of bad one."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

STARTS = datetime(2026, 1, 1, tzinfo=UTC)
MAIL = (ExtendedKeyUsageOID.EMAIL_PROTECTION,)


@dataclass(frozen=True)
class Vendor:
    """What the vendor has: the certificate that it gives away, and the key that it keeps."""

    certificate: str
    key: str


def vendor(
    *addresses: str,
    key: str = "rsa 2048",
    days: int = 3650,
    encipherment: bool | None = True,
    purposes: Sequence[x509.ObjectIdentifier] | None = MAIL,
    subject: str | None = None,
) -> Vendor:
    """A vendor's certificate for these addresses; None leaves an extension or the subject's address out."""
    private = _key(key)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "Vendor"),
            *([x509.NameAttribute(NameOID.EMAIL_ADDRESS, subject)] if subject else []),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(7)
        .not_valid_before(STARTS)
        .not_valid_after(STARTS + timedelta(days=days))
    )
    if addresses:
        names = [x509.RFC822Name(address) for address in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if encipherment is not None:
        others = dict.fromkeys(
            ("data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False
        )
        usage = x509.KeyUsage(digital_signature=True, content_commitment=False, key_encipherment=encipherment, **others)
        builder = builder.add_extension(usage, critical=True)
    if purposes is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    signed = builder.sign(private, SHA256())
    kept = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Vendor(signed.public_bytes(Encoding.PEM).decode(), kept.decode())


@functools.cache
def _key(kind: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """One key of each kind, because making one takes a while."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, int(kind.split()[1]))
