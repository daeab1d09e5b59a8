"""Time in which a notebook could not be reached: from the last answer to the next, and free."""

from datetime import UTC, datetime, timedelta

import pytest
import steps
from bank import HUB, MINUTE, T4, TIERS, Bank, usd
from home import HOSTS
from sqlalchemy import select

from gradienthub.ledger import gaps, statements, watches
from gradienthub.ledger.schema import usage as usage_table
from gradienthub.views.lease_view import watched_view

HOUR = timedelta(hours=1)


@pytest.fixture
def bank(ledger, make_settings):
    settings = make_settings(
        hub_id=HUB, tiers=TIERS, tier_rules={"default": "prepaid"}, hosts={"rack": HOSTS["rack"]}
    )
    bank = Bank(ledger, settings)
    bank.credit("ann", usd(20))
    return bank


def paid_stop(bank, lease):
    """The keeper has reserved for what ran."""
    bank.tick(lease)
    bank.stop(lease)


def gaps_of(bank, lease):
    return bank.ledger.read(gaps.list_gaps, [lease]).get(lease, ())


def test_a_notebook_that_was_away_for_ten_minutes_of_an_hour_costs_fifty(bank):
    lease = bank.start("ann")
    bank.later(20 * MINUTE)
    bank.reach([lease])
    last = bank.now
    bank.later(5 * MINUTE)
    bank.reach(silent=[lease])
    bank.later(5 * MINUTE)
    bank.reach([lease])
    assert gaps_of(bank, lease) == ((last, last + 10 * MINUTE),)
    bank.later(30 * MINUTE)
    paid_stop(bank, lease)
    assert bank.charges("ann") == [T4 * 50 // 60]
    assert bank.faults() == []


@pytest.mark.parametrize("looks", [1, 2, 7])
def test_how_often_somebody_looks_changes_nothing(bank, looks):
    lease = bank.start("ann")
    bank.later(10 * MINUTE)
    bank.reach([lease])
    for _ in range(looks):
        bank.later(14 * MINUTE / looks)
        bank.reach(silent=[lease])
        bank.reach(silent=[lease])
        bank.tick(lease)
    bank.reach([lease])
    bank.reach([lease])
    bank.later(36 * MINUTE)
    paid_stop(bank, lease)
    assert bank.charges("ann") == [T4 * 46 // 60]
    assert bank.faults() == []


def test_a_keeper_that_comes_back_finds_it_away_since_it_was_last_reached(bank):
    lease = bank.start("ann")
    bank.later(10 * MINUTE)
    bank.reach([lease])
    bank.later(25 * MINUTE)
    bank.reach(silent=[lease])
    bank.later(5 * MINUTE)
    paid_stop(bank, lease)
    assert bank.charges("ann") == [T4 * 10 // 60]


def test_one_that_was_never_reached_after_its_start_costs_nothing(bank):
    lease = bank.start("ann")
    bank.later(MINUTE)
    bank.reach(silent=[lease])
    bank.later(HOUR)
    paid_stop(bank, lease)
    assert bank.charges("ann") == [0]
    assert bank.faults() == []


def test_one_that_dies_while_it_is_away_costs_until_it_was_last_reached(bank):
    lease = bank.start("ann")
    bank.later(10 * MINUTE)
    bank.reach([lease])
    bank.later(MINUTE)
    bank.reach(silent=[lease])
    bank.tick(lease)
    bank.later(10 * MINUTE)
    bank.end(lease)
    assert bank.charges("ann") == [T4 * 10 // 60]
    assert bank.faults() == []


def test_what_is_over_has_no_gap_any_more(bank):
    lease = bank.start("ann")
    bank.later(10 * MINUTE)
    paid_stop(bank, lease)
    bank.reach([lease])
    bank.reach(silent=[lease])
    assert gaps_of(bank, lease) == ()
    other = bank.start("ann")
    bank.reach(silent=[other])
    bank.later(MINUTE)
    bank.stop(other)
    assert gaps_of(bank, other) == ((bank.now - MINUTE, bank.now),)


def test_a_clock_that_was_set_back_makes_no_gap_longer_than_it_is(bank):
    lease = bank.start("ann")
    bank.later(HOUR)
    bank.reach([lease])
    reached = bank.now
    bank.later(-30 * MINUTE)
    bank.reach([lease])
    bank.reach(silent=[lease])
    bank.later(MINUTE)
    bank.reach([lease])
    assert gaps_of(bank, lease) == ((reached - 30 * MINUTE, reached - 29 * MINUTE),)


def test_money_lasts_longer_by_what_was_not_charged(bank):
    lease = bank.start("ann")
    bank.later(10 * MINUTE)
    bank.reach([lease])
    before = bank.tick(lease)[lease]
    bank.reach(silent=[lease])
    bank.later(30 * MINUTE)
    bank.reach([lease])
    assert bank.tick(lease)[lease] - before == 30 * MINUTE
    assert bank.faults() == []


def test_a_gap_over_midnight_of_a_month_is_free_on_both_sides_of_it(bank):
    bank.now = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
    lease = bank.start("ann")
    bank.later(30 * MINUTE)
    bank.reach([lease])
    bank.later(15 * MINUTE)
    bank.reach(silent=[lease])
    bank.later(30 * MINUTE)
    bank.tick(lease)
    bank.later(15 * MINUTE)
    bank.reach([lease])
    bank.later(30 * MINUTE)
    paid_stop(bank, lease)
    assert bank.charges("ann") == [T4 // 2, T4 // 2]
    assert bank.faults() == []
    rows = bank.ledger.read(
        lambda tx: tx.execute(
            select(usage_table.c.day, usage_table.c.seconds, usage_table.c.charged).where(
                usage_table.c.scope.startswith("account:")
            )
        ).all()
    )
    assert sum(row.seconds for row in rows) == pytest.approx(3600)
    assert sum(row.charged for row in rows) == T4


def test_a_month_that_is_charged_stays_so_whatever_is_found_out_later(bank):
    bank.now = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
    lease = bank.start("ann")
    bank.later(75 * MINUTE)
    # The month is charged before anybody has looked again.
    bank.tick(lease)
    bank.reach(silent=[lease])
    bank.later(HOUR)
    paid_stop(bank, lease)
    assert bank.charges("ann") == [T4, 0]
    assert bank.faults() == []


def test_the_statement_lists_when_it_could_not_be_reached(bank):
    lease = bank.start("ann")
    bank.later(10 * MINUTE)
    bank.reach([lease])
    since = bank.now
    bank.reach(silent=[lease])
    bank.later(5 * MINUTE)
    bank.reach([lease])
    bank.later(5 * MINUTE)
    paid_stop(bank, lease)
    said = bank.ledger.read(
        statements.read_statement,
        account_id=bank.account("ann").id,
        month=f"{bank.now:%Y-%m}",
        currency="USD",
        now=bank.now,
    )
    (charge,) = said.charges
    assert said.unreachable_times(charge) == ((since, since + 5 * MINUTE),)


def test_what_runs_says_since_when_it_cannot_be_reached_and_costs_no_more(bank):
    lease = bank.start("ann")
    bank.later(10 * MINUTE)
    bank.reach([lease])
    since = bank.now
    bank.reach(silent=[lease])
    bank.later(HOUR)
    (one,) = bank.ledger.read(watches.list_open_watched, HUB)
    house = bank.settings.house
    view = watched_view(one, house.catalog, house.tiers, MINUTE, bank.now)
    assert (view.unreachable_since, view.cost) == (since, T4 // 6)
    assert bank.ledger.read(steps.columns_of, lease)["gaps"] == ((since, None),)


def test_a_notebook_that_hides_from_the_hub_and_works_is_charged_for_its_work(bank):
    """Its owner let its server answer nobody but themselves, and ran for nothing."""
    lease = bank.start("ann")
    bank.later(10 * MINUTE)
    bank.reach([lease])
    for _ in range(10):
        since = bank.now
        bank.later(5 * MINUTE)
        bank.reach(working={lease: since})
        bank.tick(lease)
    assert gaps_of(bank, lease) == ()
    paid_stop(bank, lease)
    assert bank.charges("ann") == [T4]
    assert bank.faults() == []


def test_one_that_rests_at_every_second_look_pays_for_the_time_in_which_it_worked(bank):
    """It worked from one look to the next, and rested until the one after, all in one gap."""
    lease = bank.start("ann")
    bank.reach([lease])
    for _ in range(6):
        since = bank.later(5 * MINUTE)
        bank.reach(silent=[lease])
        bank.later(5 * MINUTE)
        bank.reach(working={lease: since})
        bank.tick(lease)
    paid_stop(bank, lease)
    assert bank.charges("ann") == [T4 // 2]
    assert bank.faults() == []


def test_a_gap_in_which_it_worked_all_along_is_not_on_the_statement(bank):
    lease = bank.start("ann")
    bank.reach([lease])
    since = bank.now
    bank.later(5 * MINUTE)
    bank.reach(silent=[lease])
    bank.later(MINUTE)
    bank.reach(working={lease: since})
    assert gaps_of(bank, lease) == ()
