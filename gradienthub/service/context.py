"""What the parts of one keeper process share."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from ..clock import Clock, system_clock
from ..ledger import Ledger, fleet
from ..rules.health import KeeperFacts
from ..settings import Published
from .frame import Frames


@dataclass
class KeeperContext:
    """The ledger of hub `hub_id`, what that hub published, and where this service is served.

    `prefix` and `hub_prefix` are URL paths with a slash at both ends, `hub_prefix` with its host in
    front where the service has another host than the hub; `api_url` is the hub's REST
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
    #: Why nothing is decided right now, in a word that `metrics` lists too: "ledger_away",
    #: "hub_away", "hub_not_settled", "other_hub", "waiting", "starting", "failed"; "" is fine.
    trouble: str = field(default="starting")
    #: Since when; None before the first pass.
    trouble_since: datetime | None = None

    @property
    def static_url(self) -> str:
        """Where pages find our style sheet and scripts. Browsers load modules from their own host
        only, so that a service on another host than the hub's serves them itself."""
        if self.hub_prefix.startswith("/"):
            return f"{self.hub_prefix}gradient/static/"
        return f"{self.prefix}static/"

    @cached_property
    def frames(self) -> Frames:
        """What stands around people's pages."""
        return Frames(self.api_url, self.static_url)

    def facts(self, passed_at: datetime | None) -> KeeperFacts:
        """Return what is known of the keeper; its last pass is one that the ledger knows of."""
        policy = self.published.policy if self.published else None
        return KeeperFacts(
            passed_at=passed_at,
            trouble=self.trouble,
            since=self.trouble_since,
            interval=policy.interval if policy else 30.0,
            dry_run=bool(policy and policy.dry_run),
        )

    async def refresh(self) -> None:
        """Read the hub's published settings again if they changed. Raises LedgerAway."""
        digest = await self.ledger.aread(fleet.read_digest, self.hub_id)
        if digest and digest != self.digest:
            body = await self.ledger.aread(fleet.read_published, self.hub_id)
            self.published = Published.model_validate(body)
            self.digest = digest
