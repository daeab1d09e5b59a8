"""gradienthub upgrade-db: bring the ledger's schema to this version's."""

import argparse

from .._version import __version__
from ..ledger import Ledger
from ..ledger.database import STEPS, way_to
from ..rules.catalog import ConfigurationFault
from . import config
from .commands import Commands


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub upgrade-db` and its options."""
    parser = subparsers.add_parser(
        "upgrade-db",
        help="bring the ledger's schema to this version's",
        description=f"{__doc__} Stop the hub and back the database up first.",
    )
    config.add_config_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Upgrade, and say from where to where. Safe to run again."""
    with config.open_ledger(config.load(args.config), at_any_schema=True) as ledger:
        # Says in words what a migration would say in a traceback: read-only, or locked.
        ledger.write(lambda _tx: None)
        before, head = ledger.revision()
        print(f"before: {before or 'no tables'}")
        if before != head:
            _upgrade(ledger, before, head)
        after, _ = ledger.revision()
        print(f"after:  {after}{' (nothing to do)' if before == head else ''}")
    return 0


def _upgrade(ledger: Ledger, before: str | None, head: str | None) -> None:
    if before in STEPS:
        raise ConfigurationFault(f"Nothing was changed: {way_to(before, head)}")
    try:
        ledger.upgrade()
    except Exception as error:
        # Alembic's word for a revision it has no file of; its class is the ledger's to import.
        if type(error).__name__ != "CommandError":
            raise
        raise ConfigurationFault(
            f"The ledger's schema {before} is not known to gradienthub {__version__}: a newer"
            " version wrote it. Install that version again, or restore the backup"
        ) from error
