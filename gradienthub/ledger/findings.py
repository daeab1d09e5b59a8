"""Findings: what is wrong at a hub, one row each while it lasts, kept when mended."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NotRequired, TypedDict, cast

from sqlalchemy import case, select, update

from .database import Transaction
from .schema import findings


@dataclass(frozen=True)
class NewFinding:
    """One thing that is wrong: `kind` of a fault of the thing `key` names, and what mends it."""

    key: str
    kind: str
    why: str
    repair: str
    lease_id: str | None = None


class FindingRow(TypedDict):
    """A finding as it is listed; `mended_at` is None while it stands.

    What nobody wrote as a row, as that nobody looks, has no id and perhaps no moments.
    """

    id: int | None
    hub_id: NotRequired[str]
    key: str
    kind: str
    source: str
    lease_id: str | None
    why: str
    repair: str
    times: int
    first_at: datetime | None
    last_at: datetime | None
    mended_at: datetime | None


def report(
    tx: Transaction, *, hub_id: str, source: str, wrong: Iterable[NewFinding], now: datetime
) -> list[NewFinding]:
    """Record all that `source` finds wrong now: findings are added, counted on, or marked as
    mended.

    Returns those that are new.
    """
    standing = tx.execute(
        select(findings.c.id, findings.c.key, findings.c.times).where(
            findings.c.hub_id == hub_id,
            findings.c.source == source,
            findings.c.mended_at.is_(None),
        )
    ).all()
    by_key = {_fitting(finding.key, 255): finding for finding in wrong}
    for row in standing:
        finding = by_key.pop(row.key, None)
        values = (
            {"mended_at": now}
            if finding is None
            else {"last_at": now, "times": row.times + 1, "why": _fitting(finding.why, 400)}
        )
        tx.execute(update(findings).where(findings.c.id == row.id).values(**values))
    for key, finding in by_key.items():
        tx.execute(
            findings.insert().values(
                hub_id=hub_id,
                key=key,
                kind=finding.kind,
                source=source,
                lease_id=finding.lease_id and _fitting(finding.lease_id, 36),
                why=_fitting(finding.why, 400),
                repair=_fitting(finding.repair, 400),
                times=1,
                first_at=now,
                last_at=now,
            )
        )
    return list(by_key.values())


def _fitting(words: str, length: int) -> str:
    # Labels and an engine's errors are others' words; a zero byte is no text to PostgreSQL.
    return words.replace("\0", "\N{REPLACEMENT CHARACTER}")[:length]


def list_findings(
    tx: Transaction, hub_id: str, *, standing: bool = True, limit: int = 200
) -> list[FindingRow]:
    """List findings that stand, the newest first, and then also those that are mended.

    However many were mended since, none that stands is cut off for them.
    """
    stands = findings.c.mended_at.is_(None)
    query = select(findings).where(findings.c.hub_id == hub_id)
    if standing:
        query = query.where(stands)
    query = query.order_by(case((stands, 0), else_=1), findings.c.id.desc())
    return [cast("FindingRow", row._asdict()) for row in tx.execute(query.limit(limit))]
