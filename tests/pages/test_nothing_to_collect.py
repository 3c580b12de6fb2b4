"""The page of a hand-off whose secret came by another way, encrypted or with none: there is only a yes to give."""

import pytest
from playwright.async_api import Browser

from tests.pages.desk import Desk, Handoff

pytestmark = pytest.mark.browser

WIDTHS = (320, 360, 1280)


async def test_the_keyboard_alone_says_that_it_works(desk: Desk, handoff: Handoff, browser: Browser) -> None:
    """No button shows a secret, nothing scrolls sideways, and code and Enter confirm what was installed."""
    await desk.change(handoff, secret=False)
    context = await browser.new_context(ignore_https_errors=True)
    page = await context.new_page()
    page.set_default_timeout(10_000)
    await page.goto(handoff.link)
    assert [await button.inner_text() for button in await page.locator("form button").all()][:1] == [
        "Installed and tested"
    ]
    assert "The values stand in the mail with this reference" in await page.inner_text("main")
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await page.keyboard.press("Tab")
    await page.keyboard.type(handoff.code)
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Thank you").wait_for()
    await page.goto(handoff.link)
    assert await page.inner_text("h1") == "This hand-off is done"
    await context.close()
