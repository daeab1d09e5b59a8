"""One use, one bill: whenever the keeper looked, and whenever it was away."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import steps
from bank import HOUR, MINUTE, usd
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bill_history import a_bank, shared  # noqa: F401

from gradienthub.ledger import usage
from gradienthub.ledger.schema import credits as credit_table
from gradienthub.ledger.schema import entries, leases
from gradienthub.rules.lease import Lease

DEAR = 60 * 1_000_000


def the_lease(bank, credit=1_000_000_000, price=DEAR):
    bank.prices(t4=price)
    bank.credit("ann", credit)
    return bank.start("ann")


@pytest.mark.parametrize(
    "ticks", [(), (25,), (25, 25), (1, 25), (24, 25)], ids=["none", "one", "two", "early", "late"]
)
def test_a_keeper_that_was_away_for_twenty_five_minutes_changes_no_bill(bank, ticks):
    lease = the_lease(bank)
    began = bank.now
    for minutes in ticks:
        bank.now = began + minutes * MINUTE
        bank.tick(lease)
    bank.now = began + 25 * MINUTE + timedelta(seconds=18)
    bank.stop(lease)
    [entry] = [row for row in bank.entries("ann") if row.kind == "charge"]
    assert (entry.billed, -entry.amount, entry.overrun) == (usd(25.3), usd(25.3), 0)
    assert bank.faults() == []


@pytest.mark.parametrize("ticks", [(), (30,), (30, 40), (5, 12, 30, 55)])
def test_an_overrun_is_what_no_money_covered_and_nothing_else(bank, ticks):
    lease = the_lease(bank, credit=usd(40) + 1)
    began = bank.now
    for minutes in ticks:
        bank.now = began + minutes * MINUTE
        bank.tick(lease)
    bank.now = began + HOUR
    bank.stop(lease)
    [entry] = [row for row in bank.entries("ann") if row.kind == "charge"]
    assert (entry.billed, -entry.amount, entry.overrun) == (usd(60), usd(40) + 1, usd(20) - 1)
    assert bank.balance("ann") == 0


def test_a_start_while_the_keeper_is_away_does_not_spend_what_runs_has_used(bank):
    bank.credit("ann", usd(40))
    bank.prices(t4=DEAR)
    lease = bank.start("ann", "t4", "one")
    bank.later(30 * MINUTE)
    assert bank.ask("ann", "t4", "two").code == "no_credit"
    bank.stop(lease)
    assert bank.charges("ann") == [usd(30)]


def test_money_taken_back_while_the_keeper_is_away_does_not_unpay_what_was_used(bank):
    lease = the_lease(bank, credit=usd(60))
    bank.later(30 * MINUTE)
    bank.take("ann", usd(60))
    bank.stop(lease)
    assert bank.charges("ann") == [usd(30)]


def test_a_stop_that_is_replayed_late_costs_what_it_would_have(bank):
    lease = the_lease(bank)
    stopped = bank.now + 25 * MINUTE
    bank.later(5 * HOUR)
    bank.stop(lease, at=stopped)
    assert bank.charges("ann") == [usd(25)]
    assert bank.faults() == []


def test_a_lease_over_two_months_ends_while_nobody_looks_and_each_month_pays_its_own(bank):
    bank.now = datetime(2026, 11, 30, 22, 0, tzinfo=UTC)
    lease = the_lease(bank)
    scope = usage.account_scope(bank.account("ann").id)
    bank.budget(scope, hard=usd(90))
    bank.later(3 * HOUR)
    bank.stop(lease)
    assert bank.charges("ann") == [usd(90), usd(60)]
    assert bank.faults() == []


@pytest.mark.parametrize("ticks", [0, 1])
def test_a_price_so_small_that_a_start_holds_nothing_is_charged_all_the_same(bank, ticks):
    lease = the_lease(bank, credit=10, price=1)
    for _ in range(ticks):
        bank.tick(lease)
    bank.later(3 * HOUR)
    bank.stop(lease)
    assert bank.charges("ann") == [3]
    assert bank.faults() == []


@pytest.mark.parametrize("looks", [(), (22,)], ids=["away", "looked"])
def test_money_held_for_what_turns_out_to_be_a_gap_is_no_ones_any_more(bank, looks):
    bank.prices(t4=DEAR)
    bank.credit("ann", usd(60), HOUR)
    lease = bank.start("ann")
    began = bank.now
    for minutes in looks:
        bank.now = began + minutes * MINUTE
        bank.tick(lease)
    # It has answered nobody since its start: the hour in which its money was good was a gap.
    bank.now = began + 35 * MINUTE
    bank.reach(silent=[lease])
    bank.now = began + 2 * HOUR
    bank.reach([lease])
    bank.later(25 * MINUTE)
    bank.stop(lease)
    [entry] = [row for row in bank.entries("ann") if row.kind == "charge"]
    assert (entry.billed, -entry.amount) == (usd(25), usd(15))
    assert bank.balance("ann") == 0
    assert bank.faults() == []


# -- any day, twice: with a keeper that looks now and then, and with another ---------------------


@dataclass(frozen=True)
class Act:
    """Something that people do, `after` a time."""

    after: timedelta
    what: str
    who: str = "ann"
    value: int = 0
    other: int = 0


#: Minutes as they are, and hours of up to a month.
SHORT = st.integers(0, 50).map(lambda n: n * MINUTE + timedelta(seconds=n % 7, microseconds=n))
LONG = st.integers(0, 30 * 24).map(lambda n: n * HOUR + timedelta(microseconds=7 * n))


def act(what, after=SHORT | LONG, **more):
    return st.builds(Act, after, st.just(what), st.sampled_from(["ann", "ann", "bob"]), **more)


ACTS = st.lists(
    st.one_of(
        act(
            "start",
            value=st.sampled_from([1, 3, 36_017, 60_000_000, 10**9]),
            other=st.integers(0, 3),
        ),
        act("start", value=st.sampled_from([510_000, 60_000_000]), other=st.integers(0, 3)),
        act("stop", value=st.integers(0, 9)),
        act("stop", value=st.integers(0, 9)),
        act("crash", value=st.integers(0, 9)),
        act("credit", value=st.integers(1, usd(90)), other=st.integers(0, 120)),
        act("credit", value=st.integers(1, usd(900)), other=st.integers(0, 3)),
        act("take", value=st.integers(1, usd(40))),
        act("budget", value=st.integers(1, usd(200)), other=st.integers(0, 1)),
        act("tier", value=st.integers(0, 1)),
    ),
    min_size=1,
    max_size=14,
)
#: Acts of one afternoon, and a month does not end in it, between which servers go out of reach.
ACTS_WITH_GAPS = st.lists(
    st.one_of(
        act("start", SHORT, value=st.sampled_from([36_017, 60_000_000]), other=st.integers(0, 3)),
        act("start", SHORT, value=st.sampled_from([1, 510_000]), other=st.integers(0, 3)),
        act("silent", SHORT, value=st.integers(0, 9)),
        act("silent", SHORT, value=st.integers(0, 9)),
        act("reached", SHORT, value=st.integers(0, 9)),
        act("reached", SHORT, value=st.integers(0, 9)),
        act("stop", SHORT, value=st.integers(0, 9)),
        act("crash", SHORT, value=st.integers(0, 9)),
        act("credit", SHORT, value=st.integers(1, usd(90)), other=st.integers(0, 3)),
        act("take", SHORT, value=st.integers(1, usd(40))),
        act("budget", SHORT, value=st.integers(1, usd(90)), other=st.integers(0, 1)),
    ),
    min_size=3,
    max_size=16,
)
#: Where the keeper looks between two acts, in thousandths of the time between.
LOOKS = st.lists(st.lists(st.integers(0, 1000), max_size=3), max_size=15)


def live(bank, acts, looks, begin=datetime(2026, 11, 29, 17, tzinfo=UTC)):
    """Let it happen; what everybody was charged, lease by lease, and has at last."""
    bank.now = begin
    bank.credit("ann", usd(60))
    started, running, refused = [], [], []
    for number, one in enumerate(acts):
        begin, end = bank.now, bank.now + one.after
        for part in sorted(looks[number] if number < len(looks) else []):
            bank.now = begin + one.after * part / 1000
            bank.tick()
        bank.now = end
        match one.what:
            case "start":
                bank.prices(c1=one.value)
                groups = ("lab",) if one.other % 2 else ()
                lease = bank.ask(one.who, "c1", f"n{number}", groups=groups)
                if isinstance(lease, Lease):
                    bank.ledger.write(steps.answer, lease.id, bank.now)
                    started.append(lease.id)
                    running.append(lease.id)
                else:
                    refused.append((number, lease.code))
            case "stop" if running:
                bank.stop(running.pop(one.value % len(running)))
            case "crash" if running:
                # Somebody saw it alive at last, whether the keeper looked or not.
                bank.ledger.write(_seen, running[one.value % len(running)], end - one.after / 2)
                bank.end(running.pop(one.value % len(running)))
            case "silent" if running:
                bank.reach(silent=[running[one.value % len(running)]])
            case "reached" if running:
                bank.reach([running[one.value % len(running)]])
            case "credit":
                bank.credit(one.who, one.value, one.other * HOUR if one.other else None)
            case "take":
                bank.take(one.who, one.value)
            case "budget":
                scope = (
                    usage.group_scope("lab")
                    if one.other
                    else usage.account_scope(bank.account(one.who).id)
                )
                bank.budget(scope, hard=one.value)
            case "tier":
                bank.tier(one.who, "postpaid" if one.value else "prepaid")
    for lease in running:
        bank.stop(lease)
    bank.tick()
    assert bank.faults() == []
    bills = [_bill(bank, one) for one in started]
    return refused, bills, [_left(bank, who) for who in ("ann", "bob")]


def _seen(tx, lease_id, at):
    row = tx.execute(leases.select().where(leases.c.id == lease_id)).one()
    tx.execute(
        leases.update()
        .where(leases.c.id == lease_id)
        .values(seen_at=max(at, row.answered_at, row.seen_at or at))
    )


def _bill(bank, lease_id):
    query = entries.select().where(entries.c.lease_id == lease_id).order_by(entries.c.id)
    rows = bank.ledger.read(lambda tx: tx.execute(query).all())
    return [
        (row.month, row.from_at, row.until_at, row.billed, row.forgiven, row.amount) for row in rows
    ]


def _left(bank, who):
    account_id = bank.account(who).id
    rows = bank.ledger.read(
        lambda tx: tx.execute(
            credit_table.select().where(credit_table.c.account_id == account_id)
        ).all()
    )
    return bank.balance(who), sorted((row.amount, row.unspent) for row in rows)


@settings(max_examples=60, deadline=None)
@given(acts=ACTS, looks=LOOKS)
def test_any_absence_of_the_keeper_gives_the_same_bill(shared, empty_ledger, acts, looks):  # noqa: F811
    with a_bank(shared, empty_ledger) as bank:
        alone = live(bank, acts, [])
    with a_bank(shared, empty_ledger) as bank:
        watched = live(bank, acts, looks)
    assert watched == alone


@settings(max_examples=60, deadline=None)
@given(acts=ACTS_WITH_GAPS, looks=LOOKS)
def test_any_absence_gives_the_same_bill_where_servers_go_out_of_reach(
    shared,  # noqa: F811
    empty_ledger,
    acts,
    looks,
):
    noon = datetime(2026, 11, 10, 12, tzinfo=UTC)
    with a_bank(shared, empty_ledger) as bank:
        alone = live(bank, acts, [], noon)
    with a_bank(shared, empty_ledger) as bank:
        watched = live(bank, acts, looks, noon)
    assert watched == alone
