"""What all our handlers share inside the hub."""

from jupyterhub.handlers.base import BaseHandler
from jupyterhub.user import User
from tornado import web

from ..rules.refusal import Refused
from ..spawners.context import HubContext
from ..spawners.refused import StartRefused


class GradientHandler(BaseHandler):
    """Left of a handler of the hub's."""

    @property
    def context(self) -> HubContext:
        """What this hub process shares."""
        return HubContext.of(self.config)

    def find_owner(self, user_name: str) -> User:
        """Return the user of that name. Raises 404 where the hub has none."""
        user = self.find_user(user_name)
        if user is None:
            raise web.HTTPError(404, f"No such user: {user_name}")
        return user

    def refuse(
        self, code: str, message: str, hint: str = "", field: str | None = None
    ) -> StartRefused:
        """Build a refusal as the exception that Tornado answers with."""
        return StartRefused(Refused(code, message, hint, field=field))
