"""The database's own clock, for `gradienthub check`; nothing in the ledger is written by it."""

from datetime import UTC, datetime

from sqlalchemy import text

from .database import Transaction


def database_time(tx: Transaction) -> datetime | None:
    """Return what time it is there; None for SQLite, which has no clock but ours."""
    if tx.dialect.name == "sqlite":
        return None
    now: datetime = tx.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now.astimezone(UTC)
