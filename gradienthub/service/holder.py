"""Who this keeper is in the row of the acting keeper, and whether another one still lives."""

import os
import secrets
import socket


def me() -> str:
    """Name this process for the keeper's row: host, process id, and a random word."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def dead(holder: str) -> bool:
    """Return whether the keeper of that name ran on this machine and does not any more."""
    host, _, rest = holder.rpartition(":")[0].rpartition(":")
    return host == socket.gethostname() and rest.isdigit() and not lives(int(rest))


def lives(pid: int) -> bool:
    """Return whether this machine has a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
