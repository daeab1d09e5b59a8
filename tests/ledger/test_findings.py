"""What is wrong at a hub: one row each while it lasts, kept when mended."""

from datetime import timedelta

from home import NOW

from gradienthub.ledger import findings
from gradienthub.ledger.findings import NewFinding

LATER = NOW + timedelta(minutes=1)
LAST = NOW + timedelta(minutes=2)
BOX = NewFinding("reap/lease-1/box-1", "reap", "it is dead", "removed", "lease-1")
BLIND = NewFinding("blind/lease-2", "blind", "its use cannot be told", "none", "lease-2")


def report(ledger, *found, hub="h", source="hub", at=NOW):
    return ledger.write(findings.report, hub_id=hub, source=source, wrong=found, now=at)


def rows(ledger, hub="h", **kwargs):
    return ledger.read(findings.list_findings, hub, **kwargs)


def test_what_lasts_is_one_row_that_is_counted_and_new_only_once(ledger):
    assert report(ledger, BOX) == [BOX]
    assert report(ledger, BOX, BLIND, at=LATER) == [BLIND]
    newest, oldest = rows(ledger)
    assert (newest["key"], newest["times"], newest["first_at"]) == (BLIND.key, 1, LATER)
    assert {name: oldest[name] for name in ("key", "kind", "why", "repair", "lease_id")} == {
        "key": BOX.key,
        "kind": "reap",
        "why": "it is dead",
        "repair": "removed",
        "lease_id": "lease-1",
    }
    assert (oldest["times"], oldest["first_at"], oldest["last_at"], oldest["mended_at"]) == (
        2,
        NOW,
        LATER,
        None,
    )


def test_what_is_gone_is_mended_and_kept_and_when_it_comes_back_it_is_new(ledger):
    report(ledger, BOX)
    assert report(ledger, at=LATER) == []
    assert rows(ledger) == []
    (mended,) = rows(ledger, standing=False)
    assert (mended["mended_at"], mended["last_at"], mended["times"]) == (LATER, NOW, 1)
    assert report(ledger, BOX, at=LAST) == [BOX]
    assert [row["mended_at"] for row in rows(ledger, standing=False)] == [None, LATER]


def test_the_newest_words_are_kept(ledger):
    report(ledger, BOX)
    report(ledger, NewFinding(BOX.key, BOX.kind, "it is long dead", "removed", "lease-1"), at=LATER)
    assert [row["why"] for row in rows(ledger)] == ["it is long dead"]


def test_hub_and_keeper_and_other_hubs_say_nothing_of_each_others(ledger):
    sources = ("hub", "engine", "keeper", "identity", "disk", "outside", "folders")
    for source in sources:
        assert report(ledger, BOX, source=source) == [BOX]
    assert report(ledger, BOX, hub="another") == [BOX]
    report(ledger, source="keeper", at=LATER)
    assert {row["source"] for row in rows(ledger)} == set(sources) - {"keeper"}
    assert len(rows(ledger, "another")) == 1


def test_what_is_too_long_or_said_twice_is_one_row_cut_to_what_fits(ledger):
    long = NewFinding("k" * 300, "reap", "w" * 999, "r" * 999, "l" * 60)
    assert report(ledger, long, long) == [long]
    assert report(ledger, long, at=LATER) == []
    (row,) = rows(ledger)
    assert [len(row[name]) for name in ("key", "why", "repair", "lease_id")] == [255, 400, 400, 36]
    assert row["times"] == 2


def test_a_byte_that_a_database_cannot_hold_is_replaced(ledger):
    report(ledger, NewFinding("a\0b", "engine_away", "\0", "\0"))
    assert [(row["key"], row["why"]) for row in rows(ledger)] == [("a\ufffdb", "\ufffd")]
    assert report(ledger, NewFinding("a\0b", "engine_away", "\0", "\0"), at=LATER) == []


def test_no_more_are_listed_than_asked_for_the_newest_first(ledger):
    report(ledger, *(NewFinding(f"k{one}", "reap", "", "") for one in range(7)))
    assert [row["key"] for row in rows(ledger, limit=3)] == ["k6", "k5", "k4"]


def test_what_stands_is_listed_however_many_were_mended_since(ledger):
    """Fleet and REST said that nothing is wrong, because the list was full of mended ones."""
    report(ledger, BLIND, source="keeper")
    report(ledger, *(NewFinding(f"k{one}", "reap", "", "") for one in range(3)))
    report(ledger, at=LATER)
    assert [row["key"] for row in rows(ledger, standing=False, limit=2)] == [BLIND.key, "k2"]
