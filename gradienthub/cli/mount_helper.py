"""gradienthub mount-helper: binds folders for a hub that is not root or runs in a container."""

import argparse
import json
import os
import pwd
import socket
import struct
import sys
from contextlib import closing
from pathlib import Path

from ..rules.catalog import ConfigurationFault
from ..spawners.warm_mounts import WARM, MountFault, Mounts, folder
from .commands import Commands

#: A request is three ids; who sends more is not the hub.
LONGEST = 1000
SECONDS = 5.0


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub mount-helper` and its options."""
    parser = subparsers.add_parser(
        "mount-helper",
        help="bind folders of warm servers for a hub that is not root",
        description="Run as root beside the container engine. It knows two verbs, bind and unbind,"
        " takes ids and no paths, and hears only the hub's own user.",
    )
    # The hub's configuration is Python that the hub's user may write: root does not run it.
    parser.add_argument("--storage-root", type=Path, required=True, help="c.GradientHub's own")
    parser.add_argument("--socket", type=Path, required=True, help="c.GradientHub.mount_helper")
    parser.add_argument("--hub-user", required=True, help="the name or number of the hub's user")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until ended."""
    owner = _user_id(args.hub_user)
    mounts = Mounts(args.storage_root.absolute())
    try:
        listening = listen(mounts, args.socket, owner)
    except (MountFault, OSError) as fault:
        raise ConfigurationFault(
            f"The mount helper cannot start: {fault}; run it as root, in the engine's mount"
            " namespace, with the hub's storage_root"
        ) from fault
    print(f"Binding below {mounts.root} for user {owner}, at {args.socket}.", file=sys.stderr)
    with closing(listening):
        while True:
            answer(listening, mounts, owner)


def listen(mounts: Mounts, path: Path, owner: int) -> socket.socket:
    """Make the shared mount and a socket that only the hub's user can open."""
    absent = not mounts.root.exists()
    mounts.prepare()
    if absent:
        os.chown(mounts.root, owner, -1)
    with folder(mounts.root, WARM) as fd:
        os.chown(f"/proc/self/fd/{fd}", owner, -1)
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    os.chown(path, owner, -1)
    listening.listen(16)
    return listening


def answer(listening: socket.socket, mounts: Mounts, owner: int) -> None:
    """Take one request and answer it. What is wrong with it is said and does not end us."""
    connection, _ = listening.accept()
    with closing(connection):
        connection.settimeout(SECONDS)
        try:
            # Read first: a refusal must find its reader still there.
            line = connection.makefile("rb").readline(LONGEST)
            _check_peer(connection, owner)
            _carry_out(line, mounts)
            reply: dict[str, object] = {"done": True}
        except (MountFault, OSError, ValueError, KeyError, TypeError) as fault:
            reply = {"fault": str(fault)}
        try:
            connection.sendall(json.dumps(reply).encode() + b"\n")
        except OSError:
            return  # it did not wait for its answer


def _check_peer(connection: socket.socket, owner: int) -> None:
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    if user not in (0, owner):
        raise MountFault(f"user {user} is not the hub's")


def _carry_out(line: bytes, mounts: Mounts) -> None:
    request = json.loads(line)
    match request["verb"]:
        case "bind":
            mounts.bind(request["slot"], request["notebook"], request["account"])
        case "unbind":
            mounts.unbind(request["slot"])
        case verb:
            raise MountFault(f"{verb!r} is not a verb; there are bind and unbind")


def _user_id(name: str) -> int:
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ConfigurationFault(f"There is no user {name!r}; give the hub's own") from None
