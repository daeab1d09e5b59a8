"""Looking at the hub's folders and what carries them, for `gradienthub check`."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from ..settings import Settings
from . import config
from .check_scene import Folder
from .config import HubConfig

MOUNTS = Path("/proc/self/mountinfo")
#: Folders of storage_root below which people's are.
LEVELS = ("notebooks", "accounts", "warm")


def folder(path: Path) -> Folder:
    """Return a folder, or the nearest one above it that exists."""
    there = next((p for p in (path, *path.parents) if exists(p)), Path("/"))
    space = shutil.disk_usage(there)
    return Folder(
        path=path,
        exists=there == path,
        writable=os.access(there, os.W_OK | os.X_OK, effective_ids=True),
        free=space.free,
        device=there.stat().st_dev,
    )


def ledger_folder(settings: Settings) -> Folder | None:
    """Return the folder of a SQLite ledger that is not in data_dir."""
    file = config.sqlite_file(settings.database_url)
    return None if file is None or file.parent == settings.data_dir else folder(file.parent)


def storage_folder(root: Path) -> Folder:
    """Return the folder of people's files, with what others on this machine may do there."""
    return replace(
        folder(root),
        open_levels=tuple(place for place in (root / name for name in LEVELS) if _is_open(place)),
        mount_options=mount_options_of(root),
    )


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def exists(path: Path) -> bool:
    """Return whether a path is there; one that cannot be asked about is not."""
    try:
        return path.exists()
    except OSError:
        return False


def mount_options_of(path: Path, mounts: Path = MOUNTS) -> frozenset[str]:
    """Return the options of the mount that carries `path`; none where the kernel does not say."""
    row = _mount_of(path, mounts)
    return frozenset(row[0].split(" ")[5].split(",")) if row else frozenset()


def file_system_of(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the type of the file system that carries `path`, or None where the kernel does not
    say."""
    row = _mount_of(path, mounts)
    return row[1].split(" ")[0] if row else None


def _mount_of(path: Path, mounts: Path) -> tuple[str, str] | None:
    """Return the kernel's row of the mount that carries `path`, before and after its separator."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    nearest: tuple[int, str, str] | None = None
    resolved = path.resolve()
    for line in lines:
        # "36 35 98:0 /root /mount/point options optional-fields - type source options"
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4].replace("\\040", " "))
        length = len(point.parts)
        # Of two mounts on one point the later line is the one that is seen.
        if resolved.is_relative_to(point) and (nearest is None or length >= nearest[0]):
            nearest = (length, before, after)
    return nearest and nearest[1:]


def readable_by_others(hub: HubConfig) -> tuple[Path, ...]:
    """Return the folder of data, the ledger's file and the hub's, where others may read them."""
    settings = hub.settings
    hub_url = hub.config.JupyterHub.get("db_url", "sqlite:///jupyterhub.sqlite")
    files = [config.sqlite_file(settings.database_url), config.sqlite_file(str(hub_url))]
    places = [settings.data_dir, *(file for file in files if file is not None)]
    return tuple(place for place in places if _mode(place) & 0o007)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0
