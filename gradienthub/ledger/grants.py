"""Grants: what administrators give to accounts and take back, checked and written in one place.

Credit, budgets, tiers, payment methods, approvals. The command line, REST v1 and the pages say who
may, parse what is asked for, and show what came of it. An act raises Refused for what makes no
sense.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select, update

from ..rules.action import Action
from ..rules.admission import House
from ..rules.refusal import Refused, shown
from . import audit, credits, extension, usage
from .accounts import Account
from .by import By
from .credits import CreditRecord, NewCredit, require_amount
from .database import Transaction
from .idempotency import once
from .schema import accounts, approval_requests, approvals, budgets

LONGEST_REASON = 400


@dataclass(frozen=True)
class Transfer:
    """Money to give or to take back, in micro-units, with the reason that the statement shows.

    `currency` "" is the hub's, `lasts` None for ever. With a `key` it is done once, however often
    it is asked for.
    """

    amount: int
    reason: str
    currency: str = ""
    lasts: timedelta | None = None
    key: str = ""


@dataclass(frozen=True)
class Decision:
    """The answer to somebody who asks for an instance type; they read the reason.

    `lasts` None is until it is withdrawn.
    """

    instance_type: str
    grant: bool
    reason: str = ""
    lasts: timedelta | None = None


def give_credit(
    tx: Transaction, by: By, account_id: str, transfer: Transfer, house: House
) -> CreditRecord:
    """Give a credit, or record a payment."""
    currency = _currency_of(transfer, house)
    expires_at = by.now + transfer.lasts if transfer.lasts else None
    new = NewCredit(currency, transfer.amount, transfer.reason, expires_at)
    request = _request("credit", account_id, currency, transfer)
    credit_id = once(tx, by, transfer.key, request, lambda: credits.give(tx, by, account_id, new))
    return credits.find_credit(tx, credit_id)


def take_credit(tx: Transaction, by: By, account_id: str, transfer: Transfer, house: House) -> None:
    """Take back what was given by mistake. May leave a debt."""
    currency = _currency_of(transfer, house)

    def act() -> str:
        amount, reason = transfer.amount, transfer.reason
        credits.take(tx, by, account_id, currency=currency, amount=amount, reason=reason)
        return ""

    once(tx, by, transfer.key, _request("take", account_id, currency, transfer), act)


def _currency_of(transfer: Transfer, house: House) -> str:
    currency = house.catalog.currency
    if transfer.currency not in ("", currency):
        raise Refused(
            "bad_body",
            f"This hub's money is {currency}, not {shown(transfer.currency)}.",
            field="currency",
        )
    return currency


def _request(act: str, account_id: str, currency: str, transfer: Transfer) -> dict[str, object]:
    """Build what a key stands for."""
    return {
        "act": act,
        "account": account_id,
        "amount": transfer.amount,
        "currency": currency,
        "reason": transfer.reason,
        "lasts": transfer.lasts and transfer.lasts.total_seconds(),
    }


def set_budget(
    tx: Transaction, by: By, scope: str, soft: int | None, hard: int | None, house: House
) -> None:
    """Set a month's budget of `usage.account_scope` or `usage.group_scope`; both None removes it.

    Running leases feel it at the next tick.
    """
    require_amount("soft", soft)
    require_amount("hard", hard)
    if soft is not None and hard is not None and soft > hard:
        raise Refused(
            "bad_body", "soft is above hard and would never warn.", "Make it smaller.", field="soft"
        )
    account_id = usage.account_in(scope)
    # What was used until now is paid by the limits of until now.
    extension.catch_up(tx, hub_id=by.hub_id, now=by.now, account_id=account_id)
    key = {"hub_id": by.hub_id, "scope": scope, "currency": house.catalog.currency}
    tx.execute(delete(budgets).where(*(budgets.c[name] == value for name, value in key.items())))
    if soft is not None or hard is not None:
        row = {"soft": soft, "hard": hard, "set_by": by.actor, "set_at": by.now}
        tx.execute(budgets.insert().values(**key, **row))
    detail = {"scope": scope, "currency": key["currency"], "soft": soft, "hard": hard}
    audit.record(tx, by, Action.BUDGET, account_id=account_id, detail=detail)


def set_tier(tx: Transaction, by: By, account: Account, tier: str | None, house: House) -> None:
    """Set a person's tier, or leave it to groups and claims again (None)."""
    if tier is not None:
        require_tier(tier, house)
    values = {"tier": tier, "tier_by": by.actor if tier else None}
    tx.execute(update(accounts).where(accounts.c.id == account.id).values(**values))
    detail = {"from": account.tier, "to": tier}
    audit.record(tx, by, Action.TIER, account_id=account.id, detail=detail)


def require_tier(name: str, house: House) -> None:
    """Raise Refused, with the tiers there are, for one there is not."""
    if name not in house.tiers:
        known = ", ".join(house.tiers)
        raise Refused(
            "bad_body", f"There is no tier {shown(name)}.", f"Known: {known}.", field="tier"
        )


def set_payment_method(tx: Transaction, by: By, account: Account, there: bool) -> None:
    """Record that the account has a payment method, or none."""
    tx.execute(update(accounts).where(accounts.c.id == account.id).values(payment_method=there))
    detail = {"there": there}
    audit.record(tx, by, Action.PAYMENT_METHOD, account_id=account.id, detail=detail)


def decide(tx: Transaction, by: By, account: Account, decision: Decision, house: House) -> bool:
    """Grant an instance type or refuse it; return whether a request waited for the answer.

    A grant needs no request, and replaces an earlier one. A refusal without a request that waits
    is refused: of two administrators at once the second learns it.
    """
    if decision.grant:
        require_instance_type(decision.instance_type, house)
    asked = _answer_request(tx, by, account, decision)
    if decision.grant:
        _approve(tx, by, account, decision, decision.reason or asked or "")
    elif asked is None:
        raise Refused(
            "not_found",
            f"No request for {shown(decision.instance_type)} waits for an answer.",
            field="instance_type",
        )
    else:
        detail = {"instance_type": decision.instance_type, "answer": decision.reason}
        audit.record(tx, by, Action.APPROVAL_REFUSED, account_id=account.id, detail=detail)
    return asked is not None


def require_instance_type(name: str, house: House) -> None:
    """Raise Refused, with the instance types there are, for one there is not."""
    if house.catalog.instance_type(name) is None:
        known = ", ".join(machine.name for machine in house.catalog.instance_types[:20])
        raise Refused(
            "unknown_instance_type",
            f"There is no instance type {shown(name)}.",
            f"Known: {known}.",
            field="instance_type",
        )


def _answer_request(tx: Transaction, by: By, account: Account, decision: Decision) -> str | None:
    """Answer the request that waits, and return its reason; None where none waits."""
    waits = [
        approval_requests.c.account_id == account.id,
        approval_requests.c.instance_type == decision.instance_type,
        approval_requests.c.decided_at.is_(None),
    ]
    reason: str | None = tx.execute(select(approval_requests.c.reason).where(*waits)).scalar()
    answered = tx.execute(
        update(approval_requests)
        .where(*waits)
        .values(
            decided_at=by.now,
            decided_by=by.actor,
            granted=decision.grant,
            answer=decision.reason[:LONGEST_REASON],
        )
    ).rowcount
    return reason if answered else None


def _approve(tx: Transaction, by: By, account: Account, decision: Decision, reason: str) -> None:
    _remove_approval(tx, account, decision.instance_type)
    expires_at = by.now + decision.lasts if decision.lasts else None
    reason = reason[:LONGEST_REASON]
    tx.execute(
        approvals.insert().values(
            account_id=account.id,
            hub_id=by.hub_id,
            instance_type=decision.instance_type,
            reason=reason,
            granted_by=by.actor,
            granted_at=by.now,
            expires_at=expires_at,
        )
    )
    detail = {
        "instance_type": decision.instance_type,
        "reason": reason,
        "expires_at": expires_at and expires_at.isoformat(),
    }
    audit.record(tx, by, Action.APPROVE, account_id=account.id, detail=detail)


def withdraw(tx: Transaction, by: By, account: Account, instance_type: str) -> bool:
    """Take an approval back; return whether there was one. What runs goes on.

    It outlives its instance type, so that one which is gone can be withdrawn.
    """
    removed = _remove_approval(tx, account, instance_type)
    if removed:
        detail = {"instance_type": instance_type}
        audit.record(tx, by, Action.WITHDRAW, account_id=account.id, detail=detail)
    return removed


def _remove_approval(tx: Transaction, account: Account, instance_type: str) -> bool:
    which = approvals.c.account_id == account.id, approvals.c.instance_type == instance_type
    return bool(tx.execute(delete(approvals).where(*which)).rowcount)
