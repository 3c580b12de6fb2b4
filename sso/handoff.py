"""A hand-off: what a vendor must be told. `handoff_of` gathers it and `facts_of` names it; its page: `sso/page.py`."""

import base64
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from sso.model import ClientId, Key, ObjectId, Secret, fingerprint
from vendors.profile import OidcProfile, Profile, RolloverMode
from vendors.smime import PinnedCertificate


@dataclass(frozen=True)
class IdentityProvider:
    """Our tenant as one vendor sees it: everything that the addresses handed out are made of."""

    tenant_id: str
    authority_url: str
    client_id: ClientId
    certificate_der: bytes | None = None


@dataclass(frozen=True)
class Value:
    """One public value beside the vendor's own field name; a certificate is a file as well."""

    label: str
    text: str
    file: str | None = None


@dataclass(frozen=True)
class Announcement:
    """A signing certificate that takes the place of the one in use, as its hand-off tells of it."""

    mode: RolloverMode
    old_ends: datetime
    thumbprint: str | None  # of the new one; None: it is added by "activate now"
    starts: datetime | None
    ends: datetime | None
    signs_from: datetime | None  # where nobody has to press anything
    metadata_url: str
    certificate: Value | None  # the new one as a file

    @property
    def activates(self) -> bool:
        """Whether the page has the button "activate now"."""
        return self.thumbprint is None or self.mode == "single"


@dataclass(frozen=True)
class Handoff:
    """Everything that one hand-off tells, except link, code and time."""

    key: Key
    vendor: str  # the vendor's display name
    to: Literal["owner", "vendor"]
    contact: str | None
    code_to: str | None
    owner: ObjectId
    tenant_id: str
    values: tuple[Value, ...]
    parameters: tuple[tuple[str, str], ...]  # (title, value)
    credential: str | None
    secret_label: str | None  # the vendor's field for the client secret, where one is delivered
    plain: bool  # the secret stands in the mail itself
    sealed_for: PinnedCertificate | None  # the secret is in the mail, encrypted to this certificate
    steps: tuple[str, ...]
    provisioning: Literal["just-in-time", "manual", "scim"]
    guide: str
    try_url: str | None
    valid_days: int
    announcement: Announcement | None = None  # of a signing certificate that is renewed

    @property
    def secret_in_mail(self) -> bool:
        """Whether the secret travels with the mail, so that the page has nothing to collect."""
        return self.secret_label is not None and (self.plain or self.sealed_for is not None)


def public_values(provider: IdentityProvider) -> dict[str, str]:
    """Every public value that a profile may deliver, by its name there (graph-contract section 1: no call needed)."""
    tenant = f"{provider.authority_url.rstrip('/')}/{provider.tenant_id}"
    values = {
        "tenant_id": provider.tenant_id,
        "client_id": provider.client_id,
        # Without `appid` the metadata lists the tenant's own keys, which sign nothing for this application.
        "metadata_url": f"{tenant}/federationmetadata/2007-06/federationmetadata.xml?appid={provider.client_id}",
        "login_url": f"{tenant}/saml2",
        "logout_url": f"{tenant}/saml2",
        "entra_identifier": f"https://{_issuer_host(provider.authority_url)}/{provider.tenant_id}/",
        "discovery_url": f"{tenant}/v2.0/.well-known/openid-configuration",
        "user_access_url": (
            f"https://launcher.myapps.microsoft.com/api/signin/{provider.client_id}?tenantId={provider.tenant_id}"
        ),
    }
    if provider.certificate_der is not None:
        values |= dict.fromkeys(("certificate_base64", "certificate_pem"), pem(provider.certificate_der))
    return values


def _issuer_host(authority_url: str) -> str:
    """The host of the SAML issuer, which in China is another (graph-contract section 1)."""
    host = urlsplit(authority_url).hostname or ""
    return "sts.chinacloudapi.cn" if host.endswith(".cn") else "sts.windows.net"


def pem(der: bytes) -> str:
    """Armour a certificate (RFC 7468), as Entra's download "Certificate (Base64)" does."""
    body = base64.b64encode(der).decode()
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def certificate_file(key: Key, der: bytes) -> Value:
    """A certificate as a file of its own, whatever the profile delivers."""
    return Value("New certificate", pem(der), f"{key.vendor}-{key.instance}-new.cer")


def admin_consent_url(provider: IdentityProvider) -> str:
    """Where an administrator consents for everyone (learn.microsoft.com/entra/identity-platform/v2-admin-consent)."""
    return f"{provider.authority_url.rstrip('/')}/{provider.tenant_id}/adminconsent?client_id={provider.client_id}"


def handoff_of(
    profile: Profile,
    key: Key,
    provider: IdentityProvider,
    *,
    owner: ObjectId,
    parameters: Mapping[str, str],
    credential: str | None,
    plain_allowed: bool = False,
    announcement: Announcement | None = None,
) -> Handoff:
    """Gather what is told; raises `ValueError` where the profile delivers a value that does not exist (yet)."""
    told = profile.handoff
    available = public_values(provider)
    if missing := [name for name in told.deliver if name != "client_secret" and name not in available]:
        msg = f"{key} must deliver {', '.join(missing)}, which it does not have; add the certificate first"
        raise ValueError(msg)
    files = {
        "certificate_base64": f"{key.vendor}-{key.instance}.cer",
        "certificate_pem": f"{key.vendor}-{key.instance}.pem",
    }
    return Handoff(
        key=key,
        vendor=profile.name,
        to=told.to,
        contact=told.contact,
        code_to=told.code_to,
        owner=owner,
        tenant_id=provider.tenant_id,
        values=tuple(
            Value(told.fields[name], available[name], files.get(name))
            for name in told.deliver
            if name != "client_secret"
        ),
        parameters=tuple(
            (one_line(parameter.title), one_line(parameters[name]))
            for name, parameter in profile.parameters.items()
            if name in parameters
        ),
        credential=credential,
        secret_label=told.fields["client_secret"] if "client_secret" in told.deliver else None,
        plain=told.plain and plain_allowed,
        sealed_for=told.smime.pinned if told.smime else None,
        steps=tuple(told.steps),
        provisioning=profile.people.provisioning,
        guide=profile.guide,
        try_url=None if _hidden(profile) else available["user_access_url"],
        valid_days=told.valid_days,
        announcement=announcement,
    )


def _hidden(profile: Profile) -> bool:
    """True where the application is not in My Apps, so that its user access URL leads nowhere (design: consent)."""
    return isinstance(profile, OidcProfile) and profile.oidc.sign_on_url is None


def unsealable(profile: Profile, now: datetime) -> str | None:
    """Why the secret cannot be encrypted to the vendor now, and what to do; None where it can, or need not be."""
    pinned = profile.handoff.smime.pinned if profile.handoff.smime else None
    problem = pinned.problem_at(now) if pinned else None
    if problem is None:
        return None
    return (
        f"The S/MIME certificate that the profile of {profile.name} pins {problem}, so no secret can be sent to"
        f" {profile.handoff.contact}. Ask the vendor for a new one and put it into [handoff.smime] certificate."
    )


def facts_of(handoff: Handoff) -> str:
    """The fingerprint of everything that a hand-off tells: the same facts are not mailed twice.

    Not of who asked and with which ticket: another request for the same facts is no news. The parts are named one by
    one, so that a field added to the code mails nobody again.
    """
    return fingerprint(
        *("handoff", str(handoff.key), handoff.vendor, handoff.to, handoff.contact or "", handoff.code_to or ""),
        *(handoff.owner, handoff.tenant_id, handoff.credential or "", handoff.secret_label or "", str(handoff.plain)),
        *("values", *(part for value in handoff.values for part in (value.label, value.text))),
        *("parameters", *(part for pair in handoff.parameters for part in pair)),
        *("steps", *handoff.steps, handoff.provisioning, handoff.guide, handoff.try_url or "", str(handoff.valid_days)),
        *(("sealed for", handoff.sealed_for.thumbprint) if handoff.sealed_for else ()),
        # Once there is a new certificate the credential says so, before and after it signs.
        *(("to be renewed",) if awaits_certificate(handoff) else ()),
    )


def awaits_certificate(handoff: Handoff) -> bool:
    """Whether a new signing certificate is announced that only "activate now" adds."""
    return handoff.announcement is not None and handoff.announcement.thumbprint is None


def one_line(text: str, longest: int = 200) -> str:
    """Text from outside as one line: what breaks, hides or reverses text becomes a space, too much is cut.

    So no request can write a line of its own into a mail, such as another `Page:`.
    """
    unseen = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    shown_text = "".join(" " if unicodedata.category(character) in unseen else character for character in text)
    line = " ".join(shown_text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def shown(secret: Secret) -> str:
    """Open a secret for those whom it is for: the one who collects it, or the plain mail that a profile asks for."""
    return secret.reveal()
