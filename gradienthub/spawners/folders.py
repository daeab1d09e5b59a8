"""Folders of people, closed to everybody else on the machine, each level of them."""

import logging
import os
import stat
from contextlib import ExitStack, suppress
from pathlib import Path

log = logging.getLogger("gradienthub")

CLOSED = 0o700
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def make_private(root: Path, *names: str, owner: int | None = None) -> Path:
    """Make `root/names...`, and close each level below `root` to everybody but its owner.

    What a notebook left open at the top of its folder is closed again. A `root` that is there
    already is the administrator's and stays as it is. `owner` is whom the last level is given to,
    where this process may give it away and it is nobody's yet. Raises OSError.
    """
    _make_root(root)
    with ExitStack() as stack:
        above = os.open(root, _FOLDER)
        stack.callback(os.close, above)
        for number, name in enumerate(names):
            # One by one: levels that are made on the way get the mode of the process's umask.
            with suppress(FileExistsError):
                os.mkdir(name, CLOSED, dir_fd=above)
            level = os.open(name, _FOLDER, dir_fd=above)
            stack.callback(os.close, level)
            _close(level, root.joinpath(*names[: number + 1]))
            if owner is not None and number == len(names) - 1:
                _give(level, owner)
            above = level
    return root.joinpath(*names)


def make_folder(root: Path, folder: Path, owner: int | None = None) -> Path:
    """Make a person's folder private; one that a class of the deployer's has elsewhere, too."""
    if folder.is_relative_to(root):
        return make_private(root, *folder.relative_to(root).parts, owner=owner)
    return make_private(folder.parent, folder.name, owner=owner)


def _give(level: int, owner: int) -> None:
    """Give a folder away that belongs to this process's user, if that is root."""
    if os.geteuid() == 0 and os.fstat(level).st_uid == 0:
        os.fchown(level, owner, owner)


def _make_root(root: Path) -> None:
    """Make what is missing of the folder itself, closed too."""
    missing = [place for place in (root, *root.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=CLOSED, exist_ok=True)
        place.chmod(CLOSED)


def _close(level: int, path: Path) -> None:
    mode = stat.S_IMODE(os.fstat(level).st_mode)
    if mode == CLOSED:
        return
    try:
        os.fchmod(level, CLOSED)
    except PermissionError as error:
        # Somebody else's by now; `gradienthub check` says so too.
        log.warning("%s is open to others (mode %o) and cannot be closed: %s", path, mode, error)
