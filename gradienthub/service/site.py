"""Everything that the keeper serves below its prefix."""

import re
import secrets
from pathlib import Path

from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler
from tornado import web

from . import money_operations, money_pages, operations, treasury
from .api import routes
from .context import KeeperContext
from .metrics_handler import MetricsHandler
from .openapi import OpenApiHandler
from .pages import PageHandler, page_routes
from .visitor import KeeperHandler, log_request

#: Seconds for which the hub's word on a token is kept: what is withdrawn there ends here by then.
CACHED = 60
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
    auth = hub_auth or HubOAuth.instance(cache_max_age=CACHED)
    return web.Application(
        [
            (rf"{prefix}oauth_callback", CallbackHandler),
            *routes(prefix, OPERATIONS),
            (rf"{prefix}api/v1/openapi.json", OpenApiHandler, {"operations": OPERATIONS}),
            (rf"{prefix}static/(.*)", web.StaticFileHandler, {"path": str(STATIC)}),
            *page_routes(prefix),
            *money_pages.page_routes(prefix),
            (rf"{prefix}metrics", MetricsHandler, {"hub_auth": auth}),
            (rf"{prefix}api/.*", NoSuchCall),
        ],
        default_handler_class=NoSuchPage,
        log_function=log_request,
        # Cookies of this process only: after a restart a visitor is sent to the hub once more.
        cookie_secret=secrets.token_bytes(32),
        context=context,
        hub_auth=auth,
    )
