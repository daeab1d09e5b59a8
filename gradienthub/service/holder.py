"""Who this keeper is in the row of the acting keeper, and whether another one still lives."""

import os
import secrets
import socket


def me() -> str:
    """This process's name in the keeper's row: host, process, and a word of its own."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def dead(holder: str) -> bool:
    """Whether the keeper of that name ran on this machine and does not any more."""
    host, _, rest = holder.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
