"""A lease as a value, for tests that need no ledger."""

from datetime import UTC, datetime, timedelta
from typing import Any

from gradienthub.rules.lease import Lease
from gradienthub.rules.phase import Phase

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PLAIN: dict[str, Any] = {
    "id": "lease",
    "hub_id": "h",
    "account_id": "account",
    "account_name": "anna",
    "notebook_id": "notebook",
    "server_name": "",
    "display_name": "",
    "instance_type": "free-cpu",
    "price": 0,
    "currency": "USD",
    "tier": "free",
    "tier_given_by": "default",
    "groups": (),
    "runtime": "python",
    "image": None,
    "custom_image": False,
    "interface": "lab",
    "host": "rack",
    "host_key": "h/rack",
    "cpus": 1.0,
    "memory": 2.0,
    "shutdown_after": timedelta(hours=1),
    "phase": Phase.ADMITTED,
    "phase_at": NOW,
    "admitted_at": NOW,
}


def make_lease(**columns: Any) -> Lease:
    """Return a lease that was just admitted, but for these columns."""
    return Lease(**PLAIN | columns)
