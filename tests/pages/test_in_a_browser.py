"""The page as a person meets it: in a browser, with a mouse, a keyboard or a phone."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
from playwright.async_api import Browser, Page

from sandbox.graph.passwords import CANARY
from sso.codes import read_code
from tests.pages.desk import WRONG, Desk, Handoff

pytestmark = pytest.mark.browser

PRESSES = 50
TABS = 3
WIDTHS = (320, 360, 1280)
ARBITRARY = (
    *(
        "",
        " ",
        "0",
        "-----",
        "null",
        "undefined",
        "ABCDE-FGHJK",
        "OOOOO-OOOOO",
        "Ｃｏｄｅ",
        "码" * 10,
        "🔑🔑",
        "\u202eKJHGF-EDCBA",
    ),
    *("' OR '1'='1", "<script>alert(1)</script>", "{{ 7 * 7 }}", "${7*7}", "%00", "../../health", "A" * 10_000),
)
# A hundred and fifty presses as a person makes them, each waiting for the page to be still, would take a minute.
PRESS = """([name, text]) => {
    document.querySelector("details").open = true;
    document.querySelector("#code").value = text;
    document.querySelector("#text").value = text;
    document.querySelector(`button[value=${name}]`).click();
}"""
FOCUSED = "document.activeElement.value || document.activeElement.id || document.activeElement.tagName"


@pytest.fixture
async def visitor(browser: Browser) -> AsyncIterator[Page]:
    """A person with a fresh browser, which nobody else has used."""
    context = await browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    page.set_default_timeout(10_000)
    yield page
    await context.close()


def arbitrary(seed: int) -> list[str]:
    """Fifty texts, none of which is a well-formed code: the odd ones, and ten random characters each."""
    drawn = random.Random(seed)
    texts = list(ARBITRARY)
    while len(texts) < PRESSES:
        text = "".join(drawn.choices("23456789ACEFHJKMNPRTWXYabcdefghijkmnopqrstuvwxyz-_ ", k=10))
        if read_code(text) is None:
            texts.append(text)
    return texts


async def press_often(visitor: Page, handoff: Handoff, buttons: Sequence[str]) -> None:
    """Press each of these buttons fifty times, with nothing and with anything, in a few tabs at once."""

    async def in_a_tab(presses: Sequence[tuple[str, str]]) -> None:
        tab = await visitor.context.new_page()
        await tab.goto(handoff.link)
        for press in presses:
            async with tab.expect_navigation(wait_until="commit"):
                await tab.evaluate(PRESS, press)
            await tab.wait_for_selector(".alarm", state="attached")
        await tab.close()

    presses = [(name, text) for name in buttons for text in arbitrary(len(name))]
    await asyncio.gather(*(in_a_tab(presses[first::TABS]) for first in range(TABS)))


async def test_whoever_has_no_code_changes_nothing(desk: Desk, handoff: Handoff, visitor: Page) -> None:
    """Every button, each in the state of the page that has it, fifty times without a code: nothing happens to the page.

    Afterwards the right code collects, and then confirms, as if nobody had been there.
    """
    before, mails = await desk.row(handoff), len(await desk.world.mailbox())
    await press_often(visitor, handoff, ("collect", "problem"))
    assert await desk.row(handoff) == before
    await visitor.goto(handoff.link)
    await visitor.fill("#code", handoff.code)
    await visitor.click("button[value=collect]")
    assert CANARY in await visitor.inner_text("dl.values")
    before = await desk.row(handoff)
    await press_often(visitor, handoff, ("acknowledge",))
    assert await desk.row(handoff) == before
    assert len(await desk.world.mailbox()) == mails
    await visitor.fill("#code", handoff.code)
    await visitor.click("button[value=acknowledge]")
    assert await visitor.inner_text("h1") == "Thank you"


async def test_the_keyboard_reaches_everything(handoff: Handoff, visitor: Page) -> None:
    """Tab goes from the code to its button, to the report and its button, then to the guide; Enter collects."""
    await visitor.goto(handoff.link)
    reached = []
    for _ in range(3):
        await visitor.keyboard.press("Tab")
        reached.append(await visitor.evaluate(FOCUSED))
    assert reached == ["code", "collect", "SUMMARY"]
    await visitor.keyboard.press("Enter")
    for expected in ("text", "problem", "A"):
        await visitor.keyboard.press("Tab")
        assert expected == await visitor.evaluate(FOCUSED)
    await visitor.get_by_label("Code").focus()
    await visitor.keyboard.type(handoff.code)
    await visitor.keyboard.press("Enter")
    assert CANARY in await visitor.inner_text("dl.values")


async def test_new_certificate_is_activated_by_whoever_has_the_code(desk: Desk, visitor: Page) -> None:
    """The button fits a phone and a desk, does nothing without the code, and is reached and pressed by keyboard."""
    await desk.open("clicktime")
    handoff = await desk.renew("clicktime")
    before = await desk.row(handoff)
    await press_often(visitor, handoff, ("activate",))
    assert await desk.row(handoff) == before
    await visitor.goto(handoff.link)
    for width in WIDTHS:
        await visitor.set_viewport_size({"width": width, "height": 800})
        assert await visitor.evaluate("document.documentElement.scrollWidth") <= width
    await visitor.keyboard.press("Tab")
    await visitor.keyboard.type(handoff.code)
    await visitor.keyboard.press("Tab")
    assert await visitor.evaluate(FOCUSED) == "activate"
    await visitor.keyboard.press("Enter")
    assert await visitor.inner_text("h1") == "The new certificate is being activated"
    await visitor.goto(handoff.link)
    assert await visitor.locator("button[value=activate]").count() == 0
    assert await visitor.locator("button[value=acknowledge]").count() == 1


async def test_a_refusal_says_where_it_belongs(handoff: Handoff, visitor: Page) -> None:
    """After a wrong code the field has the focus and names its error; after an empty report the report has."""
    await visitor.goto(handoff.link)
    await visitor.get_by_label("Code").fill(WRONG)
    await visitor.get_by_role("button", name="Show the values, once").click()
    field = visitor.locator(":focus")
    assert await field.get_attribute("id") == "code"
    assert "error" in (await field.get_attribute("aria-describedby") or "")
    assert "That code is wrong" in await visitor.get_by_role("alert").inner_text()
    await visitor.get_by_text("Report a problem").click()
    await visitor.get_by_role("button", name="Send the report").click()
    assert await visitor.locator(":focus").get_attribute("id") == "text"
    await visitor.get_by_label("What does not fit?").fill("The redirect URI is refused.")
    await visitor.get_by_role("button", name="Send the report").click()
    assert await visitor.get_by_label("What does not fit?").input_value() == "The redirect URI is refused."


async def test_no_width_scrolls_sideways(desk: Desk, handoff: Handoff, visitor: Page) -> None:
    """Every state of the page fits a small phone and a desk, long values and reports included."""

    async def fits(state: str) -> None:
        for width in WIDTHS:
            await visitor.set_viewport_size({"width": width, "height": 800})
            assert await visitor.evaluate("document.documentElement.scrollWidth") <= width, (state, width)

    await visitor.goto(handoff.link)
    await fits("open")
    await visitor.evaluate("document.querySelector('details').open = true")
    await visitor.fill("#text", "A" * 2000)
    await visitor.click("button[value=problem]")
    await fits("a report without a code")
    await visitor.fill("#code", handoff.code)
    await visitor.click("button[value=collect]")
    await fits("values")
    await visitor.goto(handoff.link)
    await fits("collected")
    await desk.change(handoff, state="locked")
    await visitor.goto(handoff.link)
    await fits("locked")


async def test_a_value_is_selected_whole(handoff: Handoff, visitor: Page) -> None:
    """A click on a value selects exactly the value, ready to be copied."""
    await visitor.goto(handoff.link)
    await visitor.fill("#code", handoff.code)
    await visitor.click("button[value=collect]")
    for value in await visitor.locator("dl.values code").all():
        await value.click()
        assert await visitor.evaluate("getSelection().toString()") == await value.inner_text()


async def test_the_page_asks_nobody_else(handoff: Handoff, visitor: Page) -> None:
    """Each look and press is one request to the page's own address, without the code; the policy refuses nothing."""
    asked: list[tuple[str, str]] = []
    said: list[str] = []
    visitor.on("request", lambda request: asked.append((request.method, request.url)))
    visitor.on("console", lambda message: said.append(message.text))
    visitor.on("pageerror", lambda error: said.append(str(error)))
    await visitor.goto(handoff.link)
    await visitor.fill("#code", handoff.code)
    await visitor.click("button[value=collect]")
    await visitor.wait_for_selector("dl.values")
    assert [entry for entry in asked if not entry[1].endswith("/favicon.ico")] == [
        ("GET", handoff.link),
        ("POST", handoff.link),
    ]
    assert [entry for entry in said if "favicon" not in entry] == []
    assert visitor.url == handoff.link
    assert await visitor.context.cookies() == []
