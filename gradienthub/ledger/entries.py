"""Entries: an account's lines, only ever added, each chained to the one before."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ..rules.credit import Credit, refund, use_up
from ..rules.entry import Entry, Kind, posting_month
from .database import Transaction
from .schema import balances, credits, entries

COLUMNS = tuple(field.name for field in fields(Entry))
#: What to select for `entry_of`: an entry's fields in their order, then its hash.
ENTRY = [*(entries.c[name] for name in COLUMNS), entries.c.hash]
_KIND = COLUMNS.index("kind")


def balance_of(tx: Transaction, account_id: str, currency: str) -> int:
    """Return what the account has, micro-units; below 0 is what it owes."""
    return (
        tx.execute(
            select(balances.c.amount).where(
                balances.c.account_id == account_id, balances.c.currency == currency
            )
        ).scalar()
        or 0
    )


def append(tx: Transaction, draft: Entry) -> Entry:
    """Add one entry behind the account's last, and to its balance.

    Its number, month and balance follow from the entry before: a statement that is over gets no
    more entries, so one that comes late is on the next.
    """
    chain = {"account_id": draft.account_id, "currency": draft.currency}
    new = {**chain, "hub_id": draft.hub_id, "amount": 0, "seq": 0, "head": ""}
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    tx.execute(dialect.insert(balances).values(**new).on_conflict_do_nothing())
    of_chain = [balances.c[name] == value for name, value in chain.items()]
    last = tx.execute(select(balances).where(*of_chain).with_for_update()).one()
    before = [entries.c[name] == value for name, value in chain.items()]
    last_month = tx.execute(select(entries.c.month).where(*before, entries.c.seq == last.seq))
    entry = replace(
        draft,
        seq=last.seq + 1,
        month=posting_month(draft.month, draft.at, last_month.scalar() or ""),
        balance=last.amount + draft.amount,
        note=_storable(draft.note),
        actor=_storable(draft.actor),
    )
    head = entry.seal(last.head)
    tx.execute(entries.insert().values(**vars(entry), hash=head))
    tx.execute(
        update(balances).where(*of_chain).values(amount=entry.balance, seq=entry.seq, head=head)
    )
    return entry


def _storable(text: str) -> str:
    # A zero byte is no text to PostgreSQL, and what is hashed must be what is stored.
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def entry_of(row: Sequence[Any]) -> Entry:
    """Turn a row that begins with the columns ENTRY into the value that was hashed."""
    # By place, not by name: a statement may have thousands.
    values = list(row[: len(COLUMNS)])
    values[_KIND] = Kind(values[_KIND])
    return Entry(*values)


def unread_entry_of(row: Sequence[Any]) -> Entry:
    """Read a row as `entry_of` does, but keep an unknown kind as it is, so that it breaks
    the hash."""
    try:
        return entry_of(row)
    except ValueError:
        return Entry(*row[: len(COLUMNS)])


def credits_of(tx: Transaction, account_id: str, currency: str) -> list[Credit]:
    """Return the account's credits that are not used up."""
    return _read_credits(tx, account_id, currency, credits.c.unspent > 0)


def _read_credits(
    tx: Transaction, account_id: str, currency: str, *where: ColumnElement[bool]
) -> list[Credit]:
    columns = (credits.c[field.name] for field in fields(Credit))
    of_chain = credits.c.account_id == account_id, credits.c.currency == currency
    return [Credit(*row) for row in tx.execute(select(*columns).where(*of_chain, *where))]


def use_credits(tx: Transaction, account_id: str, currency: str, amount: int, before: int) -> None:
    """Let `amount` of a charge use up credits; a negative one gives back what a charge used.

    `before` is the balance before that entry.
    """
    if amount >= 0:
        changed = use_up(credits_of(tx, account_id, currency), amount)
    else:
        changed = refund(_read_credits(tx, account_id, currency), -amount, before)
    for credit in changed:
        tx.execute(update(credits).where(credits.c.id == credit.id).values(unspent=credit.unspent))
