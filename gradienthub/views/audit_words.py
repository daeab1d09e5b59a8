"""Put the detail of an audit row into words for people. Programs read the row itself."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..rules.money import format_amount, format_price

#: Amounts in micro-units of the row's currency.
AMOUNTS = frozenset({"amount", "credit_limit", "soft", "hard", "spent"})
#: Words that only the audit compares.
UNTOLD = frozenset({"groups_digest"})


def words_of(detail: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each word of a detail with its value as text; what is empty is left out."""
    currency = detail.get("currency")
    for key, value in detail.items():
        if value in (None, "", [], {}) or key in UNTOLD:
            continue
        if isinstance(value, bool):
            yield key, "yes" if value else "no"
        elif isinstance(currency, str) and isinstance(value, int) and key in AMOUNTS:
            yield key, format_amount(value, currency)
        elif isinstance(currency, str) and isinstance(value, int) and key == "price":
            yield key, format_price(value, currency)
        elif key != "currency":
            yield key, value if isinstance(value, str) else json.dumps(value)
