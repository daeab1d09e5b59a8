"""Request -> ready of a warm start, beside DockerSpawner's start of the same image, in turn."""

import asyncio
from statistics import median, quantiles

from harness import arguments, hub, show, spread


async def main() -> None:
    args = arguments(starts=8, pool=2)
    taken: dict[str, list[float]] = {"ours": [], "theirs": []}
    async with (
        hub("ours", proxy=args.proxy, warm=args.pool) as ours,
        hub("theirs", proxy=args.proxy) as theirs,
    ):
        for running in (ours, theirs):
            await running.add_users(["warmup", *(f"u{n}" for n in range(args.starts))])
        await theirs.start("warmup")
        await theirs.stop("warmup")
        for number in range(args.starts):
            await ours.until_warm(args.pool)
            for running in (ours, theirs):
                taken[running.which].append(await running.start(f"u{number}"))
                await running.stop(f"u{number}")
    for which, values in taken.items():
        print(f"{which}: {spread(values)}", " ".join(f"{v:.3f}" for v in values))
    show("warm, request to ready, median", median(taken["ours"]), median(taken["theirs"]))
    tail = quantiles(taken["ours"], n=20, method="inclusive")[-1]
    print(f"warm, p95: {tail:.3f} s, {tail / median(taken['ours']):.2f} x p50")


asyncio.run(main())
