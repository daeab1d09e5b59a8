"""The keeper's process: a managed service of the hub that listens at once and never gives up.

Run as `python -m gradienthub.service`. Its configuration is three words of the environment,
GRADIENTHUB_DATABASE_URL, GRADIENTHUB_HUB_ID and GRADIENTHUB_HUB_PID, and a fourth where the proxy
is elsewhere, GRADIENTHUB_LISTEN; the hub adds its own JUPYTERHUB_ ones.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlparse

from tornado.httpserver import HTTPServer

from .. import metrics
from ..ledger import Ledger, LedgerAway, keepers
from ..rules.log_lines import cut_queries
from .context import KeeperContext
from .evidence import Notebooks
from .gpu import Gpus
from .holder import dead, lives, me
from .hub_client import HubClient
from .lookout import Lookout
from .site import application
from .tell import Teller
from .watch import Watch

log = logging.getLogger("gradienthub")

NEEDED = (
    "GRADIENTHUB_DATABASE_URL",
    "GRADIENTHUB_HUB_ID",
    "JUPYTERHUB_API_TOKEN",
    "JUPYTERHUB_API_URL",
    "JUPYTERHUB_SERVICE_PREFIX",
    "JUPYTERHUB_SERVICE_URL",
)
#: Seconds between two looks whether the hub that started this process still lives.
PARENT_LOOK = 1.0


@dataclass(frozen=True)
class Environment:
    """What the hub gave this process."""

    database_url: str
    hub_id: str
    token: str
    api_url: str
    prefix: str
    hub_prefix: str
    host: str
    port: int
    hub_pid: int
    #: The Notebooks page as people reach it, "" where the hub does not know its public address.
    notebooks_url: str


def environment(variables: Mapping[str, str]) -> Environment:
    """Read the environment. Ends the process with what is missing."""
    missing = [name for name in NEEDED if not variables.get(name)]
    if missing:
        raise SystemExit(
            f"gradienthub keeper: {', '.join(missing)} not set; the hub starts the keeper as its"
            " managed service, wired by configure(c)"
        )
    public = variables.get("JUPYTERHUB_PUBLIC_HUB_URL", "")
    url = urlparse(variables["JUPYTERHUB_SERVICE_URL"])
    return Environment(
        database_url=variables["GRADIENTHUB_DATABASE_URL"],
        hub_id=variables["GRADIENTHUB_HUB_ID"],
        token=variables["JUPYTERHUB_API_TOKEN"],
        api_url=variables["JUPYTERHUB_API_URL"],
        prefix=variables["JUPYTERHUB_SERVICE_PREFIX"],
        hub_prefix=_hub_prefix(variables),
        host=variables.get("GRADIENTHUB_LISTEN", url.hostname or "127.0.0.1"),
        port=url.port or 80,
        hub_pid=int(variables.get("GRADIENTHUB_HUB_PID", "0")),
        notebooks_url=f"{public.rstrip('/')}/home" if public else "",
    )


def _hub_prefix(variables: Mapping[str, str]) -> str:
    """Return the address of the hub's pages: a path, with its host where services have others."""
    path = f"{variables.get('JUPYTERHUB_BASE_URL', '/').rstrip('/')}/hub/"
    service, hub = (
        urlparse(variables.get(name, ""))
        for name in ("JUPYTERHUB_PUBLIC_URL", "JUPYTERHUB_PUBLIC_HUB_URL")
    )
    if service.netloc and hub.netloc and service.netloc != hub.netloc:
        return f"{hub.scheme}://{hub.netloc}{path}"
    return path


async def _gone(ledger: Ledger, hub_id: str) -> str:
    """Return a dead keeper's name, so that its row need not expire first; "" where there is
    none."""
    try:
        row = await ledger.aread(keepers.find_keeper, hub_id)
    except LedgerAway:
        return ""
    return row["holder"] if row and dead(row["holder"]) else ""


async def serve(env: Environment) -> None:
    """Listen, then watch until a signal or the end of the hub."""
    context = KeeperContext(
        ledger=Ledger(env.database_url),
        hub_id=env.hub_id,
        prefix=env.prefix,
        hub_prefix=env.hub_prefix,
        api_url=env.api_url,
        token=env.token,
    )
    server = HTTPServer(application(context))
    server.listen(env.port, env.host)
    hub, notebooks = HubClient(env.api_url, env.token), Notebooks()
    teller = Teller(context, env.notebooks_url)
    watch = Watch(
        context,
        hub,
        Lookout(context, notebooks, Gpus().loads),
        me(),
        teller.tell,
        wrong=teller.wrong,
        gone=await _gone(context.ledger, env.hub_id),
    )
    keeping = asyncio.gather(watch.keep(), metrics.measure_loop_lag("keeper"))
    await _end_of(env.hub_pid)
    log.info("The keeper ends")
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    server.stop()
    await watch.close()
    await hub.close()
    await notebooks.close()
    await teller.close()
    context.ledger.close()


async def _end_of(hub: int) -> None:
    """Return on SIGTERM or SIGINT, or when the hub or the process that started this one is gone.

    A hub that was killed leaves its services behind; this one would hold its port, and watch
    with a token of yesterday. The hub says who it is (0: it did not), because one that is killed
    while this process loads is gone before anybody could ask for a parent.
    """
    parent = os.getppid()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    while not ended.is_set() and os.getppid() == parent and (not hub or lives(hub)):
        try:
            await asyncio.wait_for(ended.wait(), PARENT_LOOK)
        except TimeoutError:
            continue


class QuietFormatter(logging.Formatter):
    """Leaves the query of each address out of what is logged, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return cut_queries(super().format(record))


def write_log() -> None:
    """Write the log to standard error, which is the hub's."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(QuietFormatter("[K %(asctime)s %(levelname)s] %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def main() -> None:
    """Run the keeper's process. It never ends because something is away."""
    write_log()
    # JupyterHub's own words on logins name cookies and ids, which are nobody's business.
    logging.getLogger("tornado.application").setLevel(logging.WARNING)
    asyncio.run(serve(environment(os.environ)))
