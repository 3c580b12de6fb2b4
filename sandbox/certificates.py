"""Real key pairs and self-signed certificates, as Entra makes them for SAML signing."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha1

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class SigningPair:
    """A private key and the certificate that shows its public half."""

    private_key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        """Return the certificate's bytes."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def thumbprint(self) -> str:
        """Return the SHA-1 thumbprint in upper-case hex, the form `preferredTokenSigningKeyThumbprint` takes."""
        return thumbprint_bytes(self.certificate).hex().upper()


def thumbprint_bytes(certificate: x509.Certificate) -> bytes:
    """Return the raw SHA-1 over the certificate: Graph's customKeyIdentifier is its base64."""
    return sha1(certificate.public_bytes(Encoding.DER), usedforsecurity=False).digest()


def make_signing_pair(common_name: str, starts: datetime, ends: datetime) -> SigningPair:
    """Make an RSA-2048 key and its self-signed certificate; takes a tenth of a second of processor time."""
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        # Entra dates the certificate some minutes back, so that a relying party with a slow clock accepts it.
        .not_valid_before(starts - timedelta(minutes=10))
        .not_valid_after(ends)
        .sign(private_key, SHA256())
    )
    return SigningPair(private_key, certificate)


async def make_signing_pair_aside(common_name: str, starts: datetime, ends: datetime) -> SigningPair:
    """Make a signing pair in a thread, so that the other services go on answering."""
    return await asyncio.to_thread(make_signing_pair, common_name, starts, ends)
