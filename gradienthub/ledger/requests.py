"""Requests: what people ask an administrator for, and the answer they got."""

import uuid
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import select, update

from ..rules.action import Action
from ..rules.refusal import Refused
from . import audit
from .accounts import Account
from .by import By
from .database import Transaction
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


_QUERY = select(
    *(
        accounts.c.name if field.name == "account_name" else approval_requests.c[field.name]
        for field in fields(ApprovalRequest)
    )
).join(accounts, accounts.c.id == approval_requests.c.account_id)


def ask(tx: Transaction, by: By, account: Account, instance_type: str, reason: str) -> None:
    """Ask for an approval. Asking again changes the reason of the request that waits.

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
    unanswered = (
        approval_requests.c.account_id == account.id,
        approval_requests.c.instance_type == instance_type,
        approval_requests.c.decided_at.is_(None),
    )
    again = update(approval_requests).where(*unanswered).values(reason=reason, asked_at=by.now)
    if tx.execute(again).rowcount:
        return
    tx.execute(
        approval_requests.insert().values(
            id=str(uuid.uuid4()),
            hub_id=by.hub_id,
            account_id=account.id,
            instance_type=instance_type,
            reason=reason,
            asked_at=by.now,
        )
    )
    detail = {"instance_type": instance_type, "reason": reason}
    audit.record(tx, by, Action.APPROVAL_ASKED, account_id=account.id, detail=detail)


def list_waiting(tx: Transaction, *, hub_id: str) -> list[ApprovalRequest]:
    """List every request of this hub that waits for an answer, the oldest first."""
    waits = approval_requests.c.hub_id == hub_id, approval_requests.c.decided_at.is_(None)
    rows = tx.execute(_QUERY.where(*waits).order_by(approval_requests.c.asked_at))
    return [ApprovalRequest(*row) for row in rows]


def list_requests(tx: Transaction, account_id: str) -> list[ApprovalRequest]:
    """Return what this account asked for, the newest first."""
    own = _QUERY.where(approval_requests.c.account_id == account_id)
    rows = tx.execute(own.order_by(approval_requests.c.asked_at.desc()))
    return [ApprovalRequest(*row) for row in rows]
