"""The ledger as a database: away is told apart from broken, and nothing half is kept."""

import asyncio
import sqlite3
import threading

import pytest
from home import NOW
from sqlalchemy.exc import IntegrityError

from gradienthub.ledger import Ledger, LedgerAway, database, fleet
from gradienthub.ledger.schema import device_holders


def hold(tx, device="GPU-1", holder="lease"):
    tx.execute(
        device_holders.insert().values(
            device_uuid=device, hub_id="h", holder_kind="lease", holder_id=holder, since=NOW
        )
    )


def test_a_database_that_another_process_holds_for_too_long_is_away(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger.upgrade()
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerAway, match="locked"):
        ledger.write(hold)
    assert ledger.read(fleet.list_devices, "h") == []
    other.execute("ROLLBACK")
    other.close()
    ledger.write(hold)
    ledger.close()


@pytest.mark.postgresql
def test_a_server_that_does_not_listen_is_away(postgresql_url):
    # Port 1 of this machine: nothing listens there, and nobody is asked.
    ledger = Ledger("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(LedgerAway):
        ledger.read(fleet.list_devices, "h")
    with pytest.raises(LedgerAway):
        ledger.write(hold)
    ledger.close()


@pytest.mark.postgresql
def test_a_connection_that_the_server_ended_is_replaced(postgresql_url):
    ledger = Ledger(postgresql_url)
    ledger.upgrade()
    ledger.write(hold)

    def end_all_others(tx):
        tx.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    other = Ledger(postgresql_url)
    other.write(end_all_others)
    other.close()
    assert ledger.read(fleet.list_devices, "h") == []
    ledger.close()


def test_what_raises_inside_a_transaction_undoes_all_of_it(ledger):
    def half(tx):
        hold(tx, "GPU-1")
        raise ValueError

    with pytest.raises(ValueError):
        ledger.write(half)
    ledger.write(hold, "GPU-1")
    with pytest.raises(IntegrityError):
        ledger.write(hold, "GPU-1")


def test_writes_of_many_threads_take_turns(ledger):
    inside, most = 0, 0
    lock = threading.Lock()

    def counted(tx):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        hold(tx, threading.current_thread().name)
        with lock:
            inside -= 1

    threads = [threading.Thread(target=ledger.write, args=(counted,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


async def test_the_loop_goes_on_while_the_ledger_writes(ledger):
    reached, go = threading.Event(), threading.Event()

    def slow(tx):
        reached.set()
        assert go.wait(10)

    writing = asyncio.create_task(ledger.awrite(slow))
    await asyncio.to_thread(reached.wait, 10)
    assert await ledger.aread(fleet.list_devices, "h") == []
    assert not writing.done()
    go.set()
    await writing


async def test_a_caller_who_gives_up_does_not_undo_what_was_begun(ledger):
    reached, go = threading.Event(), threading.Event()

    def slow(tx):
        reached.set()
        assert go.wait(10)
        hold(tx)

    writing = asyncio.create_task(ledger.awrite(slow))
    await asyncio.to_thread(reached.wait, 10)
    writing.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    with pytest.raises(IntegrityError):
        await ledger.awrite(hold)
