"""Tell where a lease is in its life, in one of four words."""

from collections.abc import Mapping
from typing import Any


def state_of(lease: Mapping[str, Any]) -> str:
    """starting, running, stopping or ended."""
    if lease["ended_at"]:
        return "ended"
    if lease["stop_requested_at"]:
        return "stopping"
    return "running" if lease["answered_at"] else "starting"
