"""Keepers: one process acts for a hub at a time, by a row with its holder and an expiry."""

from datetime import datetime, timedelta
from typing import TypedDict, cast

from sqlalchemy import delete, func, select, update

from .database import Transaction
from .schema import keepers

#: By how much the clocks of two keepers' machines may differ.
SKEW = timedelta(minutes=1)


class KeeperRow(TypedDict, total=False):
    """Who acts for a hub, until when, and what it said last; nothing where none ever acted."""

    hub_id: str
    holder: str
    expires_at: datetime
    passed_at: datetime | None
    pass_seconds: float | None
    trouble: str | None
    trouble_since: datetime | None


def find_keeper(tx: Transaction, hub_id: str) -> KeeperRow | None:
    """Return the hub's keeper row, or None where none ever acted."""
    row = tx.execute(select(keepers).where(keepers.c.hub_id == hub_id)).first()
    return cast("KeeperRow", row._asdict()) if row else None


def has_looked(tx: Transaction, hub_id: str) -> bool:
    """Return whether a keeper of this hub has looked, or said why not; none does before a start."""
    row = find_keeper(tx, hub_id)
    return row is not None and bool(row["passed_at"] or row["trouble"])


def take(
    tx: Transaction, hub_id: str, me: str, *, now: datetime, until: datetime, gone: str = ""
) -> bool:
    """Act, or go on acting, until `until`; False while another does.

    `gone` is a holder that the caller knows to have died, so that its expiry is not waited for. An
    expiry that is far beyond `until` was written before the clock was set back, and says nothing.
    """
    row = find_keeper(tx, hub_id)
    if row is None:
        tx.execute(keepers.insert().values(hub_id=hub_id, holder=me, expires_at=until))
        return True
    far = until + (until - now) + SKEW
    if row["holder"] not in (me, gone) and now < row["expires_at"] <= far:
        return False
    tx.execute(
        update(keepers).where(keepers.c.hub_id == hub_id).values(holder=me, expires_at=until)
    )
    return True


def note_pass(tx: Transaction, hub_id: str, me: str, at: datetime, seconds: float) -> None:
    """Write that a pass of the acting keeper `me` is over."""
    tx.execute(
        update(keepers)
        .where(keepers.c.hub_id == hub_id, keepers.c.holder == me)
        .values(passed_at=at, pass_seconds=seconds, trouble=None, trouble_since=None)
    )


def note_trouble(tx: Transaction, hub_id: str, me: str, trouble: str, now: datetime) -> None:
    """Write why the acting keeper `me` decides nothing; since when stays while it lasts."""
    tx.execute(
        update(keepers)
        .where(
            keepers.c.hub_id == hub_id,
            keepers.c.holder == me,
            func.coalesce(keepers.c.trouble, "") != trouble,
        )
        .values(trouble=trouble[:24], trouble_since=now)
    )


def release(tx: Transaction, hub_id: str, me: str) -> None:
    """Let another act at once."""
    tx.execute(delete(keepers).where(keepers.c.hub_id == hub_id, keepers.c.holder == me))
