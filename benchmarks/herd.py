"""Many starts at once, `--pool` of them warm: when the first, the median and the last are ready."""

import asyncio
from statistics import median

from harness import Hub, arguments, hub, show, spread


async def herd(running: Hub, count: int, pool: int) -> list[float]:
    names = [f"u{number}" for number in range(count)]
    await running.add_users(["warmup", *names])
    await running.start("warmup")
    await running.stop("warmup")
    if running.which == "ours" and pool:
        await running.until_warm(pool)
    return sorted(await asyncio.gather(*(running.start(name) for name in names)))


async def main() -> None:
    args = arguments(starts=16, width=0, pool=0)
    taken = {}
    for which in ("ours", "theirs"):
        async with hub(
            which, proxy=args.proxy, stage_width=args.width or None, warm=args.pool
        ) as running:
            taken[which] = await herd(running, args.starts, args.pool)
            print(f"{which}: {spread(taken[which])}")
    for name, pick in (("first", min), ("median", median), ("last", max)):
        show(f"{args.starts} at once, {name}", pick(taken["ours"]), pick(taken["theirs"]))


asyncio.run(main())
