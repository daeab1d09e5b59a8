"""A real browser for the pages, where there is one."""

import os
import shutil

import pytest

CHROMIUM = os.environ.get("GRADIENTHUB_TEST_CHROMIUM") or shutil.which("chromium")


@pytest.fixture
async def window():
    """A factory of pages in windows of their own, logged in: `await window(home, "anna")`."""
    playwright = pytest.importorskip("playwright.async_api")
    if not CHROMIUM:
        pytest.skip("needs Chromium: install it, or name it in GRADIENTHUB_TEST_CHROMIUM")
    async with playwright.async_playwright() as engine:
        # --no-sandbox: a test machine is often root in a container, where Chromium's cannot work.
        browser = await engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        async def make(home, name, width=1280, **options):
            context = await browser.new_context(
                viewport={"width": width, "height": 900}, locale="en-GB",
                **{"timezone_id": "Europe/Berlin", **options},
            )  # fmt: skip
            page = await context.new_page()
            page.faults = []
            page.on("pageerror", lambda error: page.faults.append(str(error)))
            await page.goto(home.url("/login"))
            await page.fill("#username_input", name)
            await page.fill("#password_input", "any")
            await page.click("#login_submit")
            await page.wait_for_url("**/hub/home")
            return page

        yield make
        await browser.close()
