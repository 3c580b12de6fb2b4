"""The certificate that a vendor's profile pins, to which a client secret is encrypted (S/MIME, RFC 8551).

A profile is read without a clock, so an expired certificate is no fault of the file: whoever plans asks `problem_at`.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

LONGEST_PEM = 8 * 1024  # characters; a certificate has about 2 KiB
SMALLEST_KEY = 2048  # bits of RSA (RFC 8551 section 4.4)
_BEGIN = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class PinnedCertificate:
    """A vendor's certificate: what it is named by, how long it holds, and its text."""

    pem: str
    thumbprint: str  # SHA-256 of the DER form, upper-case hexadecimal
    starts: datetime
    ends: datetime

    def problem_at(self, now: datetime) -> str | None:
        """Say why nothing may be encrypted to it at this time, or None."""
        if now >= self.ends:
            return f"ended on {self.ends:%Y-%m-%d}"
        if now < self.starts:
            return f"is not valid before {self.starts:%Y-%m-%d}"
        return None


@functools.lru_cache(maxsize=256)
def pinned(pem: str) -> PinnedCertificate:
    """The certificate of a profile that was checked."""
    # 30 ms that only an app with such a profile pays, and not every start.
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    read = _read(pem)
    starts, ends = read.not_valid_before_utc, read.not_valid_after_utc
    return PinnedCertificate(pem, read.fingerprint(SHA256()).hex().upper(), starts, ends)


def certificate_problem(text: str) -> str | None:
    """Say why a text is not one certificate that RSA can encrypt to, or None."""
    if "PRIVATE KEY" in text:
        return "holds a private key: remove it, ask the vendor for a new certificate, and pin the certificate alone"
    if len(text) > LONGEST_PEM or text.count(_BEGIN) != 1:
        return (
            f"must be one certificate in PEM (RFC 7468), from {_BEGIN} to its end line; write it between three quotes"
        )
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  # as above
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415

    try:
        key = _read(text).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "cannot be read as a certificate; copy it once more, whole, or ask the vendor for one with an RSA key"
    if not isinstance(key, RSAPublicKey):
        return "must hold an RSA key, to which a secret can be encrypted; ask the vendor for such a certificate"
    if key.key_size < SMALLEST_KEY:
        return f"holds an RSA key of {key.key_size} bits; ask the vendor for one of at least {SMALLEST_KEY}"
    return _usage_problem(_read(text))


def address_problem(text: str, contact: str) -> str | None:
    """Say why a certificate is not that of an address, or None; one that cannot be read is its own problem."""
    if certificate_problem(text) is not None:
        return None
    found = tuple(_addresses(_read(text)))
    if contact.casefold() in {address.casefold() for address in found}:
        return None
    named = ", ".join(found[:3]) or "no address"
    return f"is not that of contact: it names {named}, and the mail goes to {contact}; pin the certificate of contact"


def _usage_problem(certificate: "x509.Certificate") -> str | None:
    """What its own extensions forbid, where they say anything (RFC 8551 section 4.4)."""
    from cryptography import x509  # noqa: PLC0415  # as above
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        if not usage.key_encipherment:
            return "must not be used to encrypt keys (keyUsage lacks keyEncipherment); ask for one made for encryption"
    except x509.ExtensionNotFound:
        pass
    try:
        purposes = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return None
    if not purposes & {ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}:
        return "is not made for mail (extendedKeyUsage lacks emailProtection); ask the vendor for one that is"
    return None


def _addresses(certificate: "x509.Certificate") -> Iterator[str]:
    """The mail addresses of a certificate: of subjectAltName, and of the subject as older ones have it."""
    from cryptography import x509  # noqa: PLC0415  # as above
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        yield from names.get_values_for_type(x509.RFC822Name)
    except x509.ExtensionNotFound:
        pass
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
        yield str(attribute.value)


def _read(pem: str) -> "x509.Certificate":
    from cryptography import x509  # noqa: PLC0415  # as above

    return x509.load_pem_x509_certificate(pem.encode())
