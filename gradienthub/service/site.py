"""Everything that the keeper serves below its prefix."""

import re
from pathlib import Path
from typing import Any

from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler
from tornado import web

from . import money_operations, money_pages, operations, treasury
from .api import routes
from .context import KeeperContext
from .metrics_handler import MetricsHandler
from .openapi import OpenApiHandler
from .pages import PageHandler, page_routes
from .visitor import KeeperHandler, settings

STATIC = Path(__file__).parent.parent / "static"
OPERATIONS = (*operations.OPERATIONS, *money_operations.OPERATIONS, *treasury.OPERATIONS)


class NoSuchCall(KeeperHandler):
    """Whatever else is asked for below api/."""

    async def prepare(self) -> None:
        """Skip the login: nobody needs one to learn that there is nothing."""
        raise web.HTTPError(404)


class NoSuchPage(PageHandler):
    """Whatever else is asked for."""

    async def prepare(self) -> None:
        """Skip the login: nobody needs one to learn that there is nothing."""
        raise web.HTTPError(404)


class CallbackHandler(PageHandler, HubOAuthCallbackHandler):
    """Where the hub sends people back after their login."""

    async def prepare(self) -> None:
        """Redirect a visitor who is logged in already and came back to this address."""
        await self.hub_auth.get_user(self, sync=False)


def application(context: KeeperContext, hub_auth: HubOAuth | None = None) -> web.Application:
    """Build the Tornado application. `hub_auth` is made of the environment unless it is given."""
    prefix = re.escape(context.prefix)
    handlers: list[Any] = [
        (rf"{prefix}oauth_callback", CallbackHandler),
        *routes(prefix, OPERATIONS),
        (rf"{prefix}api/v1/openapi.json", OpenApiHandler, {"operations": OPERATIONS}),
        (rf"{prefix}static/(.*)", web.StaticFileHandler, {"path": str(STATIC)}),
        *page_routes(prefix),
        *money_pages.page_routes(prefix),
    ]
    shared = settings(context, hub_auth)
    handlers.append((rf"{prefix}metrics", MetricsHandler, {"hub_auth": shared["hub_auth"]}))
    handlers.append((rf"{prefix}api/.*", NoSuchCall))
    return web.Application(handlers, default_handler_class=NoSuchPage, **shared)
