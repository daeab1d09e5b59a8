"""gradienthub warm: the servers that wait for a start; pause and resume the pool."""

import argparse
from datetime import UTC, datetime

from ..ledger import By, Ledger, warm_slots
from ..rules.duration import format_duration
from ..settings import Settings
from . import config
from .columns import aligned
from .commands import Commands
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
        config.add_config_option(command)
        command.set_defaults(run=run, act=act)


def run(args: argparse.Namespace) -> int:
    """Do one act on the hub's ledger; the hub sees it within seconds."""
    hub = config.load(args.config)
    now = datetime.now(UTC)
    with config.open_ledger(hub) as ledger:
        args.act(ledger, hub.settings, now)
        if args.act is _list:
            say_if_old(hub, ledger, now)
    return 0


def _list(ledger: Ledger, settings: Settings, now: datetime) -> None:
    pool = ledger.read(warm_slots.read_overview, settings.hub_id, now)
    header = ("INSTANCE TYPE", "RUNTIME", "HOST", "DEVICES", "STATE", "MEMORY", "SINCE")
    if pool.servers:
        print(aligned([header, *(_row(server, now) for server in pool.servers)]))
    wanted = sum(pool.count for pool in settings.pools)
    print(f"{len(pool.servers)} of {wanted} warm servers.")
    if pool.paused:
        print(f"Paused by {pool.paused[0]} since {pool.paused[1]:%Y-%m-%d %H:%M} UTC.")
    print(f"{pool.hits} of {pool.starts} starts of the last 24 h had one.")


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


def _pause(ledger: Ledger, settings: Settings, now: datetime) -> None:
    ledger.write(warm_slots.pause, By(settings.hub_id, f"cli {config.os_user()}", now))
    print("Paused: the hub ends all warm servers within seconds, and every start is cold.")


def _resume(ledger: Ledger, settings: Settings, _now: datetime) -> None:
    was = ledger.write(warm_slots.resume, settings.hub_id)
    print("Resumed." if was else "It was not paused.")
