"""What the parts of one keeper process share."""

from dataclasses import dataclass, field

from ..clock import Clock, system_clock
from ..ledger import Ledger, fleet
from ..settings import Published


@dataclass
class KeeperContext:
    """The ledger of hub `hub_id`, what that hub published, and where this service is served.

    `prefix` and `hub_prefix` are URL paths with a slash at both ends; `api_url` is the hub's REST
    API as this process reaches it; `token` is the keeper's own. `published` is None until it was
    read once: until then every request but a look at the state is answered "starting".
    """

    ledger: Ledger
    hub_id: str
    prefix: str
    hub_prefix: str
    api_url: str
    token: str
    clock: Clock = system_clock
    published: Published | None = None
    digest: str = ""
    #: Whether this process is the acting keeper, not one that waits beside it.
    acting: bool = False
    #: Why nothing is decided right now: "ledger_away", "hub_away", "hub_not_settled"; "" is fine.
    trouble: str = field(default="starting")

    async def refresh(self) -> None:
        """Read the hub's published settings again if they changed. Raises LedgerAway."""
        digest = await self.ledger.aread(fleet.published_digest, self.hub_id)
        if digest and digest != self.digest:
            body = await self.ledger.aread(fleet.published_body, self.hub_id)
            self.published = Published.model_validate(body)
            self.digest = digest
