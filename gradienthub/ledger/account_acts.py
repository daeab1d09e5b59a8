"""What an administrator does about who somebody is: prepare, bind, unbind, merge."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, update

from ..rules.identity import Closed, HubUser, Subject
from ..rules.money import format_amount
from ..rules.refusal import Refused, shown
from . import accounts as people
from . import audit, credits, expiry, identity, identity_findings, usage
from .entries import balance_of, credits_of
from .schema import (
    accounts,
    adopted_volumes,
    approval_requests,
    approvals,
    balances,
    budgets,
    identities,
    leases,
    notebooks,
    subjects,
)

EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Act:
    """Who acts, when, at which hub."""

    hub_id: str
    actor: str
    now: datetime


@dataclass(frozen=True)
class Change:
    """One thing that was done, in a sentence."""

    account_id: str
    name: str
    what: str


class Rehearsed(Exception):
    """Carries the outcome of a dry run out of its transaction, which is not committed."""

    def __init__(self, outcome: Any) -> None:
        super().__init__("a dry run")
        self.outcome = outcome


def _refuse(message: str, hint: str) -> Refused:
    return Refused("not_found", message, hint)


# -- prepare ------------------------------------------------------------------------------------


def prepare(
    tx: Connection, act: Act, name: str, *, subject: str = "", provider: str = ""
) -> tuple[people.Account, bool]:
    """Return the open account of that name, made for its owner's first login if there is none.

    The second value says whether it was made now. With `subject` only a login of that subject
    takes it, whatever its user name; `provider` narrows it to one provider.
    """
    try:
        found, made = people.find(tx, hub_id=act.hub_id, name=name), False
    except people.NoSuchAccount:
        account_id = identity.open_account(tx, hub_id=act.hub_id, name=name, now=act.now)
        tx.execute(update(accounts).where(accounts.c.id == account_id).values(prepared_at=act.now))
        found, made = people.find(tx, hub_id=act.hub_id, name=name), True
        _note(tx, act, account_id, "account_prepared", {"name": name, "subject": subject})
    if subject:
        _expect(tx, act, found, subject, provider)
    return found, made


def _expect(
    tx: Connection, act: Act, account: people.Account, subject: str, provider: str
) -> None:  # fmt: skip
    """Let this subject name the account. Raises Refused where it names another, or is too late."""
    taken = tx.execute(
        select(accounts.c.id, accounts.c.name)
        .join(subjects, subjects.c.account_id == accounts.c.id)
        .where(
            subjects.c.hub_id == act.hub_id,
            subjects.c.subject == subject,
            subjects.c.provider.in_({provider, ""}),
            subjects.c.replaced_at.is_(None),
        )
    ).first()
    if taken is not None and taken.id == account.id:
        return
    if taken is not None:
        raise _refuse(
            f"The subject {shown(subject)} names the account of {taken.name} already.",
            "Each subject has one account; `gradienthub account list` shows them.",
        )
    if account.prepared_at is None:
        raise _refuse(
            f"{account.name} has logged in before, and their account has its subject.",
            "A subject can be named before the first login only.",
        )
    tx.execute(
        subjects.insert().values(
            hub_id=act.hub_id, provider=provider[:64], key="", subject=subject[:255],
            account_id=account.id, bound_at=act.now,
        )
    )  # fmt: skip


# -- bind and unbind ------------------------------------------------------------------------------


def bind(tx: Connection, act: Act, name: str, *, to: str = "") -> list[Change]:
    """Give a name back the account it had before; `to` chooses one by its id."""
    current = _current_user(tx, act.hub_id, name)
    old = _old_account(tx, act.hub_id, name, to, current)
    if current is None:
        tx.execute(
            update(accounts)
            .where(accounts.c.id == old.id)
            .values(prepared_at=act.now, closed_at=None, closed_why=None, name=name)
        )
        _note(tx, act, old.id, "account_prepared", {"name": name})
        changes = [Change(old.id, name, f"waits for the next login of {name}")]
    else:
        changes = _switch(tx, act, current, old.id, "an administrator bound the name to it")
    identity_findings.report(tx, hub_id=act.hub_id, now=act.now)
    return changes


def bind_closed(tx: Connection, act: Act, since: datetime) -> list[Change]:
    """Give every name that was closed since then its account back: they are the same people.

    Of several accounts of one person the oldest is the one that they had: whoever has it already
    keeps it.
    """
    closed = tx.execute(
        select(accounts.c.id)
        .where(
            accounts.c.hub_id == act.hub_id,
            accounts.c.closed_why == Closed.REPLACED.value,
            accounts.c.closed_at >= since,
        )
        .order_by(accounts.c.closed_at)
    ).all()
    changes: list[Change] = []
    for row in closed:
        current = identity.user_instead(tx, row.id)
        if current is not None:
            why = "an administrator said that they are the same person"
            changes += _switch(tx, act, current, row.id, why)
    identity_findings.report(tx, hub_id=act.hub_id, now=act.now)
    return changes


def bind_all(tx: Connection, act: Act) -> list[Change]:
    """Give every account whose users are gone, and that no subject finds, back to its name.

    A name that has an older account keeps that: `merge` moves what was opened meanwhile.
    """
    names = tx.execute(
        select(accounts.c.name, func.count())
        .where(
            accounts.c.hub_id == act.hub_id,
            accounts.c.closed_at.is_(None),
            accounts.c.prepared_at.is_(None),
            ~identity.has_user(),
            ~identity.has_subject(),
            ~identity.name_has_older_account(),
        )
        .group_by(accounts.c.name)
        .order_by(accounts.c.name)
    ).all()
    changes: list[Change] = []
    for name, count in names:
        if count == 1:
            changes += bind(tx, act, name)
    return changes


def unbind(tx: Connection, act: Act, name: str) -> list[Change]:
    """Take a name's user off the account that a command or a subject bound it to.

    They have the account of before again, where a command had bound them, else a new one. A later
    login does not bind them again.
    """
    current = _current_user(tx, act.hub_id, name)
    if current is None:
        raise _refuse(f"The hub has no user {shown(name)} with an account.", "Nothing is bound.")
    changes = _undo(tx, act, current)
    identity_findings.report(tx, hub_id=act.hub_id, now=act.now)
    return changes


def unbind_since(tx: Connection, act: Act, since: datetime) -> list[Change]:
    """Undo what `bind` did since then."""
    rows = tx.execute(
        select(identities).where(
            identities.c.hub_id == act.hub_id,
            identities.c.apart_from.is_not(None),
            identities.c.replaced_at.is_(None),
            identities.c.bound_at >= since,
        )
    ).all()
    changes = [change for row in rows for change in _undo(tx, act, row)]
    identity_findings.report(tx, hub_id=act.hub_id, now=act.now)
    return changes


def _undo(tx: Connection, act: Act, current: Row[Any]) -> list[Change]:
    why = "an administrator took the name off it"
    if current.apart_from:
        return _switch(tx, act, current, current.apart_from, why, closes=Closed.REPLACED)
    new = identity.open_account(tx, hub_id=act.hub_id, name=current.name, now=act.now)
    _note(tx, act, new, "account_opened", {"user": current.name, "why": why})
    return _switch(tx, act, current, new, why, words=False, closes=Closed.REPLACED)


def _current_user(tx: Connection, hub_id: str, name: str) -> Row[Any] | None:
    """Return the identity of the hub's present user of that name."""
    return tx.execute(
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
    ).first()


def _old_account(
    tx: Connection, hub_id: str, name: str, to: str, current: Row[Any] | None
) -> Row[Any]:
    """Return the account that the name is to have. Raises Refused with the choices."""
    mine = current.account_id if current is not None else ""
    query = select(accounts).where(accounts.c.hub_id == hub_id, accounts.c.id != mine)
    if to:
        found = tx.execute(query.where(accounts.c.id == to)).first()
        if found is None or found.closed_why == Closed.MERGED.value:
            raise _refuse(f"There is no other account {shown(to)}.", "See `account list --all`.")
        return found
    rows = tx.execute(
        query.where(
            accounts.c.name == name,
            ~identity.has_user(),
            accounts.c.closed_at.is_(None)
            | accounts.c.closed_why.in_((Closed.REPLACED.value, Closed.SET_ASIDE.value)),
        ).order_by(accounts.c.closed_at.is_not(None), accounts.c.created_at.desc())
    ).all()
    without_end = [row for row in rows if row.closed_at is None]
    choices = without_end or rows
    if not choices:
        raise _refuse(
            f"{name} has no account without a user that could be given back.",
            "`gradienthub account list --all` shows every account; --to ACCOUNT chooses one.",
        )
    if len(choices) > 1:
        ids = ", ".join(f"{row.id} ({row.created_at:%Y-%m-%d})" for row in choices[:5])
        raise _refuse(
            f"{name} had {len(choices)} accounts: {ids}.", "Choose one with --to ACCOUNT."
        )
    return choices[0]


def _switch(
    tx: Connection,
    act: Act,
    current: Row[Any],
    to: str,
    why: str,
    *,
    words: bool = True,
    closes: Closed = Closed.SET_ASIDE,
) -> list[Change]:
    """Let a hub user have another account, with the words that came with them.

    What is in the account of before stays in it. Raises Refused while it runs something.
    """
    left = current.account_id
    _nothing_runs(tx, left)
    if words:
        tx.execute(
            update(subjects)
            .where(
                subjects.c.account_id == left,
                subjects.c.replaced_at.is_(None),
                # Back: only those that came with the bind.
                subjects.c.bound_at >= (current.bound_at if current.apart_from else EVER),
            )
            .values(account_id=to, bound_at=act.now)
        )
    user = HubUser(current.hub_user_id, current.user_created, current.name)
    identity.bind_user(
        tx, hub_id=act.hub_id, account_id=to, user=user,
        who=Subject(current.provider, current.subject), now=act.now, before_id=left,
        apart_from=left,
    )  # fmt: skip
    tx.execute(
        update(accounts)
        .where(accounts.c.id == to)
        .values(closed_at=None, closed_why=None, prepared_at=None)
    )
    _note(tx, act, to, "account_bound", {"user": user.name, "from": left, "why": why})
    changes = [Change(to, user.name, f"is the account of {user.name} now; it was {left}")]
    still_used = select(accounts.c.id).where(accounts.c.id == left, identity.has_user())
    if tx.execute(still_used).first() is None:
        tx.execute(
            update(accounts)
            .where(accounts.c.id == left)
            .values(closed_at=act.now, closed_why=closes.value)
        )
        _note(tx, act, left, "account_closed", {"user": user.name, "why": why})
        has = _contents(tx, left)
        more = f"; it has {has}: `gradienthub account merge {left} {to}` moves them" if has else ""
        changes.append(Change(left, user.name, f"is closed{more}"))
    return changes


def _nothing_runs(tx: Connection, account_id: str) -> None:
    running = tx.execute(
        select(func.count())
        .select_from(leases)
        .where(leases.c.account_id == account_id, leases.c.ended_at.is_(None))
    ).scalar_one()
    if running:
        raise Refused(
            "still_stopping",
            f"The account {account_id} has {running} running"
            f" notebook{'' if running == 1 else 's'}.",
            "Stop what runs first (`gradienthub stop LEASE`), and try again.",
        )


def _contents(tx: Connection, account_id: str) -> str:
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


# -- merge ----------------------------------------------------------------------------------------


def merge(tx: Connection, act: Act, gone: str, into: str) -> list[Change]:
    """Move what an account has into another one, and close it.

    Money goes as entries of both, so that each chain stays as it was and all adds up: what was
    charged stays on the statements of the account that is closed. Raises Refused while it runs
    something, or where both have a notebook of one name.
    """
    one, other = (_row(tx, act.hub_id, id_) for id_ in (gone, into))
    if one.id == other.id:
        raise _refuse("An account cannot be merged into itself.", "Name two accounts.")
    if other.closed_at is not None:
        raise _refuse(f"The account {into} is closed.", "Bind its name first, or choose another.")
    _nothing_runs(tx, one.id)
    _nothing_runs(tx, other.id)
    changes = [
        *_move_money(tx, act, one, other),
        *_move_notebooks(tx, one, other),
        *_move_grants(tx, act, one, other),
    ]
    tx.execute(
        update(subjects)
        .where(subjects.c.account_id == one.id, subjects.c.replaced_at.is_(None))
        .values(account_id=other.id, bound_at=act.now)
    )
    tx.execute(
        update(identities)
        .where(identities.c.account_id == one.id, identities.c.replaced_at.is_(None))
        .values(account_id=other.id)
    )
    tx.execute(
        update(accounts)
        .where(accounts.c.id == one.id)
        .values(
            closed_at=act.now, closed_why=Closed.MERGED.value, merged_into=other.id,
            prepared_at=None,
        )
    )  # fmt: skip
    for account_id in (one.id, other.id):
        _note(tx, act, account_id, "account_merged", {"from": one.id, "into": other.id})
    changes.append(Change(one.id, one.name, f"is closed: it is part of {other.id} now"))
    identity_findings.report(tx, hub_id=act.hub_id, now=act.now)
    return changes


def _row(tx: Connection, hub_id: str, account_id: str) -> Row[Any]:
    row = tx.execute(
        select(accounts).where(accounts.c.hub_id == hub_id, accounts.c.id == account_id)
    ).first()
    if row is None:
        raise _refuse(f"There is no account {shown(account_id)}.", "See `account list --all`.")
    if row.closed_why == Closed.MERGED.value:
        raise _refuse(
            f"The account {account_id} is part of {row.merged_into} already.", "Name that one."
        )
    return row


def _move_money(tx: Connection, act: Act, one: Row[Any], other: Row[Any]) -> list[Change]:
    """Take the balance out of one account and give it to the other, credit by credit."""
    currencies = tx.execute(
        select(balances.c.currency).where(balances.c.account_id == one.id)
    ).scalars()
    expiry.expire(tx, hub_id=act.hub_id, until=act.now, now=act.now, account_id=one.id)
    changes = []
    for currency in list(currencies):
        balance = balance_of(tx, one.id, currency)
        terms: dict[str, Any] = {
            "hub_id": act.hub_id, "currency": currency, "actor": act.actor, "now": act.now,
        }  # fmt: skip
        if balance > 0:
            left = balance
            given = credits_of(tx, one.id, currency)
            credits.take(tx, account_id=one.id, amount=balance,
                         reason=f"Merged into {other.id}", **terms)  # fmt: skip
            for credit in given:
                part = min(credit.unspent, left)
                left -= part
                if part:
                    credits.give(tx, account_id=other.id, amount=part, expires_at=credit.expires_at,
                                 reason=f"Merged from {one.id}", **terms)  # fmt: skip
            if left:
                credits.give(tx, account_id=other.id, amount=left, expires_at=None,
                             reason=f"Merged from {one.id}", **terms)  # fmt: skip
        elif balance < 0:
            credits.give(tx, account_id=one.id, amount=-balance, expires_at=None,
                         reason=f"Merged into {other.id}", **terms)  # fmt: skip
            credits.take(tx, account_id=other.id, amount=-balance,
                         reason=f"Merged from {one.id}", **terms)  # fmt: skip
        if balance:
            word = "balance" if balance > 0 else "debt"
            changes.append(
                Change(
                    other.id,
                    other.name,
                    f"gets the {word} of {format_amount(abs(balance), currency)}",
                )
            )
    return changes


def _move_notebooks(tx: Connection, one: Row[Any], other: Row[Any]) -> list[Change]:
    def names(account_id: str) -> dict[str, str]:
        rows = tx.execute(
            select(notebooks.c.server_name, notebooks.c.id).where(
                notebooks.c.account_id == account_id, notebooks.c.deleted_at.is_(None)
            )
        )
        return {row.server_name: row.id for row in rows}

    mine, theirs = names(one.id), names(other.id)
    if both := sorted(mine.keys() & theirs.keys()):
        named = ", ".join(name or "the default notebook" for name in both[:5])
        raise Refused(
            "not_allowed",
            f"Both accounts have a notebook of the same name: {named}.",
            "Rename or delete one of each first: each keeps its folder.",
        )
    for table in (notebooks, adopted_volumes):
        tx.execute(update(table).where(table.c.account_id == one.id).values(account_id=other.id))
    if not mine:
        return []
    return [
        Change(other.id, other.name, f"gets {len(mine)} notebook{'' if len(mine) == 1 else 's'}")
    ]


def _move_grants(tx: Connection, act: Act, one: Row[Any], other: Row[Any]) -> list[Change]:
    """Tier, payment method, approvals, requests and budget, where the other has none."""
    values: dict[str, Any] = {"payment_method": one.payment_method or other.payment_method}
    changes = []
    if one.tier and not other.tier:
        values |= {"tier": one.tier, "tier_by": one.tier_by}
        changes.append(Change(other.id, other.name, f"gets the tier {one.tier}"))
    tx.execute(update(accounts).where(accounts.c.id == other.id).values(**values))
    for table, more in (
        (approvals, None),
        (approval_requests, approval_requests.c.decided_at.is_(None)),
    ):
        has = select(table.c.instance_type).where(table.c.account_id == other.id)
        if more is not None:
            has = has.where(more)
        moving = update(table).where(
            table.c.account_id == one.id,
            table.c.instance_type.not_in(list(tx.execute(has).scalars())),
        )
        tx.execute((moving.where(more) if more is not None else moving).values(account_id=other.id))
    scopes = [usage.account_scope(id_) for id_ in (one.id, other.id)]
    set_ = select(budgets.c.currency).where(
        budgets.c.hub_id == act.hub_id, budgets.c.scope == scopes[1]
    )
    tx.execute(
        update(budgets)
        .where(
            budgets.c.hub_id == act.hub_id,
            budgets.c.scope == scopes[0],
            budgets.c.currency.not_in(list(tx.execute(set_).scalars())),
        )
        .values(scope=scopes[1])
    )
    return changes


# -- list -----------------------------------------------------------------------------------------


def listing(tx: Connection, hub_id: str, *, closed: bool = False) -> list[dict[str, Any]]:
    """Return every account with its hub users and subjects, by name."""
    query = select(accounts).where(accounts.c.hub_id == hub_id)
    if not closed:
        query = query.where(accounts.c.closed_at.is_(None))
    rows = tx.execute(query.order_by(accounts.c.name, accounts.c.created_at)).all()
    users: dict[str, list[dict[str, Any]]] = {}
    for one in tx.execute(
        select(identities).where(identities.c.hub_id == hub_id, identities.c.replaced_at.is_(None))
    ):
        users.setdefault(one.account_id, []).append(
            {"id": one.hub_user_id, "name": one.name, "created": one.user_created,
             "provider": one.provider, "missing_since": one.missing_since}
        )  # fmt: skip
    words: dict[str, list[dict[str, Any]]] = {}
    for one in tx.execute(
        select(subjects)
        .where(subjects.c.hub_id == hub_id, subjects.c.replaced_at.is_(None))
        .order_by(subjects.c.bound_at, subjects.c.id)
    ):
        words.setdefault(one.account_id, []).append(
            {"provider": one.provider, "key": one.key, "subject": one.subject}
        )
    return [
        {
            "id": row.id, "name": row.name, "state": _state(row, users.get(row.id, [])),
            "created_at": row.created_at, "closed_at": row.closed_at,
            "merged_into": row.merged_into, "users": users.get(row.id, []),
            "subjects": words.get(row.id, []),
        }
        for row in rows
    ]  # fmt: skip


def _state(row: Row[Any], users: list[dict[str, Any]]) -> str:
    if row.closed_at is not None:
        return f"closed: {row.closed_why or Closed.DELETED.value}"
    if row.prepared_at is not None:
        return "prepared"
    if not any(user["missing_since"] is None for user in users):
        return "no user"
    return "open"


def _note(
    tx: Connection, act: Act, account_id: str, action: str, detail: dict[str, Any]
) -> None:  # fmt: skip
    audit.record(
        tx, hub_id=act.hub_id, actor=act.actor, account_id=account_id, action=action,
        detail=detail, now=act.now,
    )  # fmt: skip
