"""gradienthub check: is everything as a hub needs it, and what to do where it is not."""

import argparse

from . import config
from .check_result import Severity
from .commands import Commands


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub check` and its options."""
    parser = subparsers.add_parser(
        "check",
        help="is everything as a hub needs it, and what to do where it is not",
        description="Looks at configuration, engine, devices, folders, ledger and proxy, and"
        " changes nothing: what it tries with a container it takes away again. Run it as the hub's"
        " own user, before or beside the hub. Exit code 1 where there is a fault.",
    )
    config.add_config_option(parser)
    parser.add_argument(
        "--runtime",
        metavar="NAME",
        help="name the clocks that this runtime's image has of its own, and compare a warm start of"
        " it with a cold one, in containers, instead",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print every finding; 1 where one is a fault."""
    if args.runtime:
        from . import check_runtime  # noqa: PLC0415

        return check_runtime.judge(config.load(args.config), args.runtime)
    # Loads the whole of JupyterHub, which no other command needs.
    from . import checks, look  # noqa: PLC0415

    results = checks.judge(look.look(config.load(args.config)))
    print(checks.page(results))
    return 1 if any(result.state is Severity.FAULT for result in results) else 0
