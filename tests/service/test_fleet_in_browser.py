"""Fleet in a browser: what an administrator began to write stays with whom it was meant for."""

import os
import shutil

import pytest
from test_site import PREFIX, site  # noqa: F401 - a fixture

playwright = pytest.importorskip("playwright.async_api")

CHROMIUM = os.environ.get("GRADIENTHUB_TEST_CHROMIUM") or shutil.which("chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM, reason="needs Chromium: install it, or name it in GRADIENTHUB_TEST_CHROMIUM"
    ),
]


@pytest.fixture
async def fleet(site):  # noqa: F811
    """(the site, the Fleet page as ada sees it, with a clock that the test moves)."""
    at = await site()
    async with playwright.async_playwright() as engine:
        browser = await engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()

        # The styles and scripts are the hub's; the pages the keeper's, with ada's token.
        async def fetch(route):
            path = route.request.url.split("/@/space%20word/", 1)[1]
            if path.startswith("hub/"):
                said = await route.fetch(url=at.home.url(path.removeprefix("hub")))
            else:
                headers = route.request.headers | {"authorization": f"token {at.ada}"}
                said = await route.fetch(headers=headers, max_redirects=0)
            await route.fulfill(response=said)

        await page.route("**/*", fetch)
        await page.clock.install()
        await page.goto(f"http://127.0.0.1:{at.site.port}{PREFIX}fleet")
        yield at, page
        await browser.close()


async def refreshed(page):
    async with page.expect_response("**/fleet") as answer:
        await page.clock.run_for(16_000)
    await (await answer.value).finished()


@pytest.mark.parametrize("machine", ["free-cpu", "free-t4"])
async def test_a_half_written_stop_never_becomes_anothers(fleet, machine):
    at, page = fleet
    at.home.clock.advance(minutes=1)
    await at.home.api("DELETE", "/users/bob/server")
    assert (await at.home.start_server("bob", machine)).status == 201
    await page.reload()
    await page.get_by_text("Stop with a reason").click()
    await page.fill("[name=why]", "New driver")
    # What is newer stands before it; then bob's own is gone and eve has its place.
    at.home.clock.advance(minutes=1)
    assert (await at.home.start_server("eve", machine)).status == 201
    await refreshed(page)
    await page.get_by_role("link", name="eve").wait_for()
    written = page.locator("form", has=page.locator("[name=why]:visible"))
    assert await written.get_attribute("aria-label") == "Stop Default notebook of bob"
    assert await written.locator("[name=why]").input_value() == "New driver"
    for name in ("bob", "eve"):
        await at.home.api("DELETE", f"/users/{name}/server")
    assert (await at.home.start_server("eve", machine)).status == 201
    await refreshed(page)
    await page.get_by_role("link", name="bob").wait_for(state="detached")
    forms = page.locator("form[aria-label='Stop Default notebook of eve']")
    assert await forms.locator("[name=why]").input_value() == ""
    assert not await forms.is_visible()
