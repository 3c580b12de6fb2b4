"""The vendor's page: show it, and carry out what its buttons ask.

    GET, HEAD   show    steps and a form; nothing changes, so mail scanners and previews may look
    POST        act     judge -> write the page (ETag, the one winner) -> only then the effect and the answer
    sweep       finish_presses  tell owners of locks, and operations of "activate now", where a request died before

Whoever opens the page has proved nothing: the link may be in a proxy's log. Only the code, which came another way,
opens anything, and a page never says more than the mail with its link did before the code was right.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never, cast, get_args

from clients.ledger import Changed
from clients.render import page_style_source, render_page
from clients.tenant import Tenant
from sso import notices
from sso.codes import TOKEN, token_hash_of
from sso.errors import GatehouseError
from sso.handoff import shown
from sso.handoff_letters import LONGEST_PROBLEM, compose_page_locked, compose_page_problem
from sso.letters import Letter, moment
from sso.model import Secret
from sso.notices import Hint, Notice
from sso.page import Action, Outcome, Page, acknowledged, credential_to_collect, judge, state_at
from vendors.catalog import UnknownVendorError
from vendors.parsing import ProfileError
from vendors.profile import Profile

_log = logging.getLogger(__name__)

# Every lost race means that somebody else's write won, and a page takes few: five wrong codes, one collecting.
RACES = 20
TELLING = timedelta(minutes=2)  # longer than a request that locks a page may need to tell the owner


@dataclass(frozen=True)
class PageReply:
    """One answer of the page."""

    status: int
    html: str
    headers: Mapping[str, str]


async def show(tenant: Tenant, token: str, now: datetime) -> PageReply:
    """Answer GET and HEAD; changes nothing."""
    page = await _find(tenant, token)
    if page is None:
        return _notice(tenant, notices.UNKNOWN)
    state = state_at(page, now)
    match state:
        case "locked" | "lapsed" | "replaced":
            return _notice(tenant, notices.NOTICES[state], page)
        case "acknowledged":
            return _notice(tenant, notices.NOTICES["acknowledged_already"], page)
        case "open" | "collected":
            return _form(tenant, page)
        case _:
            assert_never(state)


async def act(tenant: Tenant, token: str, form: Mapping[str, str], now: datetime) -> PageReply:
    """Answer POST: one button, always with the code."""
    page = await _find(tenant, token)
    if page is None:
        return _notice(tenant, notices.UNKNOWN)
    press = _press_of(form)
    if press is None:
        return _notice(tenant, notices.MALFORMED, page)
    if press.hint is not None and state_at(page, now) in ("open", "collected"):
        return _form(tenant, page, press.hint, press.text)
    profile = _profile(tenant, page)
    if profile is None:
        return _notice(tenant, notices.UNAVAILABLE, page)
    decided = await _decide(tenant, page, press, now)
    if decided is None:
        return _notice(tenant, notices.BUSY, page)
    outcome, page = decided
    _log.info("Hand-off page %s: %s.", page.token_hash[:8], outcome)
    return await _carry_out(tenant, page, profile, press, outcome, now)


async def finish_presses(tenant: Tenant, now: datetime) -> int:
    """Tell the owners of locked pages, and what waits for a press, where whoever pressed died; returns how many."""
    told = 0
    async for page in tenant.ledger.unfinished_pages():
        if page.changed + TELLING * tenant.settings.wait_scale >= now:
            continue  # its own request is still at it
        if page.lock_untold:
            profile = _profile(tenant, page)
            # After its time nobody needs to hear of a page.
            told += now < page.valid_until and profile is not None and await _tell_lock(tenant, page, profile, now)
        else:
            await _wake(tenant, page, now)
            told += 1
    return told


@dataclass(frozen=True)
class Press:
    """One press of a button, as the form brings it."""

    action: Action
    code: str
    text: str

    @property
    def hint(self) -> Hint | None:
        """What keeps a report from being sent, before any code is looked at."""
        if self.action != "problem" or 0 < len(self.text) <= LONGEST_PROBLEM:
            return None
        return notices.REPORT_TOO_LONG if self.text else notices.NO_REPORT


def _press_of(form: Mapping[str, str]) -> Press | None:
    """Read a form; None where it holds none of the buttons. A browser sends line breaks as CRLF."""
    if form.get("action") not in get_args(Action):
        return None
    text = "\n".join(form.get("text", "").strip().splitlines())
    return Press(cast("Action", form["action"]), form.get("code", ""), text)


async def _carry_out(
    tenant: Tenant, page: Page, profile: Profile, press: Press, outcome: Outcome, now: datetime
) -> PageReply:
    """Do what was decided and written, and answer."""
    organisation = tenant.organisation
    match outcome:
        case "collected":
            return await _collect(tenant, page, profile)
        case "acknowledged":
            await _acknowledge(tenant, page, now)
        case "activates":
            await _wake(tenant, page, now)
        case "reported":
            letter = partial(compose_page_problem, page, profile.name, press.text, organisation=organisation)
            if not await _tell(tenant, page, letter):
                return _notice(tenant, notices.NOT_MAILED, page)
        case "locks":
            await _tell_lock(tenant, page, profile, now)
        case "acknowledged_already" if press.action != "acknowledge":
            return _notice(tenant, notices.DONE_ALREADY, page)
    if outcome in notices.NOTICES:
        return _notice(tenant, notices.NOTICES[outcome], page)
    return _form(tenant, page, notices.HINTS[outcome], press.text)


async def _find(tenant: Tenant, token: str) -> Page | None:
    return await tenant.ledger.find_page(token_hash_of(token)) if TOKEN.fullmatch(token) else None


async def _decide(tenant: Tenant, page: Page, press: Press, now: datetime) -> tuple[Outcome, Page] | None:
    """Judge and write until one write wins; None where too many were at it at once."""
    for _ in range(RACES):
        # The hash of a code takes 20 ms on purpose; other requests go on meanwhile.
        verdict = await asyncio.to_thread(judge, page, press.action, press.code, now)
        if verdict.page is None:
            return verdict.outcome, page
        try:
            return verdict.outcome, await tenant.ledger.replace_page(verdict.page)
        except Changed:
            found = await tenant.ledger.find_page(page.token_hash)
            if found is None:
                return None
            page = found
    return None


async def _collect(tenant: Tenant, page: Page, profile: Profile) -> PageReply:
    """Show the values to the one who won; what fails from here on is lost, because a second reader is worse."""
    key_id = credential_to_collect(page)
    if key_id is None:
        _log.error("Hand-off page %s delivers a secret and names no key ID.", page.token_hash[:8])
        return _notice(tenant, notices.LOST, page)
    try:
        secret = await tenant.vault.read_secret(page.key, key_id)
    except GatehouseError as error:
        _log.error("Hand-off page %s: the secret could not be read: %s", page.token_hash[:8], error)
        return _notice(tenant, notices.LOST, page)
    values = {
        **_common(tenant, page, profile),
        "heading": f"The values for {page.key.display_name(profile.name)}",
        "secret_label": profile.handoff.fields["client_secret"],
        "values": _in_order(page, profile, secret),
        "steps": profile.handoff.steps,
        "can_collect": False,
        "can_activate": False,
        "can_acknowledge": True,
    }
    return _reply(200, render_page("handoff_values", values))


def _in_order(page: Page, profile: Profile, secret: Secret) -> list[tuple[str, str]]:
    """Secret and public values in the order of the vendor's own form."""
    label = profile.handoff.fields["client_secret"]
    order = [profile.handoff.fields[name] for name in profile.handoff.deliver]
    values = [*page.values, (label, shown(secret))]
    return sorted(values, key=lambda value: order.index(value[0]) if value[0] in order else len(order))


async def _acknowledge(tenant: Tenant, page: Page, now: datetime) -> None:
    """Record the acknowledgement, move the operation, and only then close the page.

    The operation waits until the page's end, and no sweep takes it up before: whoever is cut off in between finds the
    page as it was, and the press is simply repeated.
    """
    if page.credential is not None:
        await tenant.ledger.acknowledge(page.key, page.credential, f"hand-off page {page.reference}", "", now)
    await tenant.settle(page.operation, now)
    for _ in range(RACES):
        try:
            await tenant.ledger.replace_page(acknowledged(page, now))
            return
        except Changed:
            found = await tenant.ledger.find_page(page.token_hash)
            if found is None or found.state == "acknowledged":
                return
            page = found


async def _wake(tenant: Tenant, page: Page, now: datetime) -> None:
    """Let every operation of an application go on that waits for "activate now", and note it."""
    for operation in await tenant.ledger.unfinished_of(page.key):
        await tenant.settle(operation.id, now)
    try:
        await tenant.ledger.replace_page(replace(page, woken=now))
    except Changed:
        _log.info("Hand-off page %s changed while its operation was woken.", page.token_hash[:8])


async def _tell_lock(tenant: Tenant, page: Page, profile: Profile, now: datetime) -> bool:
    """Tell the owner that wrong codes locked a page, and note it; False where that failed: the sweep tries again."""
    letter = partial(compose_page_locked, page, profile.name, organisation=tenant.organisation)
    if not await _tell(tenant, page, letter):
        return False
    try:
        await tenant.ledger.replace_page(replace(page, lock_told=now))
    except Changed:
        _log.info("Hand-off page %s changed while its owner was told.", page.token_hash[:8])
    return True


async def _tell(tenant: Tenant, page: Page, compose: Callable[..., Letter]) -> bool:
    """Mail the owner as the directory knows them now; False where that failed."""
    try:
        owner = await tenant.find_principal(page.owner)
        await tenant.mail(compose(owner=owner))
    except GatehouseError as error:
        _log.error("Hand-off page %s: the owner could not be told: %s", page.token_hash[:8], error)
        return False
    return True


def _profile(tenant: Tenant, page: Page) -> Profile | None:
    try:
        return tenant.catalog.load(page.key.vendor)
    except (UnknownVendorError, ProfileError):
        _log.exception("Hand-off page %s: the profile of its vendor cannot be read.", page.token_hash[:8])
        return None


def _form(tenant: Tenant, page: Page, hint: Hint | None = None, text: str = "") -> PageReply:
    """The page with its steps and its form, and what was wrong with the last press."""
    profile = _profile(tenant, page)
    if profile is None:
        return _notice(tenant, notices.UNAVAILABLE, page)
    values = {
        **_common(tenant, page, profile),
        "heading": f"{page.key.display_name(profile.name)}: single sign-on with {tenant.settings.organisation}",
        "error": hint.sentence if hint else None,
        "error_in_code": hint is not None and hint.blames == "code",
        "error_in_text": hint is not None and hint.blames == "text",
        "text": text,
        "steps": profile.handoff.steps,
        "guide": profile.guide,
        "can_collect": page.secret and page.state == "open",
        "can_activate": page.activates and page.activated is None,
        "can_acknowledge": (not page.secret or page.state == "collected")
        and not (page.activates and (page.activated is None or page.credential is None)),
        "collected": moment(page.collected) if page.collected else None,
        "facts": (
            ("Vendor", profile.name),
            ("Instance", page.key.instance),
            ("Reference", page.reference),
            *page.parameters,
            ("Valid until", moment(page.valid_until)),
        ),
    }
    return _reply(hint.status if hint else 200, render_page("handoff_page", values))


def _common(tenant: Tenant, page: Page, profile: Profile) -> dict[str, object]:
    """What every page with a form needs."""
    return {
        "organisation": tenant.settings.organisation,
        "domain": tenant.organisation.domain,
        "vendor": profile.name,
        "reference": page.reference,
        "error": None,
        "error_in_code": False,
        "error_in_text": False,
        "text": "",
    }


def _notice(tenant: Tenant, notice: Notice, page: Page | None = None) -> PageReply:
    values = {
        "organisation": tenant.settings.organisation,
        "domain": tenant.organisation.domain,
        "reference": page.reference if page is not None else None,
        "heading": notice.heading,
        "sentence": notice.sentence,
        "alarm": notice.alarm,
    }
    return _reply(notice.status, render_page("handoff_notice", values))


def _reply(status: int, html: str) -> PageReply:
    """An answer that nothing keeps, frames, indexes or adds to."""
    policy = f"default-src 'none'; style-src {page_style_source()}; form-action 'self'; frame-ancestors 'none'"
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"{policy}; base-uri 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex",
        "X-Frame-Options": "DENY",
    }
    return PageReply(status, html, headers)
