"""Disk: what the hub finds wrong with the folders that it writes to."""

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

from jupyterhub.app import JupyterHub

from ..ledger import LedgerAway
from ..ledger.findings import NewFinding, report
from ..rules.disk import Place, troubles
from ..spawners.context import HubContext


def findings(context: HubContext) -> list[NewFinding]:
    """Return what is wrong with data_dir, storage_root and the journal now. Blocks."""
    settings, journal = context.settings, context.journal
    places = [
        Place("data_dir", str(settings.data_dir), _free_bytes(settings.data_dir)),
        Place("storage_root", str(settings.storage_root), _free_bytes(settings.storage_root)),
    ]
    return [
        NewFinding(trouble.key, trouble.kind, trouble.why, trouble.cure)
        for trouble in troubles(places, journal=journal.trouble, unwritten=journal.unwritten)
    ]


async def try_folders(app: JupyterHub, context: HubContext) -> None:
    """Say in log and findings, once the hub runs, where notebooks could not keep their files."""
    settings = context.settings
    await asyncio.to_thread(settings.storage_root.mkdir, parents=True, exist_ok=True, mode=0o700)
    trials = await app.spawner_class.try_folders(context, app.config)
    faults = [trial for trial in trials if trial.is_fault]
    for trial in faults:
        app.log.error("%s; %s", trial.says, trial.cure)
    standing = [NewFinding(f"folders/{t.image}", "folders", t.says, t.cure) for t in faults]
    with suppress(LedgerAway):
        await context.ledger.awrite(
            report, hub_id=settings.hub_id, source="folders", wrong=standing, now=context.clock()
        )


def _free_bytes(path: Path) -> int | None:
    for place in (path, *path.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None
