"""The keeper's metrics for Prometheus, at `{prefix}metrics`."""

from jupyterhub.services.auth import HubAuth
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from tornado import web

# Declares them all, so that also what has not happened yet is there.
from .. import metrics as _declared  # noqa: F401

#: What the hub asks for its own /hub/metrics.
SCOPE = "read:metrics"


class MetricsHandler(web.RequestHandler):
    """GET with a token of the hub that has `read:metrics`; a browser's cookie does not do.

    `hub_auth` is the keeper's own, given with the route. Whom the hub let in is remembered for
    minutes, so that a hub that is away for a moment leaves no gap.
    """

    def initialize(self, hub_auth: HubAuth) -> None:
        """Set the handler up; Tornado calls this for each request."""
        self.hub_auth = hub_auth

    async def get(self) -> None:
        """Answer with all metrics of this process, as text."""
        token = self.hub_auth.get_token(self, in_cookie=False)
        who = token and await self.hub_auth.user_for_token(token, sync=False)
        if not who or not self.hub_auth.check_scopes({SCOPE}, who):
            raise web.HTTPError(403, f"A token with the scope {SCOPE} is needed")
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.write(generate_latest(REGISTRY))
