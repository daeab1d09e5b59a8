"""A disk that is full: nothing is lost, and it is said."""

import errno
import os
import subprocess
from contextlib import suppress
from datetime import timedelta

import pytest
from bank import HUB, MINUTE, T4, Bank, usd
from home import NOW

from gradienthub.ledger import Ledger, LedgerAway, leases
from gradienthub.ledger.journal import Journal
from gradienthub.rules.disk import Place, means_no_room, troubles
from gradienthub.rules.idleness import Reason


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid():
        pytest.skip("only root can mount a small file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"this machine mounts nothing: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place):
    """Leave no byte."""
    file = place / "somebody's"
    with file.open("ab", buffering=0) as out, suppress(OSError):
        while True:
            out.write(b"x" * 4096)
    return file


def test_a_stop_that_the_disk_cannot_take_is_kept_and_written_when_there_is_room(
    small_disk, bank, caplog
):
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    journal = Journal(small_disk / "journal.jsonl")
    full = fill(small_disk)
    journal.stop(lease, Reason.USER, "ann", bank.later(10 * MINUTE))
    assert (journal.unwritten, "No space left" in journal.trouble) == (1, True)
    assert "cannot be written" in caplog.text
    journal.end(lease, bank.later(MINUTE), Reason.USER, None)
    assert caplog.text.count("cannot be written") == 1
    full.unlink()
    journal.stop("another", Reason.USER, "ann", bank.now)
    assert (journal.unwritten, journal.trouble) == (0, "")
    assert Journal(small_disk / "journal.jsonl").replay(bank.ledger, HUB) == 3
    assert bank.charges("ann") == [T4 // 6]


def test_what_is_kept_in_memory_is_written_to_the_ledger_without_the_disk(small_disk, bank):
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    journal = Journal(small_disk / "journal.jsonl")
    fill(small_disk)
    journal.stop(lease, Reason.USER, "ann", bank.later(10 * MINUTE))
    assert journal.replay(bank.ledger, HUB) == 1
    assert journal.replay(bank.ledger, HUB) == 0
    assert bank.charges("ann") == [T4 // 6]


def test_half_a_line_that_filled_the_disk_is_taken_back(small_disk):
    journal = Journal(small_disk / "journal.jsonl")
    journal.stop("one", Reason.USER, "ann", NOW)
    full = fill(small_disk)
    # Room for a part of the next line only.
    os.truncate(full, full.stat().st_size - 4096)
    for number in range(200):
        journal.stop(f"lease {number}", Reason.USER, "x" * 200, NOW)
    assert journal.unwritten
    assert all(line.endswith("}") for line in journal.path.read_text().split("\n") if line)


def test_a_ledger_on_a_full_disk_is_away_and_well_again_with_room(small_disk, bank_settings):
    ledger = Ledger(f"sqlite:///{small_disk / 'ledger.sqlite'}")
    ledger.upgrade()
    bank = Bank(ledger, bank_settings)
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    full = fill(small_disk)
    with pytest.raises(LedgerAway, match=r"full|disk"):
        for _ in range(2000):
            bank.ask("ann", "t4", "two")
            bank.credit("ann", 1)
    full.unlink()
    bank.later(timedelta(minutes=10))
    bank.stop(lease)
    assert bank.charges("ann") == [T4 // 6]
    assert bank.faults() == []
    ledger.close()


@pytest.mark.parametrize("garbage", [b"no database at all " * 500, None])
def test_a_file_that_is_no_database_any_more_is_a_ledger_that_is_away(tmp_path, garbage):
    file = tmp_path / "ledger.sqlite"
    ledger = Ledger(f"sqlite:///{file}")
    ledger.upgrade()
    ledger.close()
    whole = file.read_bytes()
    file.write_bytes(garbage or whole[:4096] + b"\xff" * (len(whole) - 4096))
    again = Ledger(f"sqlite:///{file}")
    with pytest.raises(LedgerAway):
        again.read(leases.list_open_and_surviving, HUB)
    again.close()


def test_a_ledgers_file_is_made_for_its_owner_alone(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'data' / 'ledger.sqlite'}")
    ledger.upgrade()
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "data").iterdir()}
    ledger.close()
    assert set(modes.values()) == {0o600}, modes
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_disk_that_takes_no_more_is_known_by_its_error_however_deep():
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as full:
            raise RuntimeError("the folder was not made") from full
    except RuntimeError as error:
        assert means_no_room(error)
    assert not means_no_room(OSError(errno.ENOENT, "No such file"))
    assert not means_no_room(ValueError("x"))


def test_little_room_and_a_journal_in_memory_are_told_with_their_cure():
    places = [
        Place("data_dir", "/d", 10**6),
        Place("storage_root", "/s", 10**12),
        Place("other", "/o", None),
    ]
    found = troubles(places, journal="No space left on device", unwritten=3)
    assert [one.kind for one in found] == ["journal_full", "disk_full"]
    assert "3 are kept in memory" in found[0].why
    assert "data_dir /d has 1 MB left" in found[1].why
