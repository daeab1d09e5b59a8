"""Bindings by hand: an administrator gives a name the account it had before, and takes it back."""

from datetime import UTC, datetime

from sqlalchemy import and_, func, select, update

from ..rules.action import Action
from ..rules.identity import Closed
from ..rules.refusal import shown
from . import audit, identity_findings
from .account_acts import Change, build_refusal, require_nothing_running
from .by import By
from .database import Transaction
from .identity_rows import (
    Binding,
    NewBinding,
    bind_user,
    find_successor,
    first_binding,
    has_subject,
    has_user,
    name_has_older_account,
    open_account,
    read_bindings,
)
from .schema import accounts, balances, identities, notebooks, subjects

EVER = datetime.min.replace(tzinfo=UTC)


def bind(tx: Transaction, by: By, name: str, *, to: str = "") -> list[Change]:
    """Give a name back the account it had before; `to` chooses one by its id."""
    current = _current_user(tx, by.hub_id, name)
    account_id = _old_account(tx, by.hub_id, name, to, current)
    if current is None:
        tx.execute(
            update(accounts)
            .where(accounts.c.id == account_id)
            .values(prepared_at=by.now, closed_at=None, closed_why=None, name=name)
        )
        audit.record(tx, by, Action.ACCOUNT_PREPARED, account_id=account_id, detail={"name": name})
        changes = [Change(account_id, name, f"waits for the next login of {name}")]
    else:
        changes = _switch(tx, by, current, account_id, "an administrator bound the name to it")
    identity_findings.report(tx, hub_id=by.hub_id, now=by.now)
    return changes


def bind_closed(tx: Transaction, by: By, since: datetime) -> list[Change]:
    """Give every name that was closed since then its account back: they are the same people.

    Of several accounts of one person the oldest is the one that they had: whoever has it already
    keeps it.
    """
    closed = tx.execute(
        select(accounts.c.id)
        .where(
            accounts.c.hub_id == by.hub_id,
            accounts.c.closed_why == Closed.REPLACED.value,
            accounts.c.closed_at >= since,
        )
        .order_by(accounts.c.closed_at)
    ).all()
    changes: list[Change] = []
    for row in closed:
        current = find_successor(tx, row.id)
        if current is not None:
            why = "an administrator said that they are the same person"
            changes += _switch(tx, by, current, row.id, why)
    identity_findings.report(tx, hub_id=by.hub_id, now=by.now)
    return changes


def bind_all(tx: Transaction, by: By) -> list[Change]:
    """Give every account whose users are gone, and that no subject finds, back to its name.

    A name that has an older account keeps that: `merge` moves what was opened meanwhile.
    """
    names = tx.execute(
        select(accounts.c.name, func.count())
        .where(
            accounts.c.hub_id == by.hub_id,
            accounts.c.closed_at.is_(None),
            accounts.c.prepared_at.is_(None),
            ~has_user(),
            ~has_subject(),
            ~name_has_older_account(),
        )
        .group_by(accounts.c.name)
        .order_by(accounts.c.name)
    ).all()
    changes: list[Change] = []
    for name, count in names:
        if count == 1:
            changes += bind(tx, by, name)
    return changes


def unbind(tx: Transaction, by: By, name: str) -> list[Change]:
    """Take a name's user off the account that a command or a subject bound it to.

    They have the account of before again, where a command had bound them, else a new one. A later
    login does not bind them again.
    """
    current = _current_user(tx, by.hub_id, name)
    if current is None:
        raise build_refusal(
            f"The hub has no user {shown(name)} with an account.", "Nothing is bound."
        )
    changes = _undo(tx, by, current)
    identity_findings.report(tx, hub_id=by.hub_id, now=by.now)
    return changes


def unbind_since(tx: Transaction, by: By, since: datetime) -> list[Change]:
    """Undo what `bind` did since then."""
    bindings = read_bindings(
        tx,
        select(identities).where(
            identities.c.hub_id == by.hub_id,
            identities.c.apart_from.is_not(None),
            identities.c.replaced_at.is_(None),
            identities.c.bound_at >= since,
        ),
    )
    changes = [change for binding in bindings for change in _undo(tx, by, binding)]
    identity_findings.report(tx, hub_id=by.hub_id, now=by.now)
    return changes


def _undo(tx: Transaction, by: By, current: Binding) -> list[Change]:
    why = "an administrator took the name off it"
    if current.apart_from:
        return _switch(tx, by, current, current.apart_from, why, closes=Closed.REPLACED)
    new = open_account(tx, hub_id=by.hub_id, name=current.user.name, now=by.now)
    audit.record(
        tx,
        by,
        Action.ACCOUNT_OPENED,
        account_id=new,
        detail={"user": current.user.name, "why": why},
    )
    return _switch(tx, by, current, new, why, words=False, closes=Closed.REPLACED)


def _current_user(tx: Transaction, hub_id: str, name: str) -> Binding | None:
    """Return the binding of the hub's present user of that name."""
    return first_binding(
        tx,
        select(identities)
        .join(accounts, accounts.c.id == identities.c.account_id)
        .where(
            identities.c.hub_id == hub_id,
            identities.c.replaced_at.is_(None),
            identities.c.missing_since.is_(None),
            accounts.c.closed_at.is_(None),
            (identities.c.name == name) | and_(identities.c.name == "", accounts.c.name == name),
        )
        .order_by(identities.c.bound_at.desc())
        .limit(1),
    )


def _old_account(tx: Transaction, hub_id: str, name: str, to: str, current: Binding | None) -> str:
    """Return the id of the account that the name is to have. Raises Refused with the choices."""
    current_id = current.account_id if current is not None else ""
    query = select(accounts).where(accounts.c.hub_id == hub_id, accounts.c.id != current_id)
    if to:
        row = tx.execute(query.where(accounts.c.id == to)).first()
        if row is None or row.closed_why == Closed.MERGED.value:
            raise build_refusal(
                f"There is no other account {shown(to)}.", "See `account list --all`."
            )
        return to
    rows = tx.execute(
        query.where(
            accounts.c.name == name,
            ~has_user(),
            accounts.c.closed_at.is_(None)
            | accounts.c.closed_why.in_((Closed.REPLACED.value, Closed.SET_ASIDE.value)),
        ).order_by(accounts.c.closed_at.is_not(None), accounts.c.created_at.desc())
    ).all()
    choices = [row for row in rows if row.closed_at is None] or rows
    if not choices:
        raise build_refusal(
            f"{name} has no account without a user that could be given back.",
            "`gradienthub account list --all` shows every account; --to ACCOUNT chooses one.",
        )
    if len(choices) > 1:
        ids = ", ".join(f"{row.id} ({row.created_at:%Y-%m-%d})" for row in choices[:5])
        raise build_refusal(
            f"{name} had {len(choices)} accounts: {ids}.", "Choose one with --to ACCOUNT."
        )
    return str(choices[0].id)


def _switch(
    tx: Transaction,
    by: By,
    current: Binding,
    to: str,
    why: str,
    *,
    words: bool = True,
    closes: Closed = Closed.SET_ASIDE,
) -> list[Change]:
    """Let a hub user have another account, with the words that came with them.

    What is in the account of before stays in it. Raises Refused while it runs something.
    """
    left, user = current.account_id, current.user
    require_nothing_running(tx, left)
    if words:
        _move_words(tx, by, current, to)
    new = NewBinding(by.hub_id, to, user, current.who, before_id=left, by_hand=True)
    bind_user(tx, new, by.now)
    tx.execute(
        update(accounts)
        .where(accounts.c.id == to)
        .values(closed_at=None, closed_why=None, prepared_at=None)
    )
    audit.record(
        tx,
        by,
        Action.ACCOUNT_BOUND,
        account_id=to,
        detail={"user": user.name, "from": left, "why": why},
    )
    changes = [Change(to, user.name, f"is the account of {user.name} now; it was {left}")]
    still_used = select(accounts.c.id).where(accounts.c.id == left, has_user())
    if tx.execute(still_used).first() is None:
        changes.append(_close(tx, by, current, to, why, closes))
    return changes


def _close(tx: Transaction, by: By, left: Binding, to: str, why: str, closes: Closed) -> Change:
    """Close the account that its last user left."""
    account_id, name = left.account_id, left.user.name
    closed = {"closed_at": by.now, "closed_why": closes.value}
    tx.execute(update(accounts).where(accounts.c.id == account_id).values(**closed))
    detail = {"user": name, "why": why}
    audit.record(tx, by, Action.ACCOUNT_CLOSED, account_id=account_id, detail=detail)
    has = _contents(tx, account_id)
    merge = f"`gradienthub account merge {account_id} {to}` moves them"
    return Change(account_id, name, f"is closed; it has {has}: {merge}" if has else "is closed")


def _move_words(tx: Transaction, by: By, current: Binding, to: str) -> None:
    """Move the words that came with a user into the account that they get."""
    tx.execute(
        update(subjects)
        .where(
            subjects.c.account_id == current.account_id,
            subjects.c.replaced_at.is_(None),
            # Back: only those that came with the bind.
            subjects.c.bound_at >= (current.bound_at if current.apart_from else EVER),
        )
        .values(account_id=to, bound_at=by.now)
    )


def _contents(tx: Transaction, account_id: str) -> str:
    held = tx.execute(
        select(func.count()).select_from(notebooks).where(notebooks.c.account_id == account_id)
    ).scalar_one()
    money = tx.execute(
        select(func.count())
        .select_from(balances)
        .where(balances.c.account_id == account_id, balances.c.amount != 0)
    ).scalar_one()
    words = [f"{held} notebook{'' if held == 1 else 's'}"] if held else []
    return " and ".join(words + (["money"] if money else []))
