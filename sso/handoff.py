"""A hand-off: what a vendor must be told, and the page on which a secret is collected once and answered for.

`handoff_of` gathers what is told, `facts_of` names it, `new_page` opens its page, `judge` decides every press of a
button there. Link and code are two proofs that travel two ways: the page's row keeps the hash of each and neither.
"""

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, assert_never
from urllib.parse import urlsplit

from sso.model import ClientId, Key, KeyId, ObjectId, OperationId, Secret, fingerprint
from vendors.profile import OidcProfile, Profile, RolloverMode
from vendors.smime import PinnedCertificate

PageState = Literal["open", "collected", "acknowledged", "locked", "lapsed", "replaced"]
Action = Literal["collect", "acknowledge", "activate", "problem"]
Outcome = Literal[
    "collected",  # this caller, and no other, may be shown the secret once the page is written
    "acknowledged",
    "activates",  # the new signing certificate is to sign from now on
    "reported",
    "wrong_code",
    "locks",  # the wrong code that locked the page
    "ill_formed_code",
    "code_not_sent",
    "collect_first",
    "activate_first",
    "nothing_to_activate",
    "activated_already",
    "told_by_another_mail",
    "nothing_to_collect",
    "collected_already",
    "acknowledged_already",
    "locked",
    "lapsed",
    "replaced",
]

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes, base64url without padding
WRONG_CODES = 5  # that many lock the page (design: hand-off)

# Of characters that look or sound alike one stands or none (0 O D Q, 1 I L, 2 Z, 5 S, 6 G, 8 B, U V). That leaves 23,
# a prime, so one weighted sum catches every single wrong character and every swap of neighbours, as ISBN-10 does.
CODE_ALPHABET = "23456789ACEFHJKMNPRTWXY"
CODE_LENGTH = 10  # nine drawn (41 bits, five guesses), one to check them
LONGEST_CODE_TEXT = 64  # what people type around ten characters; longer text is no code
_DASHES_AND_SPACES = re.compile(r"[\s\-\u00ad\u2010-\u2015\u2212\u200b\ufeff]+")


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


@dataclass(frozen=True)
class Page:
    """One hand-off's page, a ledger row."""

    token_hash: str  # SHA-256 of the link's token, hexadecimal; the token itself is kept nowhere
    key: Key
    operation: OperationId
    reference: str  # "GH-XXXXXXXX", from the facts: the same for link, code and repeats
    facts: str
    to: Literal["owner", "vendor"]
    owner: ObjectId
    credential: str | None  # key ID or thumbprint that an acknowledgement is for
    secret: bool  # whether a client secret is collected here
    values: tuple[tuple[str, str], ...]  # public (field label, value), in the profile's order
    parameters: tuple[tuple[str, str], ...]  # (title, value)
    state: PageState
    created: datetime
    changed: datetime
    valid_until: datetime
    code_salt: str | None
    code_hash: str | None
    attempts: int
    link_mailed: datetime | None
    code_mailed: datetime | None
    etag: str | None = None  # of the ledger row
    collected: datetime | None = None  # kept when the page locks or lapses later: what was shown is known
    reminded: datetime | None = None  # when the last reminder was made of it, because nobody had acknowledged
    warned: datetime | None = None  # when the owner was warned that the old secret ends unreplaced
    lock_told: datetime | None = None  # when the owner was told that wrong codes locked it
    activates: bool = False  # whether "activate now" stands on it
    activated: datetime | None = None  # when that was pressed
    woken: datetime | None = None  # when the operations that wait for the press were told of it

    @property
    def lock_untold(self) -> bool:
        """True where the owner does not know yet that wrong codes locked this page."""
        return self.state == "locked" and self.lock_told is None

    @property
    def unfinished(self) -> bool:
        """True where a press was recorded, and whoever waits for what it does has not heard of it yet."""
        return self.lock_untold or (self.activated is not None and self.woken is None)


@dataclass(frozen=True)
class Verdict:
    """What a press of a button comes to.

    Where `page` is given it is written first, by ETag, and nothing is answered before: a guess that is cut off
    anywhere was counted or told nobody anything, and of ten at once one wins.
    """

    outcome: Outcome
    page: Page | None = None


# What is told ---------------------------------------------------------------------------------------------------------


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


def reference_of(facts: str) -> str:
    """`GH-` and eight characters by which people name a hand-off; never a proof of anything."""
    return f"GH-{_characters(int(facts, 16), 8)}"


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


# Link and code --------------------------------------------------------------------------------------------------------


def token_from(random: bytes) -> str:
    """The token of a link, of 32 random bytes."""
    if len(random) != 32:
        msg = f"a token needs 32 random bytes, got {len(random)}"
        raise ValueError(msg)
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def token_hash_of(token: str) -> str:
    """What the ledger keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def page_url(public_url: str, token: str) -> str:
    """The address of a page."""
    return f"{public_url.rstrip('/')}/api/handoffs/{token}"


def code_from(random: bytes) -> str:
    """A code of at least 16 random bytes, as people read it: `ABCDE-FGHJK`."""
    if len(random) < 16:
        msg = f"a code needs at least 16 random bytes, got {len(random)}"
        raise ValueError(msg)
    drawn = _characters(int.from_bytes(random), CODE_LENGTH - 1)
    code = drawn + CODE_ALPHABET[-_weighted(drawn) % len(CODE_ALPHABET)]
    return f"{code[:5]}-{code[5:]}"


def read_code(text: str) -> str | None:
    """The ten characters that somebody typed; None for what cannot be a code, which is not an attempt."""
    if len(text) > LONGEST_CODE_TEXT:
        return None
    code = _DASHES_AND_SPACES.sub("", text).upper()
    if len(code) != CODE_LENGTH or not set(code) <= set(CODE_ALPHABET) or _weighted(code) % len(CODE_ALPHABET):
        return None
    return code


def hash_code(code: str, salt: str) -> str:
    """What the ledger keeps of a code: slow enough (4 MB, some 20 ms) that a stolen row is no code for years."""
    return hashlib.scrypt(code.encode(), salt=salt.encode(), n=2**12, r=8, p=1, dklen=32).hex()


def _weighted(code: str) -> int:
    """The sum that is 0 modulo 23 for a code: weights 10 to 1, so neighbours differ and none is 0."""
    return sum((CODE_LENGTH - place) * CODE_ALPHABET.index(character) for place, character in enumerate(code))


def _characters(number: int, count: int) -> str:
    base = len(CODE_ALPHABET)
    return "".join(CODE_ALPHABET[number // base**place % base] for place in range(count))


# The page -------------------------------------------------------------------------------------------------------------


def new_page(handoff: Handoff, operation: OperationId, token: str, now: datetime) -> Page:
    """Open the page of a hand-off; its code comes with `with_code`, when it is mailed."""
    facts = facts_of(handoff)
    return Page(
        token_hash=token_hash_of(token),
        key=handoff.key,
        operation=operation,
        reference=reference_of(facts),
        facts=facts,
        to=handoff.to,
        owner=handoff.owner,
        # What "activate now" adds has no name yet.
        credential=None if awaits_certificate(handoff) else handoff.credential,
        secret=handoff.secret_label is not None and not handoff.secret_in_mail,
        values=tuple((value.label, value.text) for value in handoff.values),
        parameters=handoff.parameters,
        state="open",
        created=now,
        changed=now,
        valid_until=now + timedelta(days=handoff.valid_days),
        code_salt=None,
        code_hash=None,
        attempts=0,
        link_mailed=None,
        code_mailed=None,
        activates=handoff.announcement is not None and handoff.announcement.activates,
    )


def with_link(page: Page, token: str, now: datetime) -> Page:
    """The same page under a new link, whose mail is still to be sent; the row of the old link is `closed`."""
    return replace(page, token_hash=token_hash_of(token), changed=now, link_mailed=None, etag=None)


def with_code(page: Page, code: str, salt: str, now: datetime) -> Page:
    """The same page under a new code, whose mail is still to be sent."""
    typed = read_code(code)
    if typed is None:
        msg = "a page takes only a code that `code_from` made"
        raise ValueError(msg)
    return replace(page, code_salt=salt, code_hash=hash_code(typed, salt), attempts=0, code_mailed=None, changed=now)


def as_reminder(page: Page, token: str, valid_days: int, now: datetime) -> Page:
    """The same page under a new link, whose mail is still to be sent, and with new time; its code stays as told."""
    return replace(with_link(page, token, now), reminded=now, valid_until=now + timedelta(days=valid_days))


def next_reminder(page: Page, profile: Profile) -> datetime:
    """When the link is mailed again unless somebody acknowledges before: at the latest when the last one ends."""
    credential = profile.oidc.secret if isinstance(profile, OidcProfile) else profile.saml.certificate
    days = min(credential.remind_days, profile.handoff.valid_days)
    return (page.link_mailed or page.created) + timedelta(days=days)


def closed(page: Page, now: datetime) -> Page:
    """The page of a link that a newer one replaces."""
    return replace(page, state="replaced", changed=now)


def acknowledged(page: Page, now: datetime) -> Page:
    """The page after its acknowledgement was recorded."""
    return replace(page, state="acknowledged", changed=now)


def state_at(page: Page, now: datetime) -> PageState:
    """The state that a page shows: an unfinished one lapses by time alone, without a write."""
    return "lapsed" if page.state in ("open", "collected") and now >= page.valid_until else page.state


def secret_is_spent(page: Page) -> bool:
    """True where the secret was shown and nobody acknowledged it: the next hand-off needs another secret."""
    return page.collected is not None and page.state != "acknowledged"


def judge(page: Page, action: Action, code: str, now: datetime) -> Verdict:
    """Decide what pressing a button comes to; slow by the hash of the code, and the same for a right and a wrong one.

    Only a well-formed code on a page that takes the action is an attempt. It is counted in the same write that
    carries what it came to, so there is no guess that was compared and not counted.
    """
    state = state_at(page, now)
    if (finished := _finished(state, action, page)) is not None:
        return Verdict(finished)
    typed = read_code(code)
    if typed is None:
        return Verdict("ill_formed_code")
    if page.code_hash is None or page.code_salt is None:
        return Verdict("code_not_sent")
    attempts = page.attempts + 1
    if not hmac.compare_digest(hash_code(typed, page.code_salt), page.code_hash):
        if attempts >= WRONG_CODES:
            return Verdict("locks", replace(page, attempts=attempts, state="locked", changed=now))
        return Verdict("wrong_code", replace(page, attempts=attempts, changed=now))
    right = replace(page, attempts=0, changed=now)
    match action:
        case "collect":
            return Verdict("collected", replace(right, state="collected", collected=now))
        case "acknowledge":
            # The state follows by `acknowledged` once the acknowledgement is recorded, so that a killed request can
            # be repeated.
            return Verdict("acknowledged", right)
        case "activate":
            return Verdict("activates", replace(right, activated=now))
        case "problem":
            return Verdict("reported", right)
        case _:
            assert_never(action)


def _finished(state: PageState, action: Action, page: Page) -> Outcome | None:
    """What is answered without looking at the code, because the page shows it to everyone who has the link."""
    match state:
        case "locked" | "lapsed" | "replaced":
            return state
        case "acknowledged":
            return "acknowledged_already"
        case "open":
            if action == "acknowledge" and page.secret:
                return "collect_first"
        case "collected":
            if action == "collect":
                return "collected_already"
        case _:
            assert_never(state)
    if action == "collect" and not page.secret:
        return "nothing_to_collect"
    return _not_to_activate(action, page)


def _not_to_activate(action: Action, page: Page) -> Outcome | None:
    """What keeps a new certificate from being activated, or from being confirmed before it is."""
    if action == "activate":
        if not page.activates:
            return "nothing_to_activate"
        return "activated_already" if page.activated else None
    if action != "acknowledge" or not page.activates:
        return None
    if page.activated is None:
        return "activate_first"
    return "told_by_another_mail" if page.credential is None else None


def credential_to_collect(page: Page) -> KeyId | None:
    """The key ID of the secret that this page shows, if it shows one."""
    return KeyId(page.credential) if page.secret and page.credential is not None else None
