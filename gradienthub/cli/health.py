"""Health for commands: whether the keeper looks, as the ledger has it."""

import sys
from datetime import datetime

from ..hub.users_api import KEEPER
from ..ledger import Ledger, findings, keepers
from ..rules.health import Health, KeeperFacts, health
from .config import HubConfig
from .desk import Desk


def health_of(hub: HubConfig, ledger: Ledger, now: datetime) -> Health:
    """Return what to say of a hub now."""
    hub_id, policy = hub.settings.hub_id, hub.settings.policy
    row = ledger.read(keepers.find_keeper, hub_id) or {}
    standing = ledger.read(findings.list_findings, hub_id, limit=1000)
    facts = KeeperFacts(
        wired=any(
            service.get("name") == KEEPER for service in hub.config.JupyterHub.get("services", ())
        ),
        passed_at=row.get("passed_at"),
        trouble=row.get("trouble") or "",
        since=row.get("trouble_since"),
        interval=policy.interval,
        dry_run=policy.dry_run,
    )
    return health(facts, len(standing), now)


def say_if_old(desk: Desk) -> None:
    """Say on standard error that nobody looks, so that a list may be old."""
    trouble = health_of(desk.hub, desk.ledger, desk.now).trouble
    if trouble is not None:
        print(f"This may be old. {trouble.why} {trouble.cure}", file=sys.stderr)
