"""A statement as JSON for programs, and as CSV for spreadsheets."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from json import dumps

from ..rules.entry import Entry, Kind
from ..rules.metering import Interval, reachable_time
from ..rules.money import plain_amount
from ..rules.statement import Statement

#: A spreadsheet takes a text that begins so for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

CSV_COLUMNS = (
    "number",
    "recorded",
    "kind",
    "what",
    "machine",
    "price_per_hour",
    "from",
    "until",
    "hours",
    "not_observed_until",
    "not_reachable",
    "not_charged",
    "amount",
    "balance",
    "currency",
    "lease",
)


def as_json(statement: Statement) -> dict[str, object]:
    """Return the statement as JSON values: money in integer micro-units, times in ISO 8601, UTC."""
    return {
        "hub": statement.hub_id,
        "account": statement.account_id,
        "name": statement.name,
        "month": statement.month,
        "over": statement.over,
        "as_of": _iso(statement.as_of),
        "currency": statement.currency,
        "opening": statement.opening,
        "credits": statement.total(Kind.CREDIT, Kind.TAKEN, Kind.EXPIRY),
        "charges": statement.total(Kind.CHARGE),
        "closing": statement.closing,
        "running": statement.running,
        "entries": [
            _line(entry, statement.unreachable_times(entry)) for entry in statement.entries
        ],
        "head": statement.head,
    }


def _line(entry: Entry, unreached: Sequence[Interval]) -> dict[str, object]:
    return {
        "number": entry.seq,
        "recorded": _iso(entry.at),
        "kind": entry.kind.value,
        "what": entry.note,
        "instance_type": entry.instance_type,
        "price": entry.price,
        "from": _iso(entry.from_at),
        "until": _iso(entry.until_at),
        "not_observed_until": _iso(entry.gap_until),
        "not_reachable": [{"from": _iso(start), "until": _iso(end)} for start, end in unreached],
        "billed": entry.billed,
        "overrun": entry.overrun,
        "not_charged": entry.forgiven,
        "amount": entry.amount,
        "balance": entry.balance,
        "lease": entry.lease_id,
    }


def as_json_text(statement: Statement) -> str:
    """Return `as_json` as text."""
    return dumps(as_json(statement), indent=2, ensure_ascii=False)


def as_csv(statement: Statement) -> str:
    """Return a row for each entry, amounts in currency units; the last row has the chain's head.

    Texts that people chose are escaped: a spreadsheet runs none of them as a formula.
    """
    closing = {
        "kind": "closing",
        "what": statement.head,
        "recorded": _iso(statement.as_of),
        "balance": plain_amount(statement.closing),
        "currency": statement.currency,
    }
    rows = [_csv_row(entry, statement.unreachable_times(entry)) for entry in statement.entries]
    return table_csv(
        CSV_COLUMNS,
        [[row.get(column) or "" for column in CSV_COLUMNS] for row in (*rows, closing)],
    )


def _csv_row(entry: Entry, unreached: Sequence[Interval]) -> dict[str, str | None]:
    """Return the cells of an entry by column."""
    charged = (
        reachable_time(entry.from_at, entry.until_at, unreached)
        if entry.from_at and entry.until_at
        else None
    )
    return {
        "number": str(entry.seq),
        "recorded": _iso(entry.at),
        "kind": entry.kind.value,
        "what": escape_formula(entry.note),
        "machine": escape_formula(entry.instance_type or ""),
        "price_per_hour": None if entry.price is None else plain_amount(entry.price),
        "from": _iso(entry.from_at),
        "until": _iso(entry.until_at),
        "hours": None if charged is None else f"{charged.total_seconds() / 3600:.6f}",
        "not_observed_until": _iso(entry.gap_until),
        "not_reachable": " ".join(f"{_iso(start)}/{_iso(end)}" for start, end in unreached),
        "not_charged": plain_amount(entry.forgiven) if entry.forgiven else None,
        "amount": plain_amount(entry.amount),
        "balance": plain_amount(entry.balance),
        "currency": entry.currency,
        "lease": entry.lease_id,
    }


def table_csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table as CSV (RFC 4180). Whoever made its rows has escaped their texts."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(columns)
    writer.writerows(rows)
    return written.getvalue()


def escape_formula(text: str) -> str:
    """Escape the text so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) or text.startswith(FORMULA) else text


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
