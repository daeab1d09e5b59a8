"""Whether a running notebook is kept or stopped, and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from .duration import format_duration


class Reason(StrEnum):
    """Why a lease ended."""

    USER = "user"
    IDLE = "idle"
    SESSION_LIMIT = "session_limit"
    STOP_AT = "stop_at"
    BUDGET = "budget"
    CRASHED = "crashed"
    START_FAILED = "start_failed"
    LOST = "lost"
    ADMIN = "admin"
    HUB = "hub"


@dataclass(frozen=True)
class Deadlines:
    """When a lease stops: `shutdown_after` of idleness (None: never for idleness), hard ends."""

    shutdown_after: timedelta | None
    stop_at: datetime | None = None
    session_ends_at: datetime | None = None


@dataclass(frozen=True)
class Keep:
    """It goes on."""

    why: str


@dataclass(frozen=True)
class Stop:
    """It ends now."""

    reason: Reason
    why: str


def decide(idle_for: timedelta | None, deadlines: Deadlines, now: datetime) -> Keep | Stop:
    """Keep or stop. `idle_for` is None where nobody knows, and unknown is not idle."""
    if deadlines.session_ends_at and now >= deadlines.session_ends_at:
        return Stop(Reason.SESSION_LIMIT, "the tier's session limit is reached")
    if deadlines.stop_at and now >= deadlines.stop_at:
        return Stop(Reason.STOP_AT, "the end time its owner chose is reached")
    if deadlines.shutdown_after is None:
        return Keep("no idle stop is set")
    if idle_for is None:
        return Keep("nothing is known of its use")
    # Below zero where the notebook's clock is ahead of ours.
    idle_for = max(idle_for, timedelta(0))
    if idle_for >= deadlines.shutdown_after:
        return Stop(Reason.IDLE, f"idle for {format_duration(idle_for)}")
    allowed = format_duration(deadlines.shutdown_after)
    return Keep(f"idle for {format_duration(idle_for)} of {allowed}")
