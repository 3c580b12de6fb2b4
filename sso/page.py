"""A hand-off's page: link and code open it, a secret is collected there once, and it is answered for.

`new_page` opens it, `judge` decides every press of a button. Link and code are two proofs that travel two ways: the
page's row keeps the hash of each and neither.
"""

import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, assert_never

from sso.codes import hash_code, read_code, reference_of, token_hash_of
from sso.handoff import Handoff, awaits_certificate, facts_of
from sso.model import Key, KeyId, ObjectId, OperationId
from vendors.profile import OidcProfile, Profile

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

WRONG_CODES = 5  # that many lock the page (design: hand-off)


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


def page_url(public_url: str, token: str) -> str:
    """The address of a page."""
    return f"{public_url.rstrip('/')}/api/handoffs/{token}"


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
