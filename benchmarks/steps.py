"""Where the time of a cold start goes, from the click on Start to a computed cell: a table.

Each moment is written by whoever it happens to: the browser, the ledger, the engine's events, the
log of the notebook server. All are on one machine, and so on one clock.
"""

import asyncio
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import median

from harness import Hub, arguments, hub
from playwright.async_api import async_playwright
from visitor import STEPS, story

#: What the log of a notebook server says when it comes to a step.
SAID = {
    "its Python has imported JupyterLab and the first line is logged": "",
    "configuration and extensions are read": "Serving notebooks from local directory",
}


def from_ledger(running: Hub) -> tuple[str, dict[str, float]]:
    """The container of the newest lease, and the moments that its row has."""
    with sqlite3.connect(running.folder / "data" / "gradienthub.sqlite") as ledger:
        row = ledger.execute(
            "SELECT object_name, admitted_at, turn_at, answered_at FROM leases"
            " ORDER BY admitted_at DESC LIMIT 1"
        ).fetchone()
    names = (
        "admitted: a device is yours",
        "the image is there, and a turn",
        "our probe is answered",
    )
    return row[0], dict(zip(names, map(moment, row[1:]), strict=True))


def moment(text: str) -> float:
    """Seconds since 1970 of the ledger's text, which is in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def from_engine(container: str, since: float) -> dict[str, float]:
    """When the engine had made it and had started it."""
    said = subprocess.check_output(
        [
            "docker",
            "events",
            "--since",
            f"{since:.3f}",
            "--until",
            "0s",
            "--filter",
            f"container={container}",
            "--format",
            "{{json .}}",
        ],
        text=True,
    )
    at = {event["Action"]: event["timeNano"] / 1e9 for event in map(json.loads, said.splitlines())}
    return {"the container is made": at["create"], "the container runs": at["start"]}


def from_log(container: str) -> Iterator[tuple[str, float]]:
    """When the notebook server came to its steps, by its log."""
    said = subprocess.run(
        ["docker", "logs", "--timestamps", container],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ).stdout.splitlines()
    for step, words in SAID.items():
        line = next(line for line in sorted(said) if words in line)
        yield step, datetime.fromisoformat(line.split()[0][:26]).replace(tzinfo=UTC).timestamp()


async def main() -> None:
    args = arguments(starts=5)
    taken: dict[str, list[float]] = {}
    async with hub("ours", proxy=args.proxy) as running, async_playwright() as engine:
        browser = await engine.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for number in range(args.starts + 1):
            name = f"u{number}"
            context = await browser.new_context()
            clicked, seen = await story(await context.new_page(), running, name)
            container, moments = from_ledger(running)
            moments |= from_engine(container, clicked)
            moments |= dict(from_log(container))
            moments |= {step: clicked + after for step, after in zip(STEPS, seen, strict=True)}
            await context.close()
            await running.stop(name)
            if not number:  # the first one also loads the disk's cache
                continue
            before = clicked
            for step, at in sorted(moments.items(), key=lambda one: one[1]):
                taken.setdefault(step, []).append(at - before)
                before = at
        await browser.close()
    whole = 0.0
    for step, spans in taken.items():
        whole += median(spans)
        print(f"{median(spans) * 1000:7.0f} ms  {whole:6.2f} s  {step}")


asyncio.run(main())
