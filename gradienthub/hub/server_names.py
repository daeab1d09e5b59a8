"""Which servers may be made: the hub's own checks, refused in our words and shape."""

from typing import Any

from jupyterhub.handlers.base import BaseHandler
from jupyterhub.slugs import is_valid_safe_slug

from ..rules.refusal import Refused, shown
from ..spawners.others import run_hook
from ..spawners.refused import StartRefused


class NamesServers(BaseHandler):
    """A handler that makes named servers; left of the hub's own."""

    async def _check_named_server_request(
        self, user: Any, server_name: str, display_name: str, check_limit: bool = True
    ) -> None:
        """Check a name and the deployer's limit. Raises StartRefused."""
        is_new = server_name not in user.orm_spawners
        if is_new and not is_valid_safe_slug(server_name):
            raise StartRefused(
                Refused(
                    "bad_name",
                    f"{shown(server_name)} cannot be a server's name.",
                    "Use at most 30 lower-case letters, digits and single hyphens; begin with a"
                    " letter, and do not end with a hyphen.",
                    field="server_name",
                )
            )
        if is_new and check_limit:
            await self._check_limit(user)
        await super()._check_named_server_request(
            user, server_name, display_name, check_limit=False
        )

    async def _check_limit(self, user: Any) -> None:
        ask = self.get_current_user_named_server_limit
        limit = await run_hook("The named_server_limit_per_user", self.log, ask)
        named = len([name for name in user.orm_spawners if name])
        if isinstance(limit, int) and 0 < limit <= named:
            raise StartRefused(
                Refused(
                    "too_many_notebooks",
                    f"You have {named} named notebooks, and this hub allows {limit}.",
                    "Delete one that you no longer need, then make the new one.",
                )
            )
