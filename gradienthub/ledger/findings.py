"""Findings: what is wrong at a hub, one row each while it lasts, kept when mended."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, select, update

from .schema import findings


@dataclass(frozen=True)
class NewFinding:
    """One thing that is wrong: `kind` of a fault of the thing `key` names, and what mends it."""

    key: str
    kind: str
    why: str
    repair: str
    lease_id: str | None = None


def report(
    tx: Connection, *, hub_id: str, source: str, found: Iterable[NewFinding], now: datetime
) -> list[NewFinding]:
    """Record all that `source` finds wrong now: findings are added, counted on, or marked as
    mended.

    Returns those that are new.
    """
    standing = {
        row.key: row
        for row in tx.execute(
            select(findings).where(
                findings.c.hub_id == hub_id,
                findings.c.source == source,
                findings.c.mended_at.is_(None),
            )
        )
    }
    now_wrong = {_fitting(one.key, 255): one for one in found}
    for key, row in standing.items():
        one = now_wrong.get(key)
        values = (
            {"mended_at": now}
            if one is None
            else {"last_at": now, "times": row.times + 1, "why": _fitting(one.why, 400)}
        )
        tx.execute(update(findings).where(findings.c.id == row.id).values(**values))
    new = {key: one for key, one in now_wrong.items() if key not in standing}
    for key, one in new.items():
        tx.execute(
            findings.insert().values(
                hub_id=hub_id,
                key=key,
                kind=one.kind,
                source=source,
                lease_id=one.lease_id and _fitting(one.lease_id, 36),
                why=_fitting(one.why, 400),
                repair=_fitting(one.repair, 400),
                times=1,
                first_at=now,
                last_at=now,
            )
        )
    return list(new.values())


def _fitting(words: str, length: int) -> str:
    # Labels and an engine's errors are others' words; a zero byte is no text to PostgreSQL.
    return words.replace("\0", "\N{REPLACEMENT CHARACTER}")[:length]


def listed(
    tx: Connection, hub_id: str, *, standing: bool = True, limit: int = 200
) -> list[dict[str, Any]]:
    """List findings that stand, the newest first, and then also those that are mended.

    However many were mended since, none that stands is cut off for them.
    """
    stands = findings.c.mended_at.is_(None)
    query = select(findings).where(findings.c.hub_id == hub_id)
    if standing:
        query = query.where(stands)
    query = query.order_by(case((stands, 0), else_=1), findings.c.id.desc())
    return [dict(row._mapping) for row in tx.execute(query.limit(limit))]
