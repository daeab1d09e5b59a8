"""Everything that the keeper serves below its prefix."""

from typing import Any

from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler
from tornado import web

from . import money, money_pages, operations
from .api import routes
from .context import KeeperContext
from .metrics_handler import MetricsHandler
from .openapi import OpenApiHandler
from .pages import page_routes
from .visitor import KeeperHandler, settings

OPERATIONS = (*operations.OPERATIONS, *money.OPERATIONS)


class NoSuchPage(KeeperHandler):
    """Whatever else is asked for."""

    async def prepare(self) -> None:
        """Nobody needs to log in to learn that there is nothing."""
        raise web.HTTPError(404)


class CallbackHandler(HubOAuthCallbackHandler):
    """Where the hub sends people back after their login."""

    @property
    def hub_auth(self) -> HubOAuth:
        """The hub's word on tokens."""
        auth: HubOAuth = self.settings["hub_auth"]
        return auth


def application(context: KeeperContext, hub_auth: HubOAuth | None = None) -> web.Application:
    """The tornado application; `hub_auth` is made of the environment unless it is given."""
    prefix = context.prefix
    handlers: list[Any] = [
        (rf"{prefix}oauth_callback", CallbackHandler),
        *routes(prefix, OPERATIONS),
        (rf"{prefix}api/v1/openapi.json", OpenApiHandler, {"operations": OPERATIONS}),
        *page_routes(prefix),
        *money_pages.page_routes(prefix),
    ]
    shared = settings(context, hub_auth)
    handlers.append((rf"{prefix}metrics", MetricsHandler, {"hub_auth": shared["hub_auth"]}))
    return web.Application(handlers, default_handler_class=NoSuchPage, **shared)
