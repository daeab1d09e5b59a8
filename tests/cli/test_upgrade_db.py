"""gradienthub upgrade-db, on a real database."""

import sqlite3
from contextlib import closing

import pytest

from gradienthub.ledger import Ledger
from gradienthub.ledger.database import LAST_WITH_STEPS


def test_a_ledger_that_is_current_is_left_alone(hub):
    hub.start_once()
    _, head = hub.ledger.revision()
    said = hub.run("upgrade-db")
    assert said.code == 0
    assert said.out == f"before: {head}\nafter:  {head} (nothing to do)\n"


def test_an_empty_ledger_gets_its_tables(hub):
    hub.data_dir.mkdir()
    (hub.data_dir / "gradienthub.sqlite").touch()
    said = hub.run("upgrade-db")
    assert said.code == 0, said.err
    ledger = Ledger(f"sqlite:///{hub.data_dir / 'gradienthub.sqlite'}")
    current, head = ledger.revision()
    ledger.close()
    assert current == head
    assert said.out == f"before: no tables\nafter:  {head}\n"
    assert hub.run("tier", "list").code == 0


def test_a_ledger_of_a_newer_version_is_refused_and_kept(hub):
    hub.start_once()
    with closing(sqlite3.connect(hub.data_dir / "gradienthub.sqlite")) as database:
        database.execute("UPDATE gradienthub_version SET version_num = '9999'")
        database.commit()
    said = hub.run("upgrade-db")
    assert said.code == 1
    assert "a newer version wrote it" in said.err
    assert "schema is 9999" in hub.run("devices").err


@pytest.mark.parametrize("revision", ["0001", "0013"])
def test_a_ledger_of_before_the_first_release_is_refused_with_the_way_and_kept(hub, revision):
    hub.start_once()
    file = hub.data_dir / "gradienthub.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"UPDATE gradienthub_version SET version_num = '{revision}'")
        database.commit()
    way = f"commit {LAST_WITH_STEPS}, run `gradienthub upgrade-db`, which brings it to 0014"
    for command in ("upgrade-db", "devices"):
        said = hub.run(command)
        assert said.code == 1 and way in said.err, said
    with closing(sqlite3.connect(file)) as database:
        [(kept,)] = database.execute("SELECT version_num FROM gradienthub_version")
    assert kept == revision


def test_in_the_wrong_folder_no_ledger_is_made(hub):
    said = hub.run("upgrade-db")
    assert said.code == 1
    assert "There is no ledger" in said.err
    assert not hub.data_dir.exists()
