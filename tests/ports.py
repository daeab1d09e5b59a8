"""Ports for what tests start and start again, which nobody else is given meanwhile."""

import itertools
import os
import random
import socket
from contextlib import closing

#: Below those that a kernel gives to whoever asks for any (`ip_local_port_range`).
FIRST, EACH = 15_000, 2_000


def _mine() -> range:
    """The ports of this process's worker; two runs side by side begin somewhere else in them."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    return range(FIRST + number * EACH, FIRST + (number + 1) * EACH)


_next = itertools.count(random.Random(os.getpid()).randrange(EACH))


def free_port() -> int:
    """A port of the loopback address that is free and was not handed out lately."""
    mine = _mine()
    for _ in range(EACH):
        port = mine[next(_next) % EACH]
        with closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
