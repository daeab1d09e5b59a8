"""Requests: what people ask an administrator for, and the answer they got."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select, update

from ..rules.action import Action
from ..rules.refusal import Refused
from . import audit
from .accounts import Account, approve
from .by import By
from .schema import accounts, approval_requests

LONGEST_REASON = 400


@dataclass(frozen=True)
class ApprovalRequest:
    """Somebody asks to rent an instance type; `granted` is None until it is decided."""

    id: str
    account_id: str
    account_name: str
    instance_type: str
    reason: str
    asked_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    granted: bool | None
    answer: str | None


def ask(
    tx: Connection,
    account: Account,
    *,
    hub_id: str,
    instance_type: str,
    reason: str,
    now: datetime,
) -> str:
    """Ask for an approval; the request's id. Asking again changes the reason of the one that waits.

    Raises Refused `reason_required` where there is none.
    """
    reason = " ".join(reason.replace("\0", " ").split())[:LONGEST_REASON]
    if not reason:
        raise Refused(
            "reason_required",
            "An approval is asked for with a reason, and there is none.",
            "Say in a sentence what you need the machine for.",
            field="reason",
        )
    waiting = tx.execute(
        select(approval_requests.c.id).where(
            approval_requests.c.account_id == account.id,
            approval_requests.c.instance_type == instance_type,
            approval_requests.c.decided_at.is_(None),
        )
    ).scalar()
    if waiting is not None:
        tx.execute(
            update(approval_requests)
            .where(approval_requests.c.id == waiting)
            .values(reason=reason, asked_at=now)
        )
        return str(waiting)
    request_id = str(uuid.uuid4())
    tx.execute(
        approval_requests.insert().values(
            id=request_id,
            hub_id=hub_id,
            account_id=account.id,
            instance_type=instance_type,
            reason=reason,
            asked_at=now,
        )
    )
    audit.record(
        tx,
        By(hub_id, account.name, now),
        Action.APPROVAL_ASKED,
        account_id=account.id,
        detail={"instance_type": instance_type, "reason": reason},
    )
    return request_id


def decide(
    tx: Connection,
    account: Account,
    *,
    hub_id: str,
    instance_type: str,
    grant: bool,
    answer: str,
    expires_at: datetime | None,
    actor: str,
    now: datetime,
) -> bool:
    """Grant an approval or refuse it, and answer the request that waits for it.

    A grant needs no request. Of two administrators at once the second finds nothing that waits:
    whether a request was answered.
    """
    found = tx.execute(
        select(approval_requests).where(
            approval_requests.c.account_id == account.id,
            approval_requests.c.instance_type == instance_type,
            approval_requests.c.decided_at.is_(None),
        )
    ).first()
    answered = tx.execute(
        update(approval_requests)
        .where(
            approval_requests.c.id == (found.id if found else ""),
            approval_requests.c.decided_at.is_(None),
        )
        .values(
            decided_at=now, decided_by=actor[:255], granted=grant, answer=answer[:LONGEST_REASON]
        )
    ).rowcount
    if grant:
        approve(
            tx,
            account,
            hub_id=hub_id,
            instance_type=instance_type,
            reason=answer or (found.reason if found else ""),
            expires_at=expires_at,
            actor=actor,
            now=now,
        )
    elif answered:
        audit.record(
            tx,
            By(hub_id, actor, now),
            Action.APPROVAL_REFUSED,
            account_id=account.id,
            detail={"instance_type": instance_type, "answer": answer},
        )
    return bool(answered)


def waiting(tx: Connection, *, hub_id: str) -> list[ApprovalRequest]:
    """List every request of this hub that waits for an answer, the oldest first."""
    rows = tx.execute(
        _query()
        .where(approval_requests.c.hub_id == hub_id, approval_requests.c.decided_at.is_(None))
        .order_by(approval_requests.c.asked_at)
    )
    return [_request(row) for row in rows]


def of_account(tx: Connection, account_id: str) -> list[ApprovalRequest]:
    """Return what this account asked for, the newest first."""
    rows = tx.execute(
        _query()
        .where(approval_requests.c.account_id == account_id)
        .order_by(approval_requests.c.asked_at.desc())
    )
    return [_request(row) for row in rows]


def _query() -> Select[Any]:
    return select(approval_requests, accounts.c.name).join(
        accounts, accounts.c.id == approval_requests.c.account_id
    )


def _request(row: Any) -> ApprovalRequest:
    return ApprovalRequest(
        row.id,
        row.account_id,
        row.name,
        row.instance_type,
        row.reason,
        row.asked_at,
        row.decided_at,
        row.decided_by,
        row.granted,
        row.answer,
    )
