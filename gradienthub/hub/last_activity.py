"""Read when the hub itself saw a server used."""

from datetime import UTC, datetime
from typing import Any


def active_at(row: Any) -> datetime | None:
    """When the hub itself saw a server used last; the hub's times are naive UTC."""
    return row.last_activity.replace(tzinfo=UTC) if row.last_activity else None
