"""gradienthub warm: the servers that wait for a start; pause and resume the pool."""

import argparse
from datetime import datetime

from ..ledger import warm_slots
from ..rules.duration import format_duration
from .columns import aligned
from .commands import Commands
from .desk import Desk, on_desk
from .health import say_if_old


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub warm` and what it can do."""
    parser = subparsers.add_parser(
        "warm",
        help="the servers that wait for a start; pause and resume them",
        description="Notebook servers that were started before anybody asked.",
    )
    acts = parser.add_subparsers(required=True, metavar="ACT")
    for name, act, says in (
        ("list", _list, "every warm server, and how many starts had one"),
        ("pause", _pause, "end them all and start no more, until resumed"),
        ("resume", _resume, "fill the pool again"),
    ):
        command = acts.add_parser(name, help=says, description=says[0].upper() + says[1:] + ".")
        on_desk(command, act)


def _list(desk: Desk, _args: argparse.Namespace) -> None:
    pool = desk.ledger.read(warm_slots.read_overview, desk.hub_id, desk.now)
    header = ("INSTANCE TYPE", "RUNTIME", "HOST", "DEVICES", "STATE", "MEMORY", "SINCE")
    if pool.servers:
        print(aligned([header, *(_row(server, desk.now) for server in pool.servers)]))
    wanted = sum(pool.count for pool in desk.settings.pools)
    print(f"{len(pool.servers)} of {wanted} warm servers.")
    if pool.paused:
        print(f"Paused by {pool.paused[0]} since {pool.paused[1]:%Y-%m-%d %H:%M} UTC.")
    print(f"{pool.hits} of {pool.starts} starts of the last 24 h had one.")
    say_if_old(desk)


def _row(server: warm_slots.WarmServer, now: datetime) -> tuple[str, ...]:
    slot = server.slot
    return (
        slot.instance_type,
        slot.runtime,
        slot.host,
        ", ".join(slot.devices) or "-",
        slot.state,
        f"{slot.used / 10**6:.0f} MB" if slot.used else "-",
        format_duration(now - server.since),
    )


def _pause(desk: Desk, _args: argparse.Namespace) -> None:
    desk.ledger.write(warm_slots.pause, desk.by)
    print("Paused: the hub ends all warm servers within seconds, and every start is cold.")


def _resume(desk: Desk, _args: argparse.Namespace) -> None:
    was = desk.ledger.write(warm_slots.resume, desk.hub_id)
    print("Resumed." if was else "It was not paused.")
