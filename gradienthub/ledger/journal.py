"""The journal: stops and ends that the database could not take, kept in a file and replayed.

Where the file cannot be written either, they are kept in memory and tried again: only a hub that
dies meanwhile loses them, and it has said so.

Running notebooks and their stops do not wait for the ledger. Replaying twice is safe, because
the first stop and the first end of a lease are the ones that count.
"""

import json
import logging
import os
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NotRequired, TypedDict

from ..rules.idleness import Reason
from . import leases
from .by import By
from .database import Ledger
from .leases import Corpse

log = logging.getLogger("gradienthub")


class KeptCorpse(TypedDict):
    """A `Corpse` in a line of the journal."""

    exit_code: int | None
    out_of_memory: bool
    last_words: str


class JournalLine(TypedDict):
    """A stop or an end, as a line of JSON. Lines of earlier versions lack `note`."""

    op: str
    lease: str
    reason: str | None
    at: str
    actor: NotRequired[str]
    note: NotRequired[str]
    corpse: NotRequired[KeptCorpse | None]


class Journal:
    """An append-only file of JSON lines beside the ledger. Thread-safe; a full disk raises nothing.

    `trouble` is why the file cannot be written, "" where it can.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = ""
        self._lock = threading.Lock()
        #: Lines that the file could not take, in their order.
        self._unwritten: list[JournalLine] = []

    @property
    def unwritten(self) -> int:
        """How many lines are kept in memory only."""
        return len(self._unwritten)

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
                "corpse": None
                if corpse is None
                else {
                    "exit_code": corpse.exit_code,
                    "out_of_memory": corpse.out_of_memory,
                    "last_words": corpse.last_words,
                },
                "at": now.isoformat(),
            }
        )

    def replay(self, ledger: Ledger, hub_id: str) -> int:
        """Write everything kept into the ledger and forget it; how many lines there were.

        Raises LedgerAway, with nothing forgotten, where the ledger is still away.
        """
        with self._lock:
            self._write_waiting()
            lines = [*self._written(), *self._unwritten]
            for line in lines:
                _apply(ledger, hub_id, line)
            self._unwritten.clear()
            if self.path.exists():
                try:
                    self.path.unlink()
                except OSError as fault:
                    # Replayed once more, which changes nothing.
                    self._say(str(fault))
            return len(lines)

    def _written(self) -> list[JournalLine]:
        if not self.path.exists():
            return []
        return _whole(self.path.read_text(errors="replace").splitlines())

    def _append(self, line: JournalLine) -> None:
        with self._lock:
            self._unwritten.append(line)
            self._write_waiting()

    def _write_waiting(self) -> None:
        """Write what is kept in memory into the file, all of it or, on a full disk, nothing."""
        if not self._unwritten:
            self._say("")
            return
        # A line of its own, also behind half a line of a hub that died while it wrote.
        text = "".join("\n" + json.dumps(line) + "\n" for line in self._unwritten)
        try:
            # Nobody else may have needed the folder: a ledger on PostgreSQL does not.
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._write(text)
        except OSError as fault:
            self._say(str(fault))
            return
        self._unwritten.clear()
        self._say("")

    def _write(self, text: str) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            try:
                whole = text.encode()
                while whole:
                    whole = whole[os.write(descriptor, whole) :]
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)

    def _say(self, trouble: str) -> None:
        """Log that the file cannot be written, once while that lasts, and that it can again."""
        if trouble and not self.trouble:
            log.error(
                "The journal %s cannot be written (%s); stops and ends are kept in memory until it"
                " can: make room before the hub is restarted",
                self.path,
                trouble,
            )
        elif self.trouble and not trouble:
            log.warning("The journal %s can be written again", self.path)
        self.trouble = trouble


def _whole(texts: list[str]) -> list[JournalLine]:
    """Return the lines that were written to their end; half a line must not stand in the others'
    way."""
    lines = []
    for text in filter(None, texts):
        try:
            lines.append(json.loads(text))
        except ValueError:
            log.warning("A line of the journal was written half and is left out: %s", text[:200])
    return lines


def _apply(ledger: Ledger, hub_id: str, line: JournalLine) -> None:
    at = datetime.fromisoformat(line["at"])
    reason = Reason(line["reason"]) if line["reason"] else None
    if line["op"] == "stop" and reason:
        note = line.get("note", "")
        ledger.write(leases.note_stop, line["lease"], reason, By(hub_id, line["actor"], at), note)
    elif line["op"] == "end":
        kept = line.get("corpse")
        corpse = Corpse(**kept) if kept else None
        ledger.write(leases.end, line["lease"], at, reason, corpse)
