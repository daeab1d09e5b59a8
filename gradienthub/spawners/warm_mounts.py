"""Folders that arrive late: a person's folders are bound onto those of a warm server.

A warm server's container was given two empty folders of the host, which are on a shared mount;
what is bound onto them on the host appears inside. Binding needs root: a hub that is root does it
itself, any other asks `gradienthub mount-helper`, which knows two verbs and takes ids, not paths.
"""

import ctypes
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .folders import make_private

WARM = "warm"
HOME, STORAGE = "home", "storage"
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

MS_BIND, MS_PRIVATE, MS_SHARED = 0x1000, 1 << 18, 1 << 20
MNT_DETACH = 2
_NO_LINK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
HELPER_SECONDS = 5


class MountFault(Exception):
    """A folder could not be bound or unbound; the words say why and what to do."""


class Mounts:
    """Binds and unbinds as root, below one storage folder."""

    def __init__(self, storage_root: Path) -> None:
        self.root = storage_root

    def prepare(self) -> None:
        """Make the folder of all slots a shared mount. Safe to call twice. Raises MountFault."""
        warm = make_private(self.root, WARM)
        if _shared(warm):
            return
        with folder(self.root, WARM) as fd:
            _mount(fd, fd, MS_BIND)
        with folder(self.root, WARM) as fd:
            _mount(None, fd, MS_PRIVATE)
            _mount(None, fd, MS_SHARED)

    def make(self, slot_id: str) -> tuple[Path, Path]:
        """Make the two empty folders of a slot, which a container may see and not fill."""
        folders = (self.root / WARM / slot_id / HOME, self.root / WARM / slot_id / STORAGE)
        make_private(self.root, WARM, slot_id)
        for place in folders:
            # What a container sees of it before a person's folder is bound onto it.
            place.mkdir(exist_ok=True)
            place.chmod(0o755)
        return folders

    def bind(self, slot_id: str, notebook_id: str, account_id: str) -> None:
        """Mount the person's two folders into the slot's container. Raises MountFault."""
        _check_ids(slot_id, notebook_id, account_id)
        pairs = (("notebooks", notebook_id, HOME), ("accounts", account_id, STORAGE))
        for kind, own, place in pairs:
            with (
                folder(self.root, kind, own) as source,
                folder(self.root, WARM, slot_id, place) as target,
            ):
                _mount(source, target, MS_BIND)

    def unbind(self, slot_id: str) -> None:
        """Take the folders of a slot away. Nothing in them is touched. Safe to call twice."""
        _check_ids(slot_id)
        for place in (HOME, STORAGE):
            while str(self.root / WARM / slot_id / place) in _mounted():
                with folder(self.root, WARM, slot_id, place) as fd:
                    _unmount(fd)

    def clear(self, slot_id: str) -> None:
        """Unbind, and remove the empty folders that were the slot's."""
        self.unbind(slot_id)
        for place in (HOME, STORAGE, ""):
            path = self.root / WARM / slot_id / place
            try:
                # rmdir only: whatever is in there is not ours to delete.
                path.rmdir()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise MountFault(f"{path}: {error}") from error

    def remove(self) -> None:
        """Take everything away that `prepare`, `make` and `bind` made, where no slot is left."""
        for slot_id in self.slots():
            self.clear(slot_id)
        while str(self.root / WARM) in _mounted():
            with folder(self.root, WARM) as fd:
                _unmount(fd)

    def slots(self) -> list[str]:
        """List the slots that have folders."""
        try:
            return [name for name in os.listdir(self.root / WARM) if ID.fullmatch(name)]
        except OSError:
            return []


class HelperMounts(Mounts):
    """The same for a hub that is not root: `gradienthub mount-helper` does what needs it."""

    def __init__(self, storage_root: Path, helper: Path) -> None:
        super().__init__(storage_root)
        self.helper = helper

    def prepare(self) -> None:
        """Check that the mount is there, which the helper made when it started."""
        if not _shared(self.root / WARM):
            raise MountFault(
                f"{self.root / WARM} is no shared mount; start `gradienthub mount-helper` as root,"
                " in the engine's mount namespace"
            )
        self._ask({"verb": "unbind", "slot": "00000000-0000-0000-0000-000000000000"})

    def bind(self, slot_id: str, notebook_id: str, account_id: str) -> None:
        """Ask the helper."""
        self._ask({"verb": "bind", "slot": slot_id, "notebook": notebook_id, "account": account_id})

    def unbind(self, slot_id: str) -> None:
        """Ask the helper."""
        self._ask({"verb": "unbind", "slot": slot_id})

    def _ask(self, request: dict[str, str]) -> None:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(HELPER_SECONDS)
                connection.connect(str(self.helper))
                connection.sendall(json.dumps(request).encode() + b"\n")
                answer = json.loads(connection.makefile("rb").readline() or b"{}")
        except (OSError, ValueError) as error:
            raise MountFault(
                f"the mount helper at {self.helper} does not answer ({error}); start"
                " `gradienthub mount-helper` as root"
            ) from error
        if not answer.get("done"):
            raise MountFault(str(answer.get("fault", "the mount helper said nothing")))


def _check_ids(*ids: str) -> None:
    for word in ids:
        if not isinstance(word, str) or not ID.fullmatch(word):
            raise MountFault(f"{word!r} is not an id")


@contextmanager
def folder(root: Path, *names: str) -> Iterator[int]:
    """Open a descriptor of a folder below `root`, and follow no link that anybody may have put in
    the way."""
    with ExitStack() as stack:
        try:
            fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
            stack.callback(os.close, fd)
            for name in names:
                fd = os.open(name, _NO_LINK, dir_fd=fd)
                stack.callback(os.close, fd)
        except OSError as error:
            raise MountFault(f"{root.joinpath(*names)}: {error.strerror}") from error
        yield fd


def _mount(source: int | None, target: int, flags: int) -> None:
    named = f"/proc/self/fd/{source}".encode() if source is not None else b"none"
    if _libc().mount(named, f"/proc/self/fd/{target}".encode(), None, flags, None):
        raise MountFault(f"cannot mount: {os.strerror(ctypes.get_errno())}")


def _unmount(fd: int) -> None:
    if _libc().umount2(f"/proc/self/fd/{fd}".encode(), MNT_DETACH):
        raise MountFault(f"cannot unmount: {os.strerror(ctypes.get_errno())}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _mountinfo() -> Iterator[list[str]]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as rows:
        for row in rows:
            yield row.split()


def _mounted() -> set[str]:
    return {_unescaped(fields[4]) for fields in _mountinfo()}


def _shared(path: Path) -> bool:
    return any(
        _unescaped(fields[4]) == str(path)
        and any(word.startswith("shared:") for word in fields[6 : fields.index("-")])
        for fields in _mountinfo()
    )


def _unescaped(word: str) -> str:
    # The kernel writes blanks and backslashes of a path as octal numbers.
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), word)
