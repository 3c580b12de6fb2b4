"""Every mail as a person reads it: on a phone and on a desk, by day and by night, with the keyboard alone."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Literal

import pytest
from playwright.async_api import Browser, Page

from clients.envelope import enclosed
from clients.render import render_mail
from sso.handoff import Handoff
from sso.handoff_letters import compose_code, compose_handoff
from sso.letters import Letter
from sso.model import Secret
from sso.operation import Waiting
from sso.summary import Managed, Night, compose_summary
from tests.handoff.given import CODE, NOW, ORGANISATION, OWNER, handoff
from tests.handoff.test_mails import LETTERS, LINK
from tests.handoff.test_sealed import sealed
from tests.rules.test_summary import SMARTTRACE, managed, operation, secret, with_secrets

pytestmark = pytest.mark.browser

WIDTHS = (320, 360, 1280)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LONG = "A sentence about something that went wrong, with https://a.very.long.example/address/" + "without/an/end" * 20
# The WCAG's ratio between a text and what is behind it; anything less is hard to read (WCAG 2.2, 1.4.3).
FAINT = """() => {
    const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const found = rgb(getComputedStyle(element).backgroundColor);
            if (found.length < 4 || found[3] > 0) return found;
        }
        return [255, 255, 255];
    };
    const faint = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (!texts.currentNode.textContent.trim() || element.tagName === "STYLE") continue;
        const [one, other] = [luminance(rgb(getComputedStyle(element).color)), luminance(behind(element))];
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (ratio < 4.5) faint.push(texts.currentNode.textContent.trim().slice(0, 40) + " " + ratio.toFixed(2));
    }
    return faint;
}"""

# Short words that are torn apart between two lines.
TORN = """() => {
    const torn = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        for (const word of texts.currentNode.textContent.matchAll(/(?<!\\S)[A-Za-z]{2,14}(?!\\S)/g)) {
            const range = document.createRange();
            range.setStart(texts.currentNode, word.index);
            range.setEnd(texts.currentNode, word.index + word[0].length);
            if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1) torn.push(word[0]);
        }
    }
    return torn;
}"""


def told(hand_off: Handoff, *, secret: Secret | None = None, reminder: bool = False) -> Letter:
    """A hand-off's letter."""
    return compose_handoff(
        hand_off,
        organisation=ORGANISATION,
        owner=OWNER,
        page_url=LINK,
        valid_until=NOW,
        secret=secret,
        reminder=reminder,
    )


def full_night() -> Night:
    """A night with something under most headings."""
    late = with_secrets(secret("old", NOW + timedelta(days=3)), secret("by-hand", NOW, mark=LONG))
    long_wait = Waiting("acknowledgement", "support@vendor.example", NOW - timedelta(days=20))
    applications: tuple[Managed, ...] = (late, managed("clicktime"))
    return Night(
        applications=applications,
        without_value=((SMARTTRACE, secret("lost", NOW + timedelta(days=90))),),
        unfinished=(operation(waiting_for=long_wait),) * 50,
        queues={"rotations-poison": 1},
        unread=(LONG,),
    )


MAILS: dict[str, Callable[[], Letter]] = {
    **{name: partial(compose, LONG) for name, compose in LETTERS.items()},
    "code": lambda: compose_code(handoff(), organisation=ORGANISATION, owner=OWNER, code=CODE, valid_until=NOW),
    "reminder to owner": lambda: told(handoff(), reminder=True),
    "reminder to vendor": lambda: told(handoff("ilogon_mha"), reminder=True),
    "certificate to owner": lambda: told(handoff("clicktime")),
    "sealed": lambda: enclosed(told(sealed(), secret=Secret("a secret"))),
    "plain": lambda: told(replace(handoff("ilogon_mha"), plain=True), secret=Secret("a secret")),
    "full summary": lambda: compose_summary(full_night(), "2026-09-01", NOW, organisation=ORGANISATION),
    "quiet summary": lambda: compose_summary(Night(), "2026-09-01", NOW, organisation=ORGANISATION),
}


@pytest.fixture
async def reader(browser: Browser) -> AsyncIterator[Page]:
    """A mail program that shows HTML and fetches nothing."""
    context = await browser.new_context(offline=True, java_script_enabled=True)
    page = await context.new_page()
    page.set_default_timeout(10_000)
    yield page
    await context.close()


@pytest.mark.parametrize("mail", MAILS)
async def test_a_mail_fits_is_legible_and_needs_no_mouse(mail: str, reader: Page) -> None:
    """At no width it scrolls sideways or tears words; in light and dark all text stands out; Tab reaches its links."""
    said: list[str] = []
    reader.on("console", lambda message: said.append(message.text))
    reader.on("request", lambda request: said.append(request.url))
    await reader.set_content(render_mail(MAILS[mail]()).html)
    for width in WIDTHS:
        await reader.set_viewport_size({"width": width, "height": 800})
        assert await reader.evaluate("document.documentElement.scrollWidth") <= width, width
        assert await reader.evaluate(TORN) == [], width
    for scheme in SCHEMES:
        await reader.emulate_media(color_scheme=scheme)
        assert await reader.evaluate(FAINT) == [], scheme
    assert await reader.evaluate("document.documentElement.lang") == "en"
    assert await reader.locator("h1").count() == 1
    links = [await link.get_attribute("href") for link in await reader.locator("a").all()]
    reached = []
    for _ in links:
        await reader.keyboard.press("Tab")
        reached.append(await reader.evaluate("document.activeElement.getAttribute('href')"))
    assert reached == links
    assert all(str(link).startswith("https://") for link in links)
    assert all([(await link.inner_text()).strip() for link in await reader.locator("a").all()])
    assert said == []
