"""The journal: stops and ends that the database could not take, kept in a file and replayed.

Running notebooks and their stops do not wait for the ledger. Replaying twice is safe, because
the first stop and the first end of a lease are the ones that count.
"""

import json
import logging
import os
import threading
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from ..rules.idleness import Reason
from . import leases
from .database import Ledger
from .leases import Corpse

log = logging.getLogger("gradienthub")


class Journal:
    """An append-only file of JSON lines beside the ledger. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def stop(
        self, lease_id: str, reason: Reason, actor: str, now: datetime, note: str = ""
    ) -> None:
        """Keep that a stop was asked for."""
        self._append(
            {
                "op": "stop",
                "lease": lease_id,
                "reason": reason.value,
                "actor": actor,
                "note": note,
                "at": now.isoformat(),
            }
        )

    def end(
        self, lease_id: str, now: datetime, reason: Reason | None, corpse: Corpse | None
    ) -> None:
        """Keep that the engine said gone."""
        self._append(
            {
                "op": "end",
                "lease": lease_id,
                "reason": reason and reason.value,
                "corpse": corpse and asdict(corpse),
                "at": now.isoformat(),
            }
        )

    def replay(self, ledger: Ledger, hub_id: str) -> int:
        """Write everything kept into the ledger and forget it; how many lines there were.

        Raises LedgerAway, with nothing forgotten, where the ledger is still away.
        """
        with self._lock:
            if not self.path.exists():
                return 0
            lines = _whole(self.path.read_text().splitlines())
            for line in lines:
                _apply(ledger, hub_id, line)
            self.path.unlink()
            return len(lines)

    def _append(self, line: dict[str, Any]) -> None:
        with self._lock:
            # Nobody else may have needed the folder: a ledger on PostgreSQL does not.
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.path.open("a") as file:
                # A line of its own, also behind half a line of a hub that died while it wrote.
                file.write("\n" + json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())


def _whole(texts: list[str]) -> list[dict[str, Any]]:
    """The lines that were written to their end; half a line must not stand in the others' way."""
    lines = []
    for text in filter(None, texts):
        try:
            lines.append(json.loads(text))
        except ValueError:
            log.warning("A line of the journal was written half and is left out: %s", text[:200])
    return lines


def _apply(ledger: Ledger, hub_id: str, line: dict[str, Any]) -> None:
    at = datetime.fromisoformat(line["at"])
    reason = Reason(line["reason"]) if line["reason"] else None
    if line["op"] == "stop" and reason:
        # A line of an earlier version has no note.
        note = line.get("note", "")
        ledger.write(leases.note_stop, line["lease"], reason, line["actor"], at, hub_id, note)
    elif line["op"] == "end":
        corpse = Corpse(**line["corpse"]) if line["corpse"] else None
        ledger.write(leases.end, line["lease"], at, reason, corpse)
