"""Any history of starts, ticks, crashes, price edits, tier changes and grants adds up."""

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import steps
from bank import HOST, HUB, TIERS, Bank, usd
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from gradienthub.ledger import Ledger, statements, usage, verify
from gradienthub.ledger.entries import ENTRY, entry_of
from gradienthub.ledger.schema import balances, entries
from gradienthub.ledger.schema import leases as lease_table
from gradienthub.rules.funds import HOLD, Funds
from gradienthub.rules.lease import Lease
from gradienthub.rules.metering import Times, quote

PEOPLE = ("ann", "bob")
MINUTES = st.integers(0, 60 * 24 * 20).map(lambda n: timedelta(minutes=n, seconds=n % 7))
STEP = st.one_of(
    st.tuples(st.just("start"), st.sampled_from(PEOPLE), st.sampled_from(["t4", "c1", "free-cpu"])),
    st.tuples(st.just("start"), st.sampled_from(PEOPLE), st.sampled_from(["t4", "t4x2"])),
    st.tuples(st.just("later"), st.one_of(st.just(timedelta(minutes=1)), MINUTES)),
    st.tuples(st.just("tick"), st.booleans()),
    st.tuples(st.just("tick"), st.booleans()),
    st.tuples(st.just("look"), st.lists(st.sampled_from("rs-"), min_size=1, max_size=4)),
    st.tuples(st.just("look"), st.lists(st.sampled_from("rs-"), min_size=1, max_size=4)),
    st.tuples(st.just("stop"), st.integers(0, 9)),
    st.tuples(st.just("late stop"), st.integers(0, 9), MINUTES),
    st.tuples(st.just("crash"), st.integers(0, 9)),
    st.tuples(st.just("price"), st.integers(1, 10**8)),
    st.tuples(st.just("tier"), st.sampled_from(PEOPLE), st.sampled_from(sorted(TIERS))),
    st.tuples(
        st.just("grant"),
        st.sampled_from(PEOPLE),
        st.integers(1, usd(20)),
        st.none() | MINUTES.filter(bool),
    ),
    st.tuples(st.just("take"), st.sampled_from(PEOPLE), st.integers(1, usd(5))),
    st.tuples(st.just("budget"), st.integers(1, usd(10))),
)


@pytest.fixture(scope="module")
def shared(settings_in, tmp_path_factory):
    return settings_in(
        tmp_path_factory.mktemp("history"),
        hub_id=HUB,
        tiers=TIERS,
        tier_rules={"default": "prepaid"},
        hosts=HOST,
    )


@contextmanager
def a_bank(shared, empty_ledger):
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "ledger.sqlite"
        copy.write_bytes(empty_ledger.read_bytes())
        ledger = Ledger(f"sqlite:///{copy}")
        bank = Bank(ledger, replace(shared, house=replace(shared.house)))
        bank.now = datetime(2026, 11, 23, 17, tzinfo=UTC)
        try:
            yield bank
        finally:
            ledger.close()


def live(bank, history):
    """Let it happen; the quotes given at each start, by lease."""
    running: list[str] = []
    quotes = {}
    bank.looks = {}
    for what, *rest in history:
        match what:
            case "start":
                name, machine = rest
                lease = bank.ask(name, machine, f"n{len(quotes)}", groups=("lab",))
                if isinstance(lease, Lease):
                    bank.ledger.write(steps.answer, lease.id, bank.now)
                    running.append(lease.id)
                    quotes[lease.id] = (lease.price, bank.now)
            case "later":
                bank.later(rest[0])
            case "tick":
                bank.tick(*(running if rest[0] else []))
            case "look" if running:
                # The last are reachable, silent, or were not looked at.
                looks = list(zip(reversed(running), rest[0], strict=False))
                for lease_id, seen in looks:
                    charged = max_charged(bank, lease_id)
                    bank.looks.setdefault(lease_id, []).append((bank.now, seen, charged))
                bank.reach(
                    [one for one, seen in looks if seen == "r"],
                    [one for one, seen in looks if seen == "s"],
                )
            case "stop" if running:
                bank.stop(running.pop(rest[0] % len(running)))
            case "late stop" if running:
                bank.stop(running.pop(rest[0] % len(running)), at=bank.now - rest[1])
            case "crash" if running:
                bank.end(running.pop(rest[0] % len(running)))
            case "price":
                bank.prices(t4=rest[0], t4x2=2 * rest[0])
            case "tier":
                bank.tier(*rest)
            case "grant":
                bank.credit(*rest)
            case "take":
                bank.take(*rest)
            case "budget":
                bank.budget(usage.group_scope("lab"), hard=rest[0])
    return running, quotes


@settings(max_examples=150, deadline=None)
@given(history=st.lists(STEP, max_size=30))
def test_entries_sum_to_balances_statements_to_entries_and_quotes_to_bills(
    shared, empty_ledger, history
):
    with a_bank(shared, empty_ledger) as bank:
        running, quotes = live(bank, history)
        assert bank.faults() == []
        for lease_id in running:
            bank.stop(lease_id)
        assert bank.faults() == []
        for name in PEOPLE:
            statements_follow_from_entries(bank, name)
        for lease_id, (price, began) in quotes.items():
            the_bill_is_the_quote_of_the_time_it_ran(bank, lease_id, price, began)


def statements_follow_from_entries(bank, name):
    account_id = bank.account(name).id
    kept = bank.ledger.read(
        lambda tx: tx.execute(
            select(balances.c.amount).where(balances.c.account_id == account_id)
        ).scalar()
    )
    assert (kept or 0) == bank.balance(name)
    carried = 0
    for month in reversed(
        bank.ledger.read(statements.list_months, account_id=account_id, currency="USD")
    ):
        said = bank.ledger.read(
            statements.read_statement,
            account_id=account_id,
            month=month,
            currency="USD",
            now=bank.now,
        )
        assert said.opening == carried
        carried = said.closing
        found = bank.ledger.read(verify.find_head, account_id=account_id, head=said.head)
        assert found == said.entries[-1]
    assert carried == bank.balance(name)


def the_bill_is_the_quote_of_the_time_it_ran(bank, lease_id, price, began):
    row = bank.ledger.read(steps.columns_of, lease_id)
    rows = bank.ledger.read(
        lambda tx: tx.execute(select(entries).where(entries.c.lease_id == lease_id)).all()
    )
    (start, end), _ = Times(
        price,
        answered_at=began,
        seen_at=row["seen_at"],
        stop_requested_at=row["stop_requested_at"],
        ended_at=row["ended_at"],
    ).metered(bank.now)
    reached = end - unreachable(bank.looks.get(lease_id, ()), start, end)
    quoted = quote(
        price,
        Funds(),
        start,
        shutdown_after=None,
        session_limit=None,
        stop_at=start + (reached - start),
    )
    assert sum(one.billed for one in rows) == quoted.at_most
    assert sum(one.amount for one in rows) == sum(one.forgiven - one.billed for one in rows)
    assert sum(one.closes for one in rows) == 1


def unreachable(looks, start, end):
    """Time from a last answer, or the start, to the next answer or the end, with a silence."""
    total, last, since = timedelta(0), start, None
    for at, seen, charged in [*looks, (end, "r", None)]:
        if seen == "r":
            if since is not None:
                total += max(min(at, end) - since, timedelta(0))
            last, since = max(last, at), None
        elif seen == "s" and since is None:
            # A month that is charged already stays so.
            since = max(last, charged or last)
    return total


def max_charged(bank, lease_id):
    query = select(func.max(entries.c.until_at)).where(entries.c.lease_id == lease_id)
    return bank.ledger.read(lambda tx: tx.execute(query).scalar())


@settings(max_examples=60, deadline=None)
@given(
    history=st.lists(STEP.filter(lambda s: s[0] not in ("take", "crash", "late stop")), max_size=30)
)
def test_prepaid_money_is_never_spent_twice(shared, empty_ledger, history):
    """Whatever starts and whenever the keeper ticks, what is charged was there."""
    history = [("grant", "ann", usd(3), None), *(s for s in history if s[0] != "tier")]
    with a_bank(shared, empty_ledger) as bank:
        running, _ = live(bank, history)
        for lease_id in running:
            bank.stop(lease_id)
        for name in PEOPLE:
            assert bank.balance(name) >= 0


@settings(max_examples=40, deadline=None)
@given(
    prices=st.lists(st.integers(1, 10**11), min_size=1, max_size=4),
    money=st.integers(1, 10**12),
    pauses=st.lists(st.integers(1, 900), max_size=12),
)
def test_a_keeper_that_ticks_in_time_lets_nothing_run_without_a_hold(
    shared, empty_ledger, prices, money, pauses
):
    with a_bank(shared, empty_ledger) as bank:
        bank.credit("ann", money)
        running = []
        for number, price in enumerate(prices):
            bank.prices(c1=price)
            lease = bank.ask("ann", "c1", f"n{number}")
            if isinstance(lease, Lease):
                bank.ledger.write(steps.answer, lease.id, bank.now)
                running.append(lease.id)
        ends: dict[str, datetime] = {}
        for pause in [0, *pauses]:
            soon = min([bank.now + timedelta(seconds=pause), *ends.values()])
            bank.later(max(soon - bank.now, timedelta(0)))
            for lease_id in [one for one in running if ends.get(one, bank.now + HOLD) <= bank.now]:
                running.remove(lease_id)
                bank.stop(lease_id)
            ends = dict(bank.tick(*running))
        for lease_id in running:
            bank.stop(lease_id)
        assert all(row.overrun == 0 for row in bank.entries("ann"))
        assert bank.balance("ann") >= 0
        assert bank.faults() == []


# -- what is altered is named --------------------------------------------------------------------


@pytest.fixture
def old_bank(shared, empty_ledger):
    """A month of Ann's."""
    with a_bank(shared, empty_ledger) as bank:
        bank.credit("ann", usd(20))
        for _ in range(4):
            lease = bank.start("ann")
            bank.run(timedelta(minutes=20), lease)
            bank.stop(lease)
        assert bank.faults() == []
        yield bank


def alter(bank, sql):
    bank.ledger.write(lambda tx: tx.execute(text(sql)))
    return bank.faults()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("amount", -1),
        ("balance", 7),
        ("price", 1),
        ("billed", 1),
        ("note", "'x'"),
        ("closes", 0),
        ("at", "'2026-11-01 00:00:00'"),
        ("month", "'2026-10'"),
        ("actor", "'eve'"),
        ("until_at", "'2026-11-24 00:00:00'"),
        ("instance_type", "'c1'"),
        ("forgiven", 5),
        ("kind", "'expiry'"),
        ("lease_id", "'other'"),
        ("overrun", 3),
        ("hub_id", "'other'"),
    ],
)
def test_a_row_that_is_altered_is_named(old_bank, column, value):
    faults = alter(old_bank, f"UPDATE entries SET {column} = {value} WHERE seq = 3")
    assert any("entry 3 (" in fault and "was altered" in fault for fault in faults), faults


def test_rows_that_are_gone_are_named(old_bank):
    assert "entry 3 is missing" in alter(old_bank, "DELETE FROM entries WHERE seq = 3")


def test_rows_cut_off_at_the_end_are_named(old_bank):
    faults = alter(old_bank, "DELETE FROM entries WHERE seq >= 4")
    assert any("ends at entry 3, but entry 5 was its last" in fault for fault in faults)


def test_a_rewrite_with_every_hash_made_anew_disagrees_with_the_lease_and_with_the_users_head(
    old_bank,
):
    account_id = old_bank.account("ann").id
    head = old_bank.entries("ann")[-1].hash

    def rewrite(tx):
        rows = tx.execute(select(*ENTRY, entries.c.id).order_by(entries.c.seq)).all()
        previous, balance = "", 0
        for row in rows:
            entry = entry_of(row)
            cheaper = entry.amount // 2 if entry.lease_id else entry.amount
            balance += cheaper
            entry = replace(
                entry, amount=cheaper, balance=balance, billed=-cheaper if entry.lease_id else 0
            )
            previous = entry.seal(previous)
            tx.execute(
                entries.update()
                .where(entries.c.id == row.id)
                .values(amount=cheaper, balance=balance, billed=entry.billed, hash=previous)
            )
        tx.execute(balances.update().values(amount=balance, head=previous))

    old_bank.ledger.write(rewrite)
    faults = old_bank.faults()
    assert sum("its times give" in fault for fault in faults) == 4
    assert old_bank.ledger.read(verify.find_head, account_id=account_id, head=head) is None


def test_a_lease_that_is_altered_or_gone_is_named(old_bank):
    lease_id = old_bank.entries("ann")[1].lease_id
    later = old_bank.now + timedelta(hours=5)
    old_bank.ledger.write(
        lambda tx: tx.execute(
            lease_table.update()
            .where(lease_table.c.id == lease_id)
            .values(stop_requested_at=later, ended_at=later)
        )
    )
    assert any(lease_id in fault and "its times give" in fault for fault in old_bank.faults())
    faults = alter(old_bank, f"UPDATE leases SET price = 1 WHERE id = '{lease_id}'")
    assert any(lease_id in fault and "was altered" in fault for fault in faults)


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("UPDATE balances SET amount = 9", "its balance is kept as 9"),
        ("UPDATE credits SET unspent = unspent + 1", "does not follow from the entries"),
        ("DELETE FROM credits", "does not follow from the entries"),
        (
            "UPDATE usage SET charged = 1 WHERE scope LIKE 'account:%'",
            "1 charged; its entries give",
        ),
        ("UPDATE usage SET charged = 1 WHERE scope = 'hub'", "usage of hub, 2026-11-23, t4"),
        ("DELETE FROM balances", "entries were removed or added"),
    ],
)
def test_what_is_kept_beside_the_entries_is_held_against_them(old_bank, sql, named):
    faults = alter(old_bank, sql)
    assert any(named in fault for fault in faults), faults
