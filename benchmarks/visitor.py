"""A person at a browser: logs in, clicks on Start, opens the launcher, computes a cell."""

import time
from typing import Any

from harness import Hub
from playwright.async_api import Page

STEPS = ("the server's page", "its launcher", "an idle kernel", "a computed cell")
PATIENCE = 120_000


async def log_in(page: Page, running: Hub, name: str) -> None:
    """Dummy's login asks for no password."""
    await page.goto(f"{running.url}/hub/login?next=%2Fhub%2Fhome")
    await page.fill("#username_input", name)
    await page.fill("#password_input", "benchmark")
    await page.click("#login_submit")
    await page.wait_for_url("**/hub/home")


async def to_the_button(page: Page, running: Hub) -> Any:
    """What is clicked to start, on our form or on JupyterHub's own page."""
    if running.which == "theirs":
        return page.locator("#start")
    await page.goto(f"{running.url}/hub/new")
    await page.check("[name=shutdown_after][value='1h']", force=True)
    return page.locator(".gh-bar button.btn-primary")


async def story(page: Page, running: Hub, name: str) -> tuple[float, list[float]]:
    """The moment of the click (seconds since 1970), and seconds from it to each of STEPS."""
    await log_in(page, running, name)
    button = await to_the_button(page, running)
    taken = []
    clicked, began = time.time(), time.monotonic()

    def so_far() -> None:
        taken.append(time.monotonic() - began)

    await button.click(no_wait_after=True)
    await page.wait_for_url(f"**/user/{name}/**", timeout=PATIENCE, wait_until="commit")
    so_far()
    card = page.locator(".jp-LauncherCard[data-category='Notebook'] >> nth=0")
    await card.wait_for(timeout=PATIENCE)
    so_far()
    await card.click()
    cell = page.locator(".jp-Notebook .jp-Cell .cm-content").first
    await cell.wait_for(timeout=PATIENCE)
    # JupyterLab drops what is run before the kernel is there.
    await page.get_by_text("| Idle").wait_for(timeout=PATIENCE)
    so_far()
    await cell.click()
    await page.keyboard.insert_text("print(6 * 7)")
    await page.keyboard.press("Shift+Enter")
    await page.locator(".jp-OutputArea-output", has_text="42").wait_for(timeout=PATIENCE)
    so_far()
    return clicked, taken
