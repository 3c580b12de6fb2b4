"""A throw-away certificate authority: made at each start, trusted by nobody but the sandbox and its app."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class LoopbackCertificate:
    """Files for whoever serves on 127.0.0.1, and for whoever calls there."""

    authority: Path
    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """TLS for a server on 127.0.0.1."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client_context(self) -> ssl.SSLContext:
        """TLS for a client that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.authority))


def issue_loopback_certificate(folder: Path) -> LoopbackCertificate:
    """Make an authority and one certificate for 127.0.0.1 and localhost, and write them into `folder`."""
    authority = trustme.CA(organization_name="Gatehouse sandbox")
    issued = authority.issue_cert("127.0.0.1", "localhost")
    files = LoopbackCertificate(folder / "authority.pem", folder / "certificate.pem", folder / "key.pem")
    authority.cert_pem.write_to_path(str(files.authority))
    for part in issued.cert_chain_pems:
        part.write_to_path(str(files.certificate), append=True)
    files.key.touch(mode=0o600)
    issued.private_key_pem.write_to_path(str(files.key))
    return files
