"""Disk: what is wrong with where hub and people write, and which errors mean it."""

import errno
from collections.abc import Iterable
from dataclasses import dataclass

#: A disk that is full, over its quota, read-only or failing; a file that may grow no more.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})
#: Bytes below which an administrator is told: a download of an image or one notebook's output.
LEAST_LEFT = 10**9


@dataclass(frozen=True)
class Place:
    """A folder that is written to: the setting that names it, its path, bytes left if known."""

    name: str
    path: str
    left: int | None


@dataclass(frozen=True)
class DiskTrouble:
    """What is wrong, and what mends it. `key` names the thing."""

    key: str
    kind: str
    why: str
    cure: str


def means_no_room(error: BaseException) -> bool:
    """Return whether an error, or what caused it, is a disk that takes no more."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return True
        cause = error.__cause__ or error.__context__
        if cause is None:
            return False
        error, seen = cause, seen + 1
    return False


def troubles(places: Iterable[Place], *, journal: str, unwritten: int) -> list[DiskTrouble]:
    """Return what an administrator is told. `journal` is why that file cannot be written."""
    wrong = []
    if journal:
        wrong.append(
            DiskTrouble(
                "journal",
                "journal_full",
                f"Stops and ends that the ledger could not take cannot be written: {journal};"
                f" {unwritten} are kept in memory.",
                "Make room under data_dir before the hub is restarted; they are then written by"
                " themselves.",
            )
        )
    for place in places:
        if place.left is not None and place.left < LEAST_LEFT:
            wrong.append(
                DiskTrouble(
                    f"disk/{place.name}",
                    "disk_full",
                    f"{place.name} {place.path} has {place.left // 10**6} MB left.",
                    "Make room, or move it to a larger disk: starts are refused when it is full.",
                )
            )
    return wrong
