"""From the click on Start to a cell that was computed, in a browser: warm, cold, DockerSpawner."""

import asyncio
import shutil
from statistics import median

from harness import arguments, hub, show
from playwright.async_api import async_playwright
from visitor import STEPS, story


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
                _, found = await story(await context.new_page(), running, name)
                await context.close()
                await running.stop(name)
                if number:  # the first one also loads the disk's cache
                    taken[kind].append(found)
        await browser.close()
    for kind, rows in taken.items():
        print(
            f"{kind}: "
            + ", ".join(
                f"{step} {median(row[at] for row in rows):.2f} s" for at, step in enumerate(STEPS)
            )
        )
    for kind in ("warm", "cold"):
        for at, step in enumerate(STEPS):
            own, other = (median(row[at] for row in taken[which]) for which in (kind, "theirs"))
            show(f"{kind}, click to {step}", own, other)


asyncio.run(main())
