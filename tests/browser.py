"""A headless browser for the tests that need one: the machine's own chromium, else the one Playwright fetched."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Error, async_playwright


@contextlib.asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Lend a browser; without one the test is skipped, or fails where GATEHOUSE_REQUIRE_BROWSER is set."""
    own = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        try:
            # Chromium refuses to sandbox its pages as root, which containers are; the pages are our own.
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
            browser = await playwright.chromium.launch(executable_path=own, args=arguments)
        except Error as error:
            missing = "no browser: install chromium, or let `make browser` fetch one"
            if os.environ.get("GATEHOUSE_REQUIRE_BROWSER"):
                pytest.fail(f"{missing} ({error.message.splitlines()[0]})")
            pytest.skip(missing)
        try:
            yield browser
        finally:
            await browser.close()
