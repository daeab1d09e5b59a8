"""Request -> ready of one cold start, ours and DockerSpawner's, in turn."""

import asyncio
from statistics import median

from harness import arguments, hub, show, spread


async def main() -> None:
    args = arguments(starts=6)
    taken: dict[str, list[float]] = {"ours": [], "theirs": []}
    # In turn, so that a slow minute of the machine hits both.
    async with hub("ours", proxy=args.proxy) as ours, hub("theirs", proxy=args.proxy) as theirs:
        for running in (ours, theirs):
            await running.add_users(["warmup", *(f"u{n}" for n in range(args.starts))])
            await running.start("warmup")
            await running.stop("warmup")
        for number in range(args.starts):
            for running in (ours, theirs):
                taken[running.which].append(await running.start(f"u{number}"))
                await running.stop(f"u{number}")
    for which, values in taken.items():
        print(f"{which}: {spread(values)}")
    show("cold, request to ready, median", median(taken["ours"]), median(taken["theirs"]))


asyncio.run(main())
