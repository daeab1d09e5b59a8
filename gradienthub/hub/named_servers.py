"""Which named servers may be made: the hub's checks and the tier's cap, refused in our words."""

from jupyterhub.slugs import is_valid_safe_slug
from jupyterhub.user import User

from ..rules.refusal import Refused, shown
from ..rules.tiers import Allowance, refuse_notebook
from ..spawners.offer import offer_to
from ..spawners.others import run_hook
from ..spawners.refused import StartRefused
from .base_handler import GradientHandler


class ChecksNamedServers(GradientHandler):
    """Left of a handler of the hub that makes named servers: POST, PUT, PATCH and the form."""

    async def _check_named_server_request(
        self, user: User, server_name: str, display_name: str, check_limit: bool = True
    ) -> None:
        """Check a new server's name, the deployer's limit and the tier's. Raises StartRefused."""
        is_new = server_name not in user.orm_spawners
        if is_new and not is_valid_safe_slug(server_name):
            raise self.refuse(
                "bad_name",
                f"{shown(server_name)} cannot be a server's name.",
                "Use at most 30 lower-case letters, digits and single hyphens; begin with a"
                " letter, and do not end with a hyphen.",
                field="server_name",
            )
        allowance = None
        if is_new and check_limit:
            allowance = await self._allowance_of(user, server_name)
            await self._check_limit(user)
        await super()._check_named_server_request(
            user, server_name, display_name, check_limit=False
        )
        # Counted last: the server is made before anything else runs, so that no two requests pass
        # on one place.
        if allowance is not None and server_name not in user.orm_spawners:
            too_many = refuse_notebook(_count_named(user), allowance)
            if too_many:
                raise StartRefused(too_many)

    async def _allowance_of(self, user: User, server_name: str) -> Allowance:
        try:
            offer = await offer_to(self.context, user, server_name)
        except Refused as refused:
            raise StartRefused(refused) from None
        return offer.allowance

    async def _check_limit(self, user: User) -> None:
        ask = self.get_current_user_named_server_limit
        limit = await run_hook("The named_server_limit_per_user", self.log, ask)
        named = _count_named(user)
        if isinstance(limit, int) and 0 < limit <= named:
            raise self.refuse(
                "too_many_notebooks",
                f"You have {named} named notebooks, and this hub allows {limit}.",
                "Delete one that you no longer need, then make the new one.",
            )


def _count_named(user: User) -> int:
    return sum(1 for name in user.orm_spawners if name)
