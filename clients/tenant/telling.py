"""Steps that tell people: hand-off, code, change of owner. A page's row is written before its mail is sent."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Literal

from clients.graph.together import attempted, together
from clients.ledger import Changed
from clients.mail import Ready
from clients.tenant.credentials import prove_certificate, prove_published
from clients.tenant.parts import RACES, READ_PAUSE, Parts, Work
from sso import permissions, steps
from sso.codes import code_from, token_from
from sso.errors import GatehouseError, NotReady
from sso.evidence import hints
from sso.handoff import Handoff, facts_of
from sso.handoff_letters import compose_code, compose_handoff
from sso.letters import Asked, Letter, compose_owner_changed
from sso.model import KeyId, ObjectId, Principal, Thumbprint
from sso.observed import Observed
from sso.page import Page, as_reminder, closed, new_page, page_url, with_code, with_link
from sso.renewal_letters import compose_certificate_renewal, compose_credential_ending
from sso.request import Onboarding
from sso.steps import ApplicationSettings
from sso.told import handoff
from vendors.profile import SamlProfile

_log = logging.getLogger(__name__)


async def change_owner(parts: Parts, step: steps.ChangeOwner, work: Work) -> Observed:
    """Tell the owner so far, then write the new one: cut in between, the mail is sent once more."""
    new = await parts.find_principal(work.request.owner)
    if step.old and new:
        letter = compose_owner_changed(
            work.request.key,
            work.profile.name,
            organisation=parts.organisation,
            old_owner=step.old,
            new_owner=new,
            operation=work.operation.id,
            asked=_asked(work.request),
        )
        await parts.mail(letter)
    await parts.graph.update_application(work.application, ApplicationSettings(tags=step.tags))
    return replace(work.observed, application=replace(work.application, tags=step.tags), owner=new)


async def mail_handoff(parts: Parts, work: Work, now: datetime) -> Observed:
    """Mail the link to a new page and close the older ones; a cut mail call doubles that mail alone."""
    told, token = _told(parts, work, now), token_from(secrets.token_bytes(32))
    await _prove(parts, work, told)
    return await _mail_link(parts, work, told, _page_to_mail(work, told, token, now), token, now)


async def mail_both(
    parts: Parts, work: Work, now: datetime
) -> tuple[Observed | GatehouseError, Observed | GatehouseError]:
    """Mail link and code of a new page at the same moment, by two calls: each is noted and repeated by itself."""
    told = _told(parts, work, now)
    token, code = token_from(secrets.token_bytes(32)), code_from(secrets.token_bytes(16))
    opening = _page_to_mail(work, told, token, now)
    # Hashing, proving and writing take their time beside one another; what is written goes out only once all is well.
    coded, _, link, by_code = await together(
        _with_code(opening, code, now),
        _prove(parts, work, told),
        _ready(parts, _link_letter(parts, work, told, opening, token)),
        _ready(parts, _code_letter(parts, work, told, opening, code)),
    )
    page = await _open(parts, work, coded, now)
    noting = asyncio.Lock()

    async def tell(mail: Ready, stamped: Callable[[Page], Page]) -> None:
        nonlocal page
        await parts.mailer.post(mail)
        async with noting:
            page = await _stamp(parts, page, stamped)

    sent = await attempted(
        tell(link, lambda found: replace(found, link_mailed=now)),
        tell(by_code, lambda found: replace(found, code_mailed=now)),
    )
    observed = replace(work.observed, page=page)
    return sent[0] or observed, sent[1] or observed


async def _ready(parts: Parts, letter: Awaitable[Letter]) -> Ready:
    return parts.ready(await letter)


async def remind(parts: Parts, work: Work, now: datetime) -> Observed:
    """Mail the hand-off again with a new link and new time; the code stays the one that was told."""
    told, older = _told(parts, work, now), work.observed.page
    if older is None:
        msg = f"The page of {work.request.key} cannot be read yet."
        raise NotReady(msg, retry_after=READ_PAUSE)
    token = token_from(secrets.token_bytes(32))
    used = await _used(parts, work, told)
    return await _mail_link(parts, work, told, as_reminder(older, token, told.valid_days, now), token, now, used)


async def _used(parts: Parts, work: Work, told: Handoff) -> tuple[str, ...]:
    """What the report says of the secret that is told and of the one before it; nothing where it cannot be read."""
    promoted = [v for v in work.observed.versions if v.name == told.key.secret_name and v.key_id == told.credential]
    if parts.settings.cloud != "global" or not promoted:
        return ()
    asked = work.request.rotation
    try:
        if not permissions.has(permissions.REPORTS, (await parts.graph.identity()).roles):
            return ()
        new = await parts.graph.last_use(KeyId(told.credential or ""))
        old = await parts.graph.last_use(KeyId(asked.succeeds)) if asked else None
    except GatehouseError as error:
        _log.info("The report of credential use could not be read for %s: %s", told.key, error)
        return ()
    return hints(new, old, max(version.created for version in promoted))


def _page_to_mail(work: Work, told: Handoff, token: str, now: datetime) -> Page:
    """A new page, or the one whose mail was cut: its row stood before its mail, and it goes on under another link."""
    older = work.observed.page
    resumed = older and older.facts == facts_of(told) and older.state in {"open", "collected"} and not older.link_mailed
    return with_link(older, token, now) if older and resumed else new_page(told, work.operation.id, token, now)


async def _prove(parts: Parts, work: Work, told: Handoff) -> None:
    """See that the certificate that is told is what signs, or what is published beside it."""
    if not isinstance(work.profile, SamlProfile):
        return
    if told.credential == work.service_principal.active_thumbprint:
        await prove_certificate(parts, work)
    else:
        await prove_published(parts, work, Thumbprint(told.credential or ""))


async def _open(parts: Parts, work: Work, page: Page, now: datetime) -> Page:
    """Write the page of a link, and close the others."""
    page = await parts.ledger.add_page(page)
    if work.observed.page:
        await _close_others(parts, page, now)
    return page


async def _mail_link(
    parts: Parts, work: Work, told: Handoff, page: Page, token: str, now: datetime, used: tuple[str, ...] = ()
) -> Observed:
    """Open the page of a link, mail the link, and note that the mail was taken."""
    page = await _open(parts, work, page, now)
    await parts.mail(await _link_letter(parts, work, told, page, token, used))
    return replace(work.observed, page=await _stamp(parts, page, lambda found: replace(found, link_mailed=now)))


async def _link_letter(
    parts: Parts, work: Work, told: Handoff, page: Page, token: str, used: tuple[str, ...] = ()
) -> Letter:
    secret = None
    if told.secret_in_mail and told.credential:
        secret = await parts.vault.read_secret(work.request.key, KeyId(told.credential))
    owner, address = await _owner(parts, work, ObjectId(told.owner)), page_url(parts.settings.public_url, token)
    if told.announcement:
        return compose_certificate_renewal(
            told,
            told.announcement,
            organisation=parts.organisation,
            owner=owner,
            page_url=address,
            valid_until=page.valid_until,
            reminder=page.reminded is not None,
        )
    return compose_handoff(
        told,
        organisation=parts.organisation,
        owner=owner,
        page_url=address,
        valid_until=page.valid_until,
        asked=_asked(work.request),
        secret=secret,
        reminder=page.reminded is not None,
        used=used,
    )


async def mail_code(parts: Parts, work: Work, now: datetime) -> Observed:
    """Mail a new code, by a call of its own."""
    page = work.observed.page
    if page is None:
        msg = f"The page of {work.request.key} cannot be read yet."
        raise NotReady(msg, retry_after=READ_PAUSE)
    code = code_from(secrets.token_bytes(16))
    page = await parts.ledger.replace_page(await _with_code(page, code, now))
    await parts.mail(await _code_letter(parts, work, _told(parts, work, now), page, code))
    return replace(work.observed, page=await _stamp(parts, page, lambda found: replace(found, code_mailed=now)))


async def _with_code(page: Page, code: str, now: datetime) -> Page:
    # The hash takes 20 ms on purpose; other invocations go on meanwhile.
    return await asyncio.to_thread(with_code, page, code, secrets.token_hex(16), now)


async def _code_letter(parts: Parts, work: Work, told: Handoff, page: Page, code: str) -> Letter:
    return compose_code(
        told,
        organisation=parts.organisation,
        owner=await _owner(parts, work, work.request.owner),
        code=code,
        valid_until=page.valid_until,
    )


async def _owner(parts: Parts, work: Work, owner: ObjectId) -> Principal | None:
    """Whom an object ID names: as this run has read it, else looked up."""
    known = work.observed.owner
    return known if known and known.object_id == owner else await parts.find_principal(owner)


async def warn_of_end(parts: Parts, step: steps.WarnOfEnd, work: Work, now: datetime) -> Observed:
    """Tell owner and operators when the old secret ends, then note it: cut in between, they are told once more."""
    owner = await _owner(parts, work, work.request.owner)
    told = _told(parts, work, now)
    what: Literal["client secret", "signing certificate"] = (
        "signing certificate" if isinstance(work.profile, SamlProfile) else "client secret"
    )
    letter = compose_credential_ending(told, what, organisation=parts.organisation, owner=owner, ends=step.ends)
    await parts.mail(letter)
    page = work.observed.page
    return replace(
        work.observed, page=await _stamp(parts, page, lambda found: replace(found, warned=now)) if page else None
    )


def _told(parts: Parts, work: Work, now: datetime) -> Handoff:
    told = handoff(work.profile, work.request, work.observed, parts.deployment, now)
    if told is None:
        msg = f"What the hand-off of {work.request.key} tells is not there yet."
        raise NotReady(msg, retry_after=READ_PAUSE)
    return told


async def _close_others(parts: Parts, current: Page, now: datetime) -> None:
    for page in await parts.ledger.pages(current.key):
        if page.token_hash != current.token_hash and page.state in {"open", "collected"}:
            try:
                await parts.ledger.replace_page(closed(page, now))
            except Changed:
                continue  # its holder was faster; the next hand-off closes it


async def _stamp(parts: Parts, page: Page, stamped: Callable[[Page], Page]) -> Page:
    """Note that a mail about a page was taken, whoever opened the page meanwhile."""
    for _ in range(RACES):
        try:
            return await parts.ledger.replace_page(stamped(page))
        except Changed:
            page = await parts.ledger.find_page(page.token_hash) or page
    msg = "The hand-off's page changes faster than it can be written."
    raise NotReady(msg, retry_after=READ_PAUSE)


def _asked(request: Onboarding) -> Asked:
    return Asked(request.requested_by, request.ticket)
