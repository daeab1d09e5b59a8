"""Small mode: jupyterhub-idle-culler 2 with our arbiter instead of the keeper.

The culler has one limit for all; the arbiter reads each lease's own deadlines from the server's
saved state, so that a notebook's interval, its end time and the tier's session limit hold.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from ..rules.idleness import Deadlines, Stop, cull

log = logging.getLogger("gradienthub")


def deadlines_of(state: Mapping[str, object]) -> Deadlines | None:
    """Return the deadlines in a server's saved state, or None where it has none of ours."""
    kept = state.get("deadlines")
    if not isinstance(kept, Mapping):
        return None
    seconds = kept.get("shutdown_after")
    return Deadlines(
        shutdown_after=None if seconds is None else timedelta(seconds=seconds),
        stop_at=_moment(kept.get("stop_at")),
        session_ends_at=_moment(kept.get("session_ends_at")),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def arbiter(
    inactive: timedelta | None,
    inactive_limit: float,
    server: Mapping[str, object],
    now: datetime | None = None,
) -> bool:
    """Return whether the culler stops this server now; its own `inactive_limit` is never used."""
    state = server.get("state")
    deadlines = deadlines_of(state) if isinstance(state, Mapping) else None
    if deadlines is None:
        return False
    verdict = cull(inactive, deadlines, now or datetime.now(UTC))
    if isinstance(verdict, Stop):
        log.info("Stopping %s: %s", server.get("full_name") or server.get("url"), verdict.why)
        return True
    return False
