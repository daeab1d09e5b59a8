"""gradienthub adopt: what becomes of a hub that had another spawner, and the lines to write."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..ledger import volumes
from ..ledger.accounts import NoSuchAccount
from ..rules.traits import Fate
from . import config, desk
from .commands import Commands

if TYPE_CHECKING:
    from .adoption_plan import AdoptionPlan, TraitTold

WIDTH = 16


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub adopt` and its options."""
    parser = subparsers.add_parser(
        "adopt",
        help="what becomes of a hub that had another spawner, and the lines to write",
        description="Reads a hub's configuration and prints what stays, what changes, the lines to"
        " write, and a plan for what runs and for old volumes. Changes nothing, except with --bind"
        " and --unbind, which say whose an old volume is; run these beside or before the hub.",
    )
    config.add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--bind",
        metavar="VOLUME=USER",
        action="append",
        default=[],
        help="this old volume, or folder of the engine's machine, is this user's for good",
    )
    parser.add_argument(
        "--unbind", metavar="VOLUME", action="append", default=[], help="it is nobody's again"
    )
    parser.add_argument(
        "--bind-all",
        action="store_true",
        help="every old volume of adopted_volumes is of the user it is named after; for a hub whose"
        " names were never given to somebody else",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the plan, or bind volumes."""
    if args.bind or args.unbind or args.bind_all:
        return _bind(args)
    from . import adoption_plan  # noqa: PLC0415 - loads the whole of JupyterHub

    plan = adoption_plan.plan_of(config.read_unwired(args.config), args.config)
    print(json.dumps(asdict(plan), indent=2, default=str) if args.json else page(plan))
    return 0


def page(plan: "AdoptionPlan") -> str:
    """Lay the plan out for a terminal."""
    return "\n".join(_lines(plan))


def _lines(plan: "AdoptionPlan") -> Iterator[str]:
    yield f"{plan.file}: {plan.spawner}. {plan.verdict}"
    for fate, title in (
        (Fate.KEPT, "What stays"),
        (Fate.OURS, "What GradientHub sets from now on"),
        (Fate.NONE, "What has no effect any more"),
    ):
        rows = [row for row in plan.traits if row.fate == fate.words]
        if rows:
            yield f"\n{title}:"
        for row in rows:
            mark = " (a callable: what it does is seen when a notebook starts)"
            written = " (the lines below take it over)" if _is_taken_over(plan, row) else ""
            yield f"  {row.name}: {row.why}{'' if row.judged else mark}{written}"
            if row.instead:
                yield f"{'':<{WIDTH}}instead: {row.instead}"
    if plan.one_line:
        yield "\nThe one line to write, as the last of the file, with its import:\n"
        yield "    from gradienthub import configure\n"
        yield f"    {plan.one_line}"
        yield "\nIt does the same as these lines, which you may write instead:\n"
    else:
        yield "\nThe lines to write:\n"
    for line in plan.lines:
        yield from (f"    {part}".rstrip() for part in line.split("\n"))
    if plan.remove:
        yield "\nand remove:\n"
        yield from (f"    {name}" for name in plan.remove)
    for note in plan.notes:
        yield f"\n! {note}"
    yield from _engine_lines(plan)
    yield "\nThen:"
    yield from (f"  {number}. {step}" for number, step in enumerate(plan.steps, 1))


def _is_taken_over(plan: "AdoptionPlan", row: "TraitTold") -> bool:
    """Return whether what stays is written anew, as part of the volumes is."""
    again = any(line.startswith(f"{row.name} =") for line in plan.lines)
    return row.fate == Fate.KEPT.words and (again or row.name in plan.remove)


def _engine_lines(plan: "AdoptionPlan") -> Iterator[str]:
    if plan.engine_away:
        yield f"\nThe engine does not answer, and nothing is known of what runs: {plan.engine_away}"
    if plan.running:
        yield "\nNotebooks that run now:"
        for seen in plan.running:
            has = ", ".join(seen.asked) or "no GPU"
            yield f"  {seen.name} ({seen.user or 'nobody known'}): {has}"
        yield (
            "  They run on outside of GradientHub: shown to their owners and on Fleet, neither"
            " billed nor stopped,\n  and nobody else gets their GPUs. Their owners or you stop"
            " them; started anew they are rented."
        )
    if plan.volumes:
        yield "\nOld volumes:"
        for volume in plan.volumes:
            whose = f"bound to {volume.account}" if volume.account else f"of {volume.user}, by name"
            yield f"  {volume.name}, made {volume.made or 'nobody knows when'}: {whose}"


# -- whose a volume is ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Wish:
    volume: str
    user: str


def _bind(args: argparse.Namespace) -> int:
    wishes = [_wish(text) for text in args.bind]
    hub = config.load(args.config)
    if args.bind_all:
        from . import adoption_plan  # noqa: PLC0415 - as above

        wishes += [_Wish(v.name, v.user) for v in adoption_plan.volumes_of(hub.config)[0]]
    code = 0
    with desk.open_desk(hub) as at:
        for volume in args.unbind:
            gone = at.ledger.write(volumes.unbind, at.by, volume)
            print(f"{volume}: {'nobody has it now' if gone else 'nobody had it'}")
        for wish in wishes:
            code = max(code, _bind_one(at, wish))
    return code


def _wish(text: str) -> _Wish:
    volume, equals, user = text.rpartition("=")
    if not (volume and equals and user):
        raise config.UsageFault(f"--bind {text!r}: write the volume, = and the user's name")
    return _Wish(volume, user)


def _bind_one(at: desk.Desk, wish: _Wish) -> int:
    try:
        account = at.account(wish.user)
    except NoSuchAccount as fault:
        print(f"{wish.volume}: not bound: {fault.args[0]}")
        return 1
    owner = at.ledger.write(volumes.bind, at.by, wish.volume, account.id)
    if owner != account.id:
        print(
            f"{wish.volume}: not bound: it is another account's;"
            f" gradienthub adopt --unbind {wish.volume} takes it from them"
        )
        return 1
    print(f"{wish.volume}: {account.name}'s for good; shown from their next start")
    return 0
