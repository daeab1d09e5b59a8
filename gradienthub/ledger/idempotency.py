"""Keys that make retrying safe: what a request did under a key is not done again.

After the header of draft-ietf-httpapi-idempotency-key-header, with a key of the client's choice.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select

from ..rules.refusal import Refused, shown
from .database import lock_admissions
from .schema import idempotency_keys

#: Characters of a key.
LONGEST_KEY = 80
#: How long a key is remembered; a retry comes within minutes, a payment's import within days.
REMEMBERED = timedelta(days=30)


def once(
    tx: Connection,
    act: Callable[[], str | None],
    *,
    hub_id: str,
    actor: str,
    key: str,
    said: Mapping[str, Any],
    now: datetime,
) -> str:
    """Return what `act` returns, or returned when this actor first used the key; it acts at once
    without a key. None is told as "".

    `said` is what the request asks for (JSON). Raises Refused `key_used` where the key stands for
    another request.
    """
    if not key:
        return act() or ""
    lock_admissions(tx)
    keys = idempotency_keys.c
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    tx.execute(delete(idempotency_keys).where(keys.hub_id == hub_id, keys.at < now - REMEMBERED))
    known = tx.execute(
        select(keys.digest, keys.result).where(
            keys.hub_id == hub_id, keys.actor == actor[:255], keys.key == key
        )
    ).first()
    if known is not None:
        if known.digest != digest:
            raise Refused(
                "key_used",
                f"The key {shown(key)} was used for another request.",
                "Nothing was done. Choose a new key for each new request, and the same only to try"
                " one again.",
            )
        return str(known.result)
    result = act() or ""
    row = {
        "hub_id": hub_id,
        "actor": actor[:255],
        "key": key,
        "digest": digest,
        "result": result,
        "at": now,
    }
    tx.execute(idempotency_keys.insert().values(**row, seal=seal_of(row)))
    return result


def seal_of(row: Mapping[str, Any]) -> str:
    """Return the hash of a key's row."""
    values = [row["hub_id"], row["actor"], row["key"], row["digest"], row["result"]]
    moment = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(json.dumps([*values, moment]).encode()).hexdigest()
