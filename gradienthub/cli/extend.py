"""gradienthub extend: keep a running notebook for one more interval."""

import argparse

from ..ledger import watches
from ..ledger.watches import Watched
from ..rules.duration import format_duration
from ..rules.refusal import Refused, shown
from .commands import Commands
from .desk import Desk, on_desk


def add_parser(subparsers: Commands) -> None:
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
    on_desk(parser, _extend)


def _extend(desk: Desk, args: argparse.Namespace) -> None:
    user, _, name = args.notebook.partition("/")
    running = desk.ledger.read(
        watches.list_watched, desk.hub_id, account_id=desk.account(user).id, state="open"
    )
    grace = desk.settings.policy.grace
    extended = desk.ledger.write(
        watches.extend_lease,
        _named(user, name, running).id,
        desk.by,
        tiers=desk.house.tiers,
        grace=grace,
    )
    if isinstance(extended, Refused):
        raise extended
    ends = extended.ending(grace)
    print(
        f"{user}/{extended.title}: stops at {ends.at:%Y-%m-%d %H:%M} UTC, in"
        f" {format_duration(ends.at - desk.now)} ({ends.why})"
        if ends
        else f"{user}/{extended.title}: nothing stops it now"
    )


def _named(user: str, name: str, running: list[Watched]) -> Watched:
    """Return the notebook that is meant. Raises Refused with those there are."""
    titles = ", ".join(shown(notebook.title) for notebook in running)
    if not running:
        raise Refused("not_running", f"Nothing of {user} runs.", "See `gradienthub leases`.")
    if not name and len(running) > 1:
        raise Refused(
            "not_running",
            f"{len(running)} notebooks of {user} run: {titles}.",
            f"Say which: gradienthub extend {user}/NOTEBOOK.",
        )
    # On the command line "default" is the server without a name, whatever its notebook is called.
    meant = [
        notebook
        for notebook in running
        if name in ("", notebook.title, notebook.lease.server_name or "default")
    ]
    if not meant:
        raise Refused(
            "not_running", f"No notebook {shown(name)} of {user} runs.", f"Running: {titles}."
        )
    if len(meant) > 1:
        names = ", ".join(shown(notebook.lease.server_name or "default") for notebook in meant)
        raise Refused(
            "not_running",
            f"{len(meant)} running notebooks of {user} are called {shown(name)}.",
            f"Say which by its server name: {names}.",
        )
    return meant[0]
