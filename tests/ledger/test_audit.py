"""The audit: every act has a row of bounded size, and a setting prunes old ones."""

from datetime import timedelta
from json import dumps

import pytest
from home import NOW

from gradienthub.ledger import By, accounts, audit, grants
from gradienthub.ledger.accounts import HubUser
from gradienthub.ledger.grants import Decision
from gradienthub.rules.action import MONEY, Action


def rows(ledger, **kwargs):
    return ledger.read(audit.list_rows, hub_id="h", **kwargs)


def record(ledger, at=NOW, **kwargs):
    by = By(kwargs.pop("hub_id", "h"), kwargs.pop("actor", "anna"), at)
    ledger.write(audit.record, by, kwargs.pop("action", "start"), **({"detail": {}} | kwargs))


@pytest.mark.parametrize(
    "detail",
    [
        {"message": "x" * 100_000},
        {"message": "\u540d" * 100_000},
        {f"key{number}": "\U0001f600" * 500 for number in range(50)},
        {"options": {"nested": ["x" * 50] * 1000}},
        {"x" * 5000: "y" * 5000},
    ],
    ids=["long", "unicode", "many", "nested", "long key"],
)
def test_a_row_is_bounded_whatever_is_put_into_it(ledger, detail):
    record(ledger, detail=detail, actor="a" * 5000, action="b" * 500)
    (row,) = rows(ledger)
    assert len(dumps(row["detail"])) <= audit.LONGEST_DETAIL
    assert row["detail"]["cut"] is True
    assert len(row["detail"]) > 1
    assert (len(row["actor"]), len(row["action"])) == (255, 32)


def test_a_short_detail_is_kept_as_it_is(ledger):
    record(ledger, detail={"lease": "x", "devices": ["GPU-1"], "none": None})
    assert rows(ledger)[0]["detail"] == {"lease": "x", "devices": ["GPU-1"], "none": None}


def test_rows_come_newest_first_of_one_account_or_of_all(ledger):
    for number in range(5):
        record(ledger, account_id=f"account{number % 2}", action=f"act{number}")
    assert [row["action"] for row in rows(ledger, limit=2)] == ["act4", "act3"]
    assert [row["action"] for row in rows(ledger, account_id="account1")] == ["act3", "act1"]
    assert ledger.read(audit.list_rows, hub_id="other") == []


def prune(ledger, *, days=1, since=None, limit=500):
    before = NOW - timedelta(days=days)
    return ledger.write(audit.prune, hub_id="h", since=since, before=before, limit=limit)


def test_old_rows_are_pruned_and_only_this_hubs(ledger):
    for days in range(4):
        record(ledger, at=NOW - timedelta(days=days), action="stop")
    record(ledger, at=NOW - timedelta(days=9), action="stop", hub_id="other")
    assert prune(ledger) == NOW - timedelta(days=1)
    assert len(rows(ledger)) == 2
    assert len(ledger.read(audit.list_rows, hub_id="other")) == 1


def test_what_the_money_needs_is_never_pruned(ledger):
    for action in Action:
        record(ledger, at=NOW - timedelta(days=999), action=action)
    prune(ledger)
    assert {row["action"] for row in rows(ledger)} == MONEY


def test_rows_are_pruned_a_few_at_a_time_and_none_is_passed_over(ledger):
    for hours in range(100, 107):
        record(ledger, at=NOW - timedelta(hours=hours), action="stop")
        record(ledger, at=NOW - timedelta(hours=hours), action="start")
    since, left = None, [len(rows(ledger))]
    for _ in range(4):
        since = prune(ledger, since=since, limit=3)
        left.append(len(rows(ledger)))
    assert left == [14, 11, 8, 7, 7]
    assert since == NOW - timedelta(days=1)


def test_what_an_administrator_grants_is_in_the_audit(ledger, make_settings):
    account = ledger.write(accounts.account_of, hub_id="h", user=HubUser(1, NOW, "anna"), now=NOW)
    by, house = By("h", "ada", NOW), make_settings().house
    ledger.write(grants.set_tier, by, account, "pro", house)
    ledger.write(grants.set_payment_method, by, account, True)
    decision = Decision("a100", grant=True, reason="a course")
    ledger.write(grants.decide, by, account, decision, house)
    assert ledger.write(grants.withdraw, by, account, "a100") is True
    assert ledger.write(grants.withdraw, by, account, "a100") is False
    told = [(row["action"], row["actor"], row["detail"]) for row in rows(ledger)]
    # The list begins with the opening of the account, by the hub.
    opened = told.pop()
    assert (opened[:2], opened[2]["user"]) == (("account_opened", "hub"), "anna")
    assert told == [
        ("withdraw", "ada", {"instance_type": "a100"}),
        ("approve", "ada", {"instance_type": "a100", "reason": "a course", "expires_at": None}),
        ("payment_method", "ada", {"there": True}),
        ("tier", "ada", {"from": None, "to": "pro"}),
    ]
