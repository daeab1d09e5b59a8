"""What all our handlers share inside the hub."""

from jupyterhub.handlers.base import BaseHandler
from jupyterhub.user import User
from jupyterhub.utils import url_escape_path, url_path_join
from tornado import web
from tornado.httputil import url_concat

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

    def address_of(self, page: str, user: User, server_name: str) -> str:
        """Return the page of a server with `next` alone: a link's options are not for there."""
        server = url_escape_path(server_name)
        url: str = url_path_join(self.hub.base_url, page, user.escaped_name, server)
        after = self.get_argument("next", "")
        return url_concat(url, {"next": after}) if after else url

    def copy_headers(self, error: BaseException) -> None:
        """Answer with the headers of an exception, as Retry-After."""
        for name, value in (getattr(error, "headers", None) or {}).items():
            self.set_header(name, value)

    def refuse(
        self, code: str, message: str, hint: str = "", field: str | None = None
    ) -> StartRefused:
        """Build a refusal as the exception that Tornado answers with."""
        return StartRefused(Refused(code, message, hint, field=field))
