"""From the click on Start to a cell that was computed, in a browser: warm, cold, DockerSpawner."""

import asyncio
import shutil
import time
from statistics import median
from typing import Any

from harness import Hub, arguments, hub, show
from playwright.async_api import Page, async_playwright

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


async def story(page: Page, running: Hub, name: str) -> list[float]:
    """Seconds from the click to each of STEPS."""
    await log_in(page, running, name)
    button = await to_the_button(page, running)
    taken = []
    began = time.monotonic()

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
    return taken


async def main() -> None:
    args = arguments(starts=4)
    taken: dict[str, list[list[float]]] = {"warm": [], "cold": [], "theirs": []}
    async with (
        hub("ours", proxy=args.proxy, warm=1) as warm,
        hub("ours", proxy=args.proxy) as cold,
        hub("theirs", proxy=args.proxy) as theirs,
        async_playwright() as engine,
    ):
        browser = await engine.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for number in range(args.starts + 1):
            for kind, running in (("warm", warm), ("cold", cold), ("theirs", theirs)):
                name = f"u{number}"
                if kind == "warm":
                    await running.until_warm(1)
                # Its own storage, and so nothing is cached for the second one.
                context = await browser.new_context()
                found = await story(await context.new_page(), running, name)
                await context.close()
                await running.stop(name)
                if number:  # the first one also loads the disk's cache
                    taken[kind].append(found)
        await browser.close()
    for kind, rows in taken.items():
        print(f"{kind}: " + ", ".join(
            f"{step} {median(row[at] for row in rows):.2f} s" for at, step in enumerate(STEPS)
        ))  # fmt: skip
    for kind in ("warm", "cold"):
        for at, step in enumerate(STEPS):
            show(f"{kind}, click to {step}", *(
                median(row[at] for row in taken[which]) for which in (kind, "theirs")
            ))  # fmt: skip


asyncio.run(main())
