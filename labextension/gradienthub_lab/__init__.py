"""What a notebook of a GradientHub costs and when it stops, inside of JupyterLab.

A server extension (`hub.py` asks the hub, `handlers.py` is what the browser and the keeper ask) and
a prebuilt frontend (`labextension/static/`). It does not need the package `gradienthub`.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from .handlers import ActivityHandler, ExtendHandler, LeaseHandler, Presence
from .hub import hub_of

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "gradienthub_lab"}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "gradienthub-lab"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    """Add the routes if a JupyterHub started this server; otherwise say so and do nothing."""
    # Read now and not at import: a warm server is given its environment after its imports.
    hub = hub_of(os.environ)
    if hub is None:
        server.log.info(
            "gradienthub_lab: not started by a JupyterHub, so there is no lease to show"
        )
        return
    root = re.escape(server.web_app.settings["base_url"].rstrip("/")) + "/gradienthub"
    presence = Presence()
    server.web_app.add_handlers(  # type: ignore[no-untyped-call]  # Tornado types its arguments only.
        ".*$",
        [
            (f"{root}/lease", LeaseHandler, {"hub": hub}),
            (f"{root}/extend", ExtendHandler, {"hub": hub}),
            (f"{root}/activity", ActivityHandler, {"presence": presence}),
        ],
    )
