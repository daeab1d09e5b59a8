"""Keys that make retrying safe: what a request did under a key is not done again.

After the header of draft-ietf-httpapi-idempotency-key-header, with a key of the client's choice.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, timedelta

from sqlalchemy import delete, select

from ..rules.refusal import Refused, shown
from .by import By
from .database import Transaction
from .schema import idempotency_keys

#: Characters of a key.
LONGEST_KEY = 80
#: How long a key is remembered; a retry comes within minutes, a payment's import within days.
REMEMBERED = timedelta(days=30)


def once(
    tx: Transaction,
    by: By,
    key: str,
    request: Mapping[str, object],
    act: Callable[[], str],
) -> str:
    """Return what `act` returns, or returned when this actor first used the key; it acts at once
    without a key.

    `request` is what is asked for (JSON). Raises Refused `key_used` where the key stands for
    another request.
    """
    if not key:
        return act()
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    before = _result_of(tx, by, key, digest)
    if before is not None:
        return before
    result = act()
    tx.execute(
        idempotency_keys.insert().values(
            hub_id=by.hub_id,
            actor=by.actor,
            key=key,
            digest=digest,
            result=result,
            at=by.now,
            seal=seal_of(by, key, digest, result),
        )
    )
    return result


def _result_of(tx: Transaction, by: By, key: str, digest: str) -> str | None:
    """Return what the request of this digest did under the key; None where it is new."""
    keys = idempotency_keys.c
    old = (keys.hub_id == by.hub_id) & (keys.at < by.now - REMEMBERED)
    tx.execute(delete(idempotency_keys).where(old))
    known = tx.execute(
        select(keys.digest, keys.result).where(
            keys.hub_id == by.hub_id, keys.actor == by.actor, keys.key == key
        )
    ).first()
    if known is None:
        return None
    if known.digest != digest:
        raise Refused(
            "key_used",
            f"The key {shown(key)} was used for another request.",
            "Nothing was done. Choose a new key for each new request, and the same only to try"
            " one again.",
        )
    return str(known.result)


def seal_of(by: By, key: str, digest: str, result: str) -> str:
    """Return the hash of a key's row."""
    moment = by.now.astimezone(UTC).isoformat(timespec="microseconds")
    values = [by.hub_id, by.actor, key, digest, result, moment]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
