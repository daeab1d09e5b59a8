"""A cap on how many named notebooks a person may have, wherever a new one is made."""

from typing import TYPE_CHECKING, Any

from ..rules.refusal import Refused
from ..rules.tiers import refuse_notebook
from ..spawners.context import HubContext
from ..spawners.offer import offer_to
from ..spawners.refused import StartRefused

if TYPE_CHECKING:
    from jupyterhub.handlers.base import BaseHandler
else:
    BaseHandler = object


class CountedNotebooks(BaseHandler):
    """Left of a handler of the hub that makes named servers: POST, PUT, PATCH and the form."""

    async def _check_named_server_request(
        self, user: Any, server_name: str, display_name: str, check_limit: bool = True
    ) -> None:
        """Do what the hub does, its own limit included, and hold the count to the owner's tier."""
        new = check_limit and bool(server_name) and server_name not in user.orm_spawners
        try:
            offer = await offer_to(HubContext.of(self.config), user, server_name) if new else None
        except Refused as refused:
            raise StartRefused(refused) from None
        await super()._check_named_server_request(user, server_name, display_name, check_limit)
        # The server is made before anything else runs, so that no two requests pass on one place.
        count = sum(1 for name in user.orm_spawners if name)
        if offer and server_name not in user.orm_spawners:
            too_many = refuse_notebook(count, offer.allowance)
            if too_many:
                raise StartRefused(too_many)
