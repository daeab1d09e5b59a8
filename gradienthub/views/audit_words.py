"""Put audit rows into words for people. Programs read the rows themselves."""

import json
from collections.abc import Iterator, Mapping

from ..ledger.audit import AuditRow
from ..rules.action import Action
from ..rules.money import format_amount, format_price

#: What the Audit page calls each kind of row, in its filter and in its rows.
ACTION_WORDS: Mapping[str, str] = {
    Action.START: "start",
    Action.REFUSED: "start refused",
    Action.OVERRIDDEN: "configuration overridden",
    Action.WARN: "warning",
    Action.EXTEND: "extend",
    Action.WOULD_STOP: "would stop",
    Action.STOP: "stop",
    Action.SERVER_GIVEN_BACK: "server given back",
    Action.TIER: "tier",
    Action.PAYMENT_METHOD: "payment method",
    Action.APPROVAL_ASKED: "approval asked",
    Action.APPROVAL_REFUSED: "approval refused",
    Action.APPROVE: "approval",
    Action.WITHDRAW: "approval withdrawn",
    Action.CREDIT: "credit",
    Action.CREDIT_TAKEN: "credit taken back",
    Action.BUDGET: "budget",
    Action.BUDGET_PASSED: "budget passed",
    Action.ACCOUNT_OPENED: "account opened",
    Action.ACCOUNT_BOUND: "account bound",
    Action.ACCOUNT_LINKED: "account linked",
    Action.ACCOUNT_PREPARED: "account prepared",
    Action.ACCOUNT_UNBOUND: "account unbound",
    Action.ACCOUNT_MERGED: "account merged",
    Action.ACCOUNT_CLOSED: "account closed",
    Action.ACCOUNT_REOPENED: "account reopened",
    Action.SUBJECT_REFUSED: "login refused",
    Action.DEVICE_OUT: "device out",
    Action.DEVICE_BACK: "device back",
    Action.VOLUME_BOUND: "volume bound",
    Action.VOLUME_UNBOUND: "volume unbound",
    Action.VOLUME_REFUSED: "volume refused",
}
#: Amounts in micro-units of the row's currency.
AMOUNTS = frozenset({"amount", "credit_limit", "soft", "hard", "spent"})
#: Words that only the audit compares.
ONLY_COMPARED = frozenset({"groups_digest"})


def action_word(action: str) -> str:
    """Return what people read for the action of a row, also of a row by a newer version."""
    return ACTION_WORDS.get(action, action.replace("_", " "))


def words_of(detail: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield each word of a detail with its value as text; what is empty is left out."""
    currency = detail.get("currency")
    for key, value in detail.items():
        if value in (None, "", [], {}) or key in ONLY_COMPARED:
            continue
        if isinstance(value, bool):
            yield key, "yes" if value else "no"
        elif isinstance(currency, str) and isinstance(value, int) and key in AMOUNTS:
            yield key, format_amount(value, currency)
        elif isinstance(currency, str) and isinstance(value, int) and key == "price":
            yield key, format_price(value, currency)
        elif key != "currency":
            yield key, value if isinstance(value, str) else json.dumps(value)


def put_into_words(row: AuditRow) -> dict[str, object]:
    """Return an audit row with its action's `word` and with its detail as short `words`."""
    detail = dict(row["detail"])
    options = detail.pop("options", None)
    whole = {**(options if isinstance(options, dict) else {}), **detail}
    words = [f"{key.replace('_', ' ')}: {value}" for key, value in words_of(whole)]
    return {**row, "word": action_word(row["action"]), "words": words}
