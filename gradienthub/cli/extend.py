"""gradienthub extend: keep a running notebook for one more interval."""

import argparse
from datetime import UTC, datetime
from typing import Any

from ..ledger import watches
from ..ledger.watches import Watched
from ..rules.duration import format_duration
from ..rules.refusal import Refused, shown
from . import config
from .desk import Desk


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Add `gradienthub extend` and its options."""
    parser = subparsers.add_parser(
        "extend",
        help="keep a running notebook for one more interval",
        description="What Extend on the Notebooks page does, for its owner: it is kept for one more"
        " of its intervals from now, as far as its tier allows. A session limit and the end of its"
        " money stay. The audit has who did it.",
    )
    parser.add_argument(
        "notebook",
        metavar="USER[/NOTEBOOK]",
        help="whose, and which by its title or server name; the name may be left out where only"
        " one runs",
    )
    config.add_config_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Extend it. Raises Refused where it cannot be kept longer."""
    hub = config.load(args.config)
    user, _, name = args.notebook.partition("/")
    with config.open_ledger(hub) as ledger:
        desk = Desk(ledger, hub.settings, datetime.now(UTC))
        mine = ledger.read(
            watches.listing, desk.hub_id, account_id=desk.account(user).id, state="open"
        )
        one = _named(user, name, mine)
        given = ledger.write(
            watches.extend_lease,
            one.id,
            tiers=hub.settings.house.tiers,
            actor=desk.actor,
            grace=hub.settings.policy.grace,
            now=desk.now,
        )
    if isinstance(given, Refused):
        raise given
    ends = given.ending(hub.settings.policy.grace)
    print(
        f"{user}/{given.title}: stops at {ends.at:%Y-%m-%d %H:%M} UTC, in"
        f" {format_duration(ends.at - desk.now)} ({ends.why})"
        if ends
        else f"{user}/{given.title}: nothing stops it now"
    )
    return 0


def _named(user: str, name: str, mine: list[Watched]) -> Watched:
    """Return the notebook that is meant. Raises Refused with those there are."""
    titles = ", ".join(shown(one.title) for one in mine)
    if not mine:
        raise Refused("not_running", f"Nothing of {user} runs.", "See `gradienthub leases`.")
    if not name and len(mine) > 1:
        raise Refused(
            "not_running",
            f"{len(mine)} notebooks of {user} run: {titles}.",
            f"Say which: gradienthub extend {user}/NOTEBOOK.",
        )
    # On the command line "default" is the server without a name, whatever its notebook is called.
    meant = [one for one in mine if name in ("", one.title, one.lease.server_name or "default")]
    if not meant:
        raise Refused(
            "not_running", f"No notebook {shown(name)} of {user} runs.", f"Running: {titles}."
        )
    if len(meant) > 1:
        names = ", ".join(shown(one.lease.server_name or "default") for one in meant)
        raise Refused(
            "not_running",
            f"{len(meant)} running notebooks of {user} are called {shown(name)}.",
            f"Say which by its server name: {names}.",
        )
    return meant[0]
