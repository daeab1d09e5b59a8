"""Money in the ledger: holds, charges, gaps, month ends, credits, budgets."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import steps
from bank import HOUR, HUB, MINUTE, T4, T4_HOLD, usd
from sqlalchemy import select

from gradienthub.ledger import By, accounts, charges, credits, holds, leases, statements, usage
from gradienthub.ledger.schema import audit
from gradienthub.ledger.schema import holds as hold_table
from gradienthub.ledger.schema import leases as lease_table
from gradienthub.rules.funds import HOLD, STOP_TAKES
from gradienthub.rules.idleness import Reason
from gradienthub.rules.lease import Lease
from gradienthub.rules.phase import Phase
from gradienthub.rules.refusal import Refused


def held_now(bank):
    return bank.ledger.read(lambda tx: tx.execute(select(hold_table)).all())


# -- a start, its hold, its charge ---------------------------------------------------------------


def test_a_start_holds_fifteen_minutes_and_a_stop_charges_what_was_used(bank):
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    assert [row.amount for row in held_now(bank)] == [T4_HOLD]
    bank.later(6 * MINUTE)
    bank.stop(lease)
    assert bank.charges("ann") == [T4 // 10]
    assert held_now(bank) == []
    assert bank.faults() == []


def test_credit_for_one_hold_is_given_once(bank):
    bank.credit("ann", T4_HOLD + T4_HOLD // 2)
    assert isinstance(bank.ask("ann", "t4", "one"), Lease)
    no = bank.ask("ann", "t4", "two")
    assert (no.code, no.status) == ("no_credit", 402)
    assert no.text == (
        "T4 costs $0.51/h and reserves $0.1275 for 15 min; your credit has $0.06375 left."
        " Ask your administrator for credit, stop a running notebook, or choose a free machine."
    )
    assert isinstance(bank.ask("ann", "free-cpu", "two"), Lease)


def test_a_stop_gives_back_what_its_hold_did_not_use(bank):
    bank.credit("ann", T4_HOLD + 1000)
    bank.stop(bank.start("ann"))
    assert isinstance(bank.ask("ann"), Lease)


def test_a_start_that_never_answers_costs_nothing(bank):
    bank.credit("ann", usd(1))
    lease = bank.ask("ann")
    bank.ledger.write(steps.reach, lease.id, Phase.ANSWERING, bank.now)
    bank.later(2 * MINUTE)
    bank.ledger.write(leases.note_stop, lease.id, Reason.START_FAILED, By(HUB, "hub", bank.now))
    bank.end(lease.id)
    assert bank.charges("ann") == []
    assert held_now(bank) == []


def test_a_custom_image_that_never_answers_is_charged_from_its_containers_start(bank):
    bank.credit("ann", usd(1))
    lease = bank.ask("ann", image="ghcr.io/acme/x:1")
    bank.later(3 * MINUTE)
    bank.ledger.write(steps.reach, lease.id, Phase.ANSWERING, bank.now)
    bank.later(2 * MINUTE)
    bank.ledger.write(leases.note_stop, lease.id, Reason.START_FAILED, By(HUB, "hub", bank.now))
    bank.end(lease.id)
    assert bank.charges("ann") == [T4 // 30]
    assert bank.faults() == []


def test_stopping_and_ending_as_often_as_you_like_charges_once(bank):
    bank.credit("ann", usd(1))
    lease = bank.start("ann")
    bank.later(10 * MINUTE)
    for _ in range(3):
        bank.stop(lease)
        bank.ledger.write(charges.settle, lease, bank.later(MINUTE))
    assert bank.charges("ann") == [T4 // 6]


def test_a_price_that_changes_changes_no_running_lease(bank):
    bank.credit("ann", usd(1))
    lease = bank.start("ann")
    bank.prices(t4=usd(9))
    bank.later(10 * MINUTE)
    bank.tick(lease)
    bank.stop(lease)
    assert bank.charges("ann") == [T4 // 6]


def test_a_free_machine_holds_nothing_and_is_still_on_the_statement(bank):
    lease = bank.start("ann", "free-cpu")
    bank.later(HOUR)
    bank.stop(lease)
    assert held_now(bank) == []
    [entry] = bank.entries("ann")
    assert (entry.amount, entry.instance_type, entry.closes) == (0, "free-cpu", True)


def test_an_account_that_is_deleted_pays_for_what_it_left_running(bank):
    bank.credit("ann", usd(1))
    lease, account = bank.start("ann"), bank.account("ann")
    user = accounts.HubUser(sum(map(ord, "ann")), bank.now, "ann")
    bank.ledger.write(accounts.close_user, hub_id=HUB, user=user, now=bank.now)
    bank.later(10 * MINUTE)
    bank.tick(lease)
    bank.stop(lease)
    said = bank.ledger.read(
        statements.read_statement,
        account_id=account.id,
        month="2026-11",
        currency="USD",
        now=bank.now,
    )
    assert said.closing == usd(1) - T4 // 6


# -- holds are extended, and money ends a lease --------------------------------------------------


def test_a_hold_is_extended_before_it_is_used_and_never_overrun(bank):
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    bank.run(3 * HOUR, lease)
    [hold] = held_now(bank)
    assert hold.amount == 3 * T4 + T4_HOLD
    bank.stop(lease)
    [entry] = [row for row in bank.entries("ann") if row.kind == "charge"]
    assert (entry.billed, entry.overrun, -entry.amount) == (3 * T4, 0, 3 * T4)


def test_money_ends_a_lease_before_its_hold_does_and_fifteen_minutes_ahead(bank):
    bank.credit("ann", T4)
    lease = bank.start("ann")
    began = bank.now
    ends = bank.tick(lease)[lease]
    assert abs(ends - (began + HOUR - STOP_TAKES)) < timedelta(seconds=1)
    while bank.now < ends:
        ends = bank.run(MINUTE, lease)[lease]
    assert abs(bank.now - (began + HOUR - STOP_TAKES)) <= MINUTE
    bank.stop(lease)
    assert 0 <= bank.balance("ann") <= T4 // 60 * 2
    assert bank.faults() == []


def test_leases_on_one_credit_end_together_and_no_later_than_it(bank):
    bank.credit("ann", usd(1.02))
    one = bank.start("ann", "t4", "one")
    bank.run(30 * MINUTE, one)
    two = bank.start("ann", "t4x2", "two")
    ends = bank.run(MINUTE, one, two)
    assert abs(ends[one] - ends[two]) < timedelta(seconds=1)
    while bank.now < ends[one]:
        ends = bank.run(MINUTE, one, two)
    bank.stop(one)
    bank.stop(two)
    assert bank.balance("ann") >= 0


def test_without_a_limit_money_ends_nothing(bank_settings, bank):
    house = bank.settings.house
    free_hand = house.tiers["postpaid"].model_copy(update={"credit_limit": None})
    house.tiers["postpaid"] = free_hand
    bank.tier("ann", "postpaid")
    lease = bank.start("ann")
    assert bank.run(HOUR, lease) == {}
    bank.stop(lease)
    assert bank.balance("ann") == -T4


def test_postpaid_owes_up_to_its_limit_and_a_payment_makes_it_free_again(bank):
    bank.tier("ann", "postpaid")
    lease = bank.start("ann", "t4")
    ends = bank.tick(lease)[lease]
    assert abs(ends - bank.now - usd(10) / T4 * HOUR) < 2 * MINUTE
    bank.run(2 * HOUR, lease)
    bank.stop(lease)
    bank.credit("ann", usd(1.02))
    assert bank.balance("ann") == 0
    assert bank.faults() == []


def test_what_runs_on_while_nobody_ticks_is_paid_as_far_as_money_goes(bank):
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    bank.later(HOUR)
    bank.stop(lease)
    [entry] = [row for row in bank.entries("ann") if row.kind == "charge"]
    assert (entry.billed, -entry.amount, entry.overrun) == (T4, T4, 0)
    assert bank.faults() == []


def test_what_runs_on_when_the_money_is_used_up_is_an_overrun_and_forgiven(bank):
    bank.credit("ann", T4 // 2)
    lease = bank.start("ann")
    bank.later(HOUR)
    bank.stop(lease)
    [entry] = [row for row in bank.entries("ann") if row.kind == "charge"]
    assert (entry.billed, -entry.amount, entry.overrun) == (T4, T4 // 2, T4 // 2)
    assert bank.balance("ann") == 0
    found = bank.ledger.read(statements.list_overruns, hub_id=HUB, since=bank.now - HOUR)
    assert [(one.name, one.entry.forgiven) for one in found] == [("ann", T4 // 2)]
    assert bank.faults() == []


def test_an_overrun_is_charged_where_the_administrator_says_so(bank):
    bank.settings = replace(bank.settings, charge_overrun=True)
    bank.credit("ann", T4_HOLD)
    lease = bank.start("ann")
    bank.later(HOUR)
    bank.stop(lease)
    assert bank.balance("ann") == T4_HOLD - T4
    assert isinstance(bank.ask("ann"), Refused)
    assert bank.faults() == []


def test_a_keeper_that_comes_back_extends_over_the_time_it_was_away(bank):
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    bank.later(HOUR)
    bank.tick(lease)
    bank.later(MINUTE)
    bank.stop(lease)
    [entry] = [row for row in bank.entries("ann") if row.kind == "charge"]
    assert entry.overrun == 0


def test_a_lease_from_before_there_was_a_bill_is_taken_up_by_the_first_tick(bank):
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    bank.ledger.write(lambda tx: tx.execute(hold_table.delete()))
    bank.run(30 * MINUTE, lease)
    bank.stop(lease)
    assert bank.charges("ann") == [T4 // 2]


# -- time nobody saw -----------------------------------------------------------------------------


def test_time_between_last_seen_alive_and_found_dead_is_a_gap_that_costs_nothing(bank):
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    seen = bank.run(30 * MINUTE, lease) and bank.now
    found_dead = bank.later(3 * HOUR)
    bank.end(lease)
    [entry] = [row for row in bank.entries("ann") if row.kind == "charge"]
    assert (entry.until_at, entry.gap_until) == (seen, found_dead)
    assert -entry.amount == T4 // 2
    assert bank.faults() == []


def test_time_the_keeper_was_away_is_no_gap_where_the_notebook_lived_on(bank):
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    bank.later(HOUR)
    bank.tick(lease)
    bank.end(lease)
    [entry] = [row for row in bank.entries("ann") if row.kind == "charge"]
    assert (entry.gap_until, -entry.amount) == (None, T4)


# -- months --------------------------------------------------------------------------------------


def test_a_lease_that_runs_over_the_months_end_is_on_both_statements(bank):
    bank.credit("ann", usd(500))
    bank.now = datetime(2026, 11, 30, 22, 0, tzinfo=UTC)
    lease = bank.start("ann")
    bank.run(4 * HOUR, lease)
    bank.stop(lease)
    november, december = bank.charges("ann")
    assert (november, december) == (2 * T4, 2 * T4)
    account_id = bank.account("ann").id
    for month, opening, closing in (
        ("2026-11", 0, usd(500) - 2 * T4),
        ("2026-12", usd(500) - 2 * T4, usd(500) - 4 * T4),
    ):
        said = bank.ledger.read(
            statements.read_statement,
            account_id=account_id,
            month=month,
            currency="USD",
            now=bank.now,
        )
        assert (said.opening, said.closing) == (opening, closing)
    assert bank.faults() == []


def test_a_stop_that_is_written_late_goes_back_behind_the_months_end(bank):
    """It was asked for in November while the ledger was away; December had begun meanwhile."""
    bank.credit("ann", usd(500))
    bank.now = datetime(2026, 11, 30, 22, 0, tzinfo=UTC)
    lease = bank.start("ann")
    stopped = bank.now + HOUR
    bank.run(4 * HOUR, lease)
    bank.stop(lease, at=stopped)
    assert sum(bank.charges("ann")) == T4
    assert bank.faults() == []


@pytest.mark.parametrize(
    "begin",
    [
        datetime(2028, 2, 28, 12, tzinfo=UTC),
        datetime(2027, 12, 31, 12, tzinfo=UTC),
        datetime(2026, 10, 25, 0, tzinfo=UTC),
    ],
    ids=["leap day", "new year", "the hour that clocks go back in Europe"],
)
def test_days_and_months_add_up_whatever_the_calendar(bank, begin):
    bank.now = begin
    bank.credit("ann", usd(500))
    lease = bank.start("ann")
    bank.later(timedelta(days=3))
    bank.tick(lease)
    bank.stop(lease)
    assert sum(bank.charges("ann")) == 72 * T4
    period = usage.Period(HUB, "USD", begin.date(), (begin + timedelta(days=5)).date())
    days = bank.ledger.read(usage.by_day, period)
    assert sum(day.seconds for day in days) == 72 * 3600
    assert sum(day.charged for day in days) == 72 * T4
    assert sum(day.leases for day in days) == 1
    assert bank.faults() == []


def test_a_clock_that_jumps_back_charges_nothing_and_breaks_nothing(bank):
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    bank.later(-2 * HOUR)
    bank.tick(lease)
    bank.stop(lease)
    assert sum(bank.charges("ann")) == 0
    assert bank.faults() == []


# -- credits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", [0, -1])
def test_a_credit_that_is_none_is_no_credit(bank, amount):
    with pytest.raises(Refused, match="more than 0"):
        bank.credit("ann", amount)


def test_credit_expires_and_what_is_used_up_first_is_what_expires_first(bank):
    bank.credit("ann", usd(1))
    bank.credit("ann", usd(1), expires_in=2 * HOUR)
    lease = bank.start("ann")
    bank.run(HOUR, lease)
    bank.stop(lease)
    bank.later(2 * HOUR)
    bank.tick()
    assert bank.balance("ann") == usd(1)
    bank.tick()
    assert [row.amount for row in bank.entries("ann") if row.kind == "expiry"] == [T4 - usd(1)]
    assert bank.faults() == []


def test_expiring_credit_does_not_take_what_a_running_lease_holds(bank):
    bank.credit("ann", usd(5), expires_in=HOUR)
    lease = bank.start("ann")
    ends = bank.run(HOUR, lease)[lease]
    assert bank.now + HOLD - STOP_TAKES - MINUTE <= ends <= bank.now + HOLD
    bank.run(ends - bank.now, lease)
    bank.stop(lease)
    assert bank.balance("ann") >= 0
    bank.tick()
    assert bank.balance("ann") == 0
    assert bank.faults() == []


def test_credit_taken_back_may_leave_a_debt_that_the_next_pays(bank):
    account = bank.account("ann")
    bank.credit("ann", usd(2))
    bank.take("ann", usd(3), "by mistake")
    assert bank.balance("ann") == -usd(1)
    bank.credit("ann", usd(5))
    [new, _old] = bank.ledger.read(credits.list_credits, account.id)
    assert {new.unspent, _old.unspent} == {usd(4), 0}
    assert bank.faults() == []


def test_a_new_account_gets_its_credit_once(bank):
    for _ in range(2):
        bank.ledger.write(
            credits.welcome,
            hub_id=HUB,
            account_id=bank.account("ann").id,
            currency="USD",
            amount=usd(200),
            now=bank.now,
        )
    assert bank.balance("ann") == usd(200)


def test_somebody_deleted_who_comes_back_is_not_welcomed_again(bank):
    def known_as(number, subject):
        def write(tx):
            who = accounts.Subject("github", subject)
            name = f"ann{number}"
            accounts.record_login(
                tx, hub_id=HUB, name=name, who=who, groups=None, claims=None, now=bank.now
            )
            user = accounts.HubUser(number, bank.now, name)
            account = accounts.account_of(tx, hub_id=HUB, user=user, now=bank.now)
            return credits.welcome(
                tx, hub_id=HUB, account_id=account.id, currency="USD", amount=usd(200), now=bank.now
            )

        return bank.ledger.write(write)

    assert [known_as(1, "77"), known_as(2, "77"), known_as(3, "78"), known_as(4, "")] == [
        True,
        False,
        True,
        True,
    ]


def test_credit_in_another_currency_pays_nothing_here(bank):
    euros = credits.NewCredit("EUR", usd(50), "")
    bank.ledger.write(credits.give, bank.by, bank.account("ann").id, euros)
    assert bank.ask("ann").code == "no_credit"


# -- budgets -------------------------------------------------------------------------------------


def test_every_budget_somebody_is_under_must_allow(bank):
    bank.credit("ann", usd(50))
    bank.budget(usage.group_scope("lab"), hard=T4_HOLD * 2)
    bank.budget(usage.account_scope(bank.account("ann").id), hard=T4_HOLD * 3)
    for server in ("one", "two"):
        bank.start("ann", "t4", server, groups=("lab",))
    no = bank.ask("ann", "t4", "three", groups=("lab",))
    assert (no.code, no.message) == (
        "over_budget",
        "T4 costs $0.51/h and reserves $0.1275 for 15 min;"
        " the budget of $0.255 a month of your group “lab” has $0.00 left.",
    )
    bank.start("ann", "t4", "three")
    no = bank.ask("ann", "t4", "four")
    assert "your budget of $0.3825 a month has $0.00 left" in no.message


def test_a_groups_budget_is_shared_by_all_in_it(bank):
    bank.budget(usage.group_scope("lab"), hard=T4_HOLD)
    for name in ("ann", "bob"):
        bank.credit(name, usd(50))
    lease = bank.start("ann", groups=("lab",))
    assert bank.ask("bob", groups=("lab",)).code == "over_budget"
    ends = bank.tick(lease)[lease]
    assert ends < bank.now + HOLD


def test_a_budget_is_of_the_month_and_free_again_in_the_next(bank):
    bank.credit("ann", usd(50))
    bank.budget(usage.account_scope(bank.account("ann").id), hard=T4)
    lease = bank.start("ann")
    bank.run(58 * MINUTE, lease)
    bank.stop(lease)
    assert bank.ask("ann").code == "over_budget"
    bank.now = datetime(2026, 12, 1, tzinfo=UTC)
    assert isinstance(bank.ask("ann"), Lease)


def test_a_soft_budget_warns_once_a_month_and_stops_nothing(bank):
    bank.credit("ann", usd(50))
    bank.budget(usage.group_scope("lab"), soft=T4 // 2)
    lease = bank.start("ann", groups=("lab",))
    for _ in range(60):
        bank.run(MINUTE, lease)
    rows = bank.ledger.read(
        lambda tx: tx.execute(select(audit).where(audit.c.action == "budget_passed")).all()
    )
    assert [row.detail["scope"] for row in rows] == ["group:lab"]
    assert bank.tick(lease)[lease] > bank.now + 10 * HOUR


def test_a_soft_budget_above_the_hard_one_is_a_slip(bank):
    with pytest.raises(Refused, match="soft"):
        bank.budget(usage.group_scope("lab"), soft=2, hard=1)


def test_reports_say_who_used_what_when(bank):
    for name, groups in (("ann", ("lab",)), ("bob", ("lab", "bio"))):
        bank.credit(name, usd(50))
        lease = bank.start(name, "t4", groups=groups)
        bank.run(HOUR, lease)
        bank.stop(lease)
    today = bank.now.date()
    span = usage.Period(HUB, "USD", today, today + timedelta(days=1))
    read = bank.ledger.read
    assert [(u.what, u.charged) for u in read(usage.by_user, span)] == [("ann", T4), ("bob", T4)]
    assert [(u.what, u.charged, u.seconds) for u in read(usage.by_group, span)] == [
        ("lab", 2 * T4, 7200.0),
        ("bio", T4, 3600.0),
    ]
    assert [(u.what, u.leases) for u in read(usage.by_type, span)] == [("t4", 2)]


def test_a_settle_that_dies_in_the_middle_leaves_nothing_and_is_done_later(bank, monkeypatch):
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    bank.later(10 * MINUTE)

    def dies(*args, **kwargs):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(usage, "add", dies)
        with pytest.raises(OSError, match="full"):
            bank.ledger.write(leases.note_stop, lease, Reason.USER, By(HUB, "x", bank.now))
    assert bank.charges("ann") == []
    assert len(held_now(bank)) == 1
    bank.stop(lease)
    assert bank.charges("ann") == [T4 // 6]


def test_what_ended_without_its_charge_is_charged_by_the_next_tick(bank):
    bank.credit("ann", usd(5))
    bank.start("ann")
    bank.later(10 * MINUTE)
    bank.ledger.write(
        lambda tx: tx.execute(
            lease_table.update().values(stop_requested_at=bank.now, ended_at=bank.now)
        )
    )
    assert bank.faults() != []
    bank.tick()
    assert bank.charges("ann") == [T4 // 6]
    assert bank.faults() == []


def test_a_tick_only_holds_and_counts_for_its_own_hub(bank):
    bank.credit("ann", usd(5))
    lease = bank.start("ann")
    bank.later(HOUR)
    other = bank.ledger.write(holds.tick, hub_id="another", seen=[lease], now=bank.now)
    assert other == {}
    assert [row.amount for row in held_now(bank)] == [T4_HOLD]
