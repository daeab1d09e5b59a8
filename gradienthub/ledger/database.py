"""The ledger's engine and its lanes: one writer a process, so that many threads do not ruin the
tail, and a few readers for pages.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

#: Lets one transaction at a time write to a ledger on PostgreSQL, of all its hubs: an arbitrary but
#: fixed key of an advisory lock.
WRITE_LOCK = 7_164_712_201
BUSY_SECONDS = 5
READERS = 2
LOCK = text(
    f"SELECT set_config('lock_timeout', '{BUSY_SECONDS}s', true),"
    f" pg_advisory_xact_lock({WRITE_LOCK})"
)

P = ParamSpec("P")
R = TypeVar("R")
#: What a function of the ledger is given: a connection inside of one transaction.
Transaction: TypeAlias = Connection


class LedgerAway(Exception):
    """The database does not answer, or not in time. The cause is chained."""


class Ledger:
    """A database of the ledger. Thread-safe; `write` and `read` block, their a-forms do not.

    A function given to them takes a connection inside one transaction. It is committed when the
    function returns and rolled back when it raises. SQLAlchemy's connection faults become
    LedgerAway.
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.url = parsed
        self.sqlite = parsed.get_backend_name() == "sqlite"
        if self.sqlite and parsed.database:
            _make_private(Path(parsed.database))
        self._engine = create_engine(
            parsed,
            pool_size=READERS + 1,
            pool_pre_ping=not self.sqlite,
            connect_args={"timeout" if self.sqlite else "connect_timeout": BUSY_SECONDS},
        )
        if self.sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ledger-writer")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="ledger-reader")
        self._write_lock = threading.Lock()

    @contextmanager
    def _transaction(self, write: bool) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                if self.sqlite:
                    # The driver would begin at the first write only, after the reads that the
                    # decision rests on; two processes could then both admit.
                    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
                elif write:
                    # As SQLite: one writes at a time, from the reads that its decision rests on.
                    connection.execute(LOCK)
                yield connection
                connection.commit()
        except DBAPIError as error:
            if error.connection_invalidated or _is_away(error):
                raise LedgerAway(str(error.orig)) from error
            raise
        except sqlite3.Error as error:
            # From the first words on a new connection, which SQLAlchemy does not wrap.
            raise LedgerAway(str(error)) from error
        except SQLAlchemyError as error:
            if isinstance(error, TimeoutError):
                raise LedgerAway(str(error)) from error
            raise

    def write(
        self, function: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `function` in one write transaction, the only one of this ledger meanwhile."""
        with self._write_lock, self._transaction(write=True) as connection:
            return function(connection, *args, **kwargs)

    def read(
        self, function: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `function` in one read transaction."""
        with self._transaction(write=False) as connection:
            return function(connection, *args, **kwargs)

    async def awrite(
        self, function: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `write` in the writer lane. A cancelled caller does not undo what was begun."""
        return await _in_lane(self._writer, lambda: self.write(function, *args, **kwargs))

    async def aread(
        self, function: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `read` in a reader lane."""
        return await _in_lane(self._readers, lambda: self.read(function, *args, **kwargs))

    def upgrade(self) -> None:
        """Bring the schema to this version's; does nothing where it is there already."""
        with self._engine.connect() as connection:
            config = _alembic()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()

    def revision(self) -> tuple[str | None, str | None]:
        """Return (the database's schema revision, this version's). Raises LedgerAway."""
        with self._transaction(write=False) as connection:
            current = MigrationContext.configure(
                connection, opts={"version_table": VERSION_TABLE}
            ).get_current_revision()
        return current, ScriptDirectory.from_config(_alembic()).get_current_head()

    def close(self) -> None:
        """Finish what was begun and close all connections. Safe to call twice."""
        self._writer.shutdown()
        self._readers.shutdown()
        self._engine.dispose()


#: Schemas that versions before the first release made in steps. This version has no steps.
STEPS = frozenset(f"{number:04d}" for number in range(1, 14))
#: The last commit that has them.
LAST_WITH_STEPS = "c48fca2"


def way_to(current: str | None, head: str | None) -> str:
    """Return what to do with a ledger of schema `current` for a version that needs `head`."""
    if current not in STEPS:
        return "stop the hub, back the database up, then run `gradienthub upgrade-db`"
    return (
        f"its schema {current} is of before the first release: stop the hub, back the database up,"
        f" install GradientHub as of its commit {LAST_WITH_STEPS}, run `gradienthub upgrade-db`,"
        " which brings it to 0014, install this version again, and run it once more"
    )


#: Our own, so that the ledger may share a database with the hub.
VERSION_TABLE = "gradienthub_version"


async def _in_lane(lane: ThreadPoolExecutor, call: Callable[[], R]) -> R:
    return await asyncio.get_running_loop().run_in_executor(lane, call)


def _alembic() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _make_private(file: Path) -> None:
    """Make the folder and the empty file of a database for this user alone; SQLite would let
    everybody read it. A file that is there keeps its mode, and a full disk is SQLite's to tell."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(OSError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # Autocommit in the driver: transactions are begun by _transaction, and by it alone.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


#: What PostgreSQL says of a database that takes no writes: read-only, out of room or memory.
AWAY_CODES = ("25006", "53", "57P")
#: What SQLite says of a file that is no database any more.
AWAY_WORDS = ("malformed", "not a database")


def _is_away(error: DBAPIError) -> bool:
    # OperationalError: refused, shut down, locked for longer than BUSY_SECONDS; a disk that is
    # full, read-only or fails.
    if type(error).__name__ in {"OperationalError", "InterfaceError"}:
        return True
    code = str(getattr(error.orig, "sqlstate", None) or "")
    return code.startswith(AWAY_CODES) or any(word in str(error.orig) for word in AWAY_WORDS)
