"""Disk: what the hub finds wrong with the folders that it writes to."""

import shutil
from pathlib import Path

from ..ledger.findings import Found
from ..rules.disk import Place, troubles
from ..spawners.context import HubContext


def findings(context: HubContext) -> list[Found]:
    """Return what is wrong with data_dir, storage_root and the journal now. Blocks."""
    settings, journal = context.settings, context.journal
    places = [
        Place("data_dir", str(settings.data_dir), _left(settings.data_dir)),
        Place("storage_root", str(settings.storage_root), _left(settings.storage_root)),
    ]
    return [
        Found(one.key, one.kind, one.why, one.cure)
        for one in troubles(places, journal=journal.trouble, unwritten=journal.unwritten)
    ]


def _left(path: Path) -> int | None:
    for place in (path, *path.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None
