"""The audit: who did what to whom. Rows are bounded in size; a setting prunes old ones."""

from collections.abc import Mapping
from datetime import datetime
from json import dumps
from typing import TypedDict, cast

from sqlalchemy import delete, select

from ..rules.action import MONEY, Action
from .batches import AT_ONCE
from .by import By
from .database import Transaction
from .schema import accounts, audit

LONGEST_DETAIL = 2000
#: So that one value fits, whatever its characters: JSON writes an emoji as twelve.
LONGEST_VALUE = 150
#: From the first moment until just before the second; None: without a limit.
Between = tuple[datetime | None, datetime | None]
ALWAYS: Between = (None, None)


class AuditRow(TypedDict):
    """A row as it is listed, with the name of its account."""

    id: int
    hub_id: str
    at: datetime
    actor: str
    account_id: str | None
    account_name: str | None
    action: str
    detail: dict[str, object]


def record(
    tx: Transaction,
    by: By,
    action: Action,
    *,
    account_id: str | None = None,
    detail: Mapping[str, object],
) -> None:
    """Add one row. A detail that is too long is cut to what fits, and says so."""
    body = dict(detail)
    if len(dumps(body, default=str)) > LONGEST_DETAIL:
        body = _cut(body)
    tx.execute(
        audit.insert().values(
            hub_id=by.hub_id,
            at=by.now,
            actor=by.actor,
            account_id=account_id,
            action=action[:32],
            detail=body,
        )
    )


def _cut(detail: Mapping[str, object]) -> dict[str, object]:
    kept: dict[str, object] = {"cut": True}
    for key, value in detail.items():
        more = kept | {key[:40]: str(value)[:LONGEST_VALUE]}
        if len(dumps(more)) <= LONGEST_DETAIL:
            kept = more
    return kept


def list_rows(
    tx: Transaction,
    *,
    hub_id: str,
    account_id: str | None = None,
    action: str | None = None,
    between: Between = ALWAYS,
    before: int | None = None,
    limit: int = 100,
) -> list[AuditRow]:
    """Return the newest rows, of one account or of all, of one action or of all.

    `before` is the id of the last row of the page before.
    """
    since, until = between
    query = (
        select(audit, accounts.c.name.label("account_name"))
        .join(accounts, accounts.c.id == audit.c.account_id, isouter=True)
        .where(audit.c.hub_id == hub_id)
        .order_by(audit.c.id.desc())
        .limit(limit)
    )
    if account_id is not None:
        query = query.where(audit.c.account_id == account_id)
    if action is not None:
        query = query.where(audit.c.action == action)
    if before is not None:
        query = query.where(audit.c.id < before)
    if since is not None:
        query = query.where(audit.c.at >= since)
    if until is not None:
        query = query.where(audit.c.at < until)
    return [cast("AuditRow", row._asdict()) for row in tx.execute(query)]


def prune(
    tx: Transaction, *, hub_id: str, since: datetime | None, before: datetime, limit: int = AT_ONCE
) -> datetime:
    """Delete rows from before `before`, the oldest first: at most `limit`, none that money needs.

    Returns until when all is pruned: `since` of the next call, so that rows that stay are not read
    again. It is `before` once nothing is left.
    """
    query = (
        select(audit.c.id, audit.c.at)
        .where(
            audit.c.hub_id == hub_id,
            audit.c.at < before,
            audit.c.action.not_in(MONEY),
        )
        .order_by(audit.c.at)
        .limit(limit)
    )
    if since is not None:
        query = query.where(audit.c.at >= since)
    old = tx.execute(query).all()
    tx.execute(delete(audit).where(audit.c.id.in_([row.id for row in old])))
    return old[-1].at if len(old) == limit else before
