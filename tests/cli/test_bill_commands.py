"""gradienthub credit, budget, approve, usage, statement and audit, on a real ledger."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
import steps
from sqlalchemy import text

from gradienthub.ledger import By, accounts, holds, leases, requests
from gradienthub.rules.idleness import Reason

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LAB = ("--group", "lab-bio")


@pytest.fixture
def spent(hub):
    """Ann had an hour on a T4, and the keeper was there."""
    hub.start_once()
    lease = hub.lease("ann")
    hub.ledger.write(steps.answer, lease.id, NOW)
    for minute in range(1, 61):
        at = NOW + timedelta(minutes=minute)
        hub.ledger.write(holds.tick, hub_id="this-hub", seen=[lease.id], now=at)
    hub.ledger.write(leases.note_stop, lease.id, Reason.USER, By("this-hub", "ann", at))
    hub.ledger.write(leases.end, lease.id, at, None)
    return hub


# -- credit --------------------------------------------------------------------------------------


def test_a_payment_that_is_run_again_with_its_key_is_recorded_once(hub):
    hub.start_once()
    hub.account("ann")
    for _ in range(2):
        said = hub.run("credit", "give", "ann", "5", "--reason", "Invoice 7", "--key", "7")
        assert said.code == 0, said.err
        hub.run("credit", "take", "ann", "1", "--reason", "slip", "--key", "8")
        assert hub.run("credit", "show", "ann").out.startswith("ann: balance $4.00")
    other = hub.run("credit", "give", "ann", "6", "--reason", "Invoice 7", "--key", "7")
    assert other.code != 0
    assert "was used for another request" in other.err
    assert hub.run("credit", "give", "ann", "6", "--reason", "x", "--key", "k" * 81).code == 2


def test_credit_is_given_with_reason_and_expiry_and_shown(hub):
    hub.start_once()
    hub.account("ann")
    said = hub.run("credit", "give", "ann", "12.50", "--reason", "thesis", "--expires", "90d")
    assert said.code == 0, said.err
    assert said.out.startswith("ann: $12.50 given until 20")
    assert said.out.endswith("balance $12.50\n")
    shown = hub.run("credit", "show", "ann").out
    assert "thesis" in shown
    assert hub.run("credit", "take", "ann", "2.50", "--reason", "slip").out == (
        "ann: $2.50 taken back; balance $10.00\n"
    )


@pytest.mark.parametrize(
    "amount", ["-5", "nan", "inf", "1e99", "100000.01", "0.0000001", "5 EUR", "٥", "1_0"]
)
def test_an_amount_that_is_none_is_refused_with_a_reason(hub, amount):
    hub.start_once()
    hub.account("ann")
    said = hub.run("credit", "give", "ann", amount, "--reason", "x")
    assert said.code == 2
    assert "argument AMOUNT: " in said.err
    assert hub.run("credit", "show", "ann").out.startswith("ann: balance $0.00")


def test_an_amount_of_nothing_is_refused_by_every_act(hub):
    hub.start_once()
    hub.account("ann")
    for words in (
        ("credit", "give", "ann", "0", "--reason", "x"),
        ("credit", "take", "ann", "0", "--reason", "x"),
        ("budget", "set", *LAB, "--soft", "0"),
        ("budget", "set", *LAB, "--hard", "0"),
        ("account", "prepare", "bob", "--credit", "0"),
    ):
        said = hub.run(*words)
        assert said.code == 2, words
        assert "must be more than 0" in said.err, words
    assert hub.run("credit", "show", "ann").out.startswith("ann: balance $0.00")
    assert "bob" not in hub.run("account", "list").out


# -- budgets -------------------------------------------------------------------------------------


def test_a_budget_is_set_listed_and_cleared(spent):
    assert spent.run("budget", "set", *LAB, "--soft", "5", "--hard", "10").out == (
        "lab-bio: soft $5.00, hard $10.00 a month\n"
    )
    assert spent.run("budget", "set", "--user", "ann", "--hard", "3").code == 0
    listed = spent.run("budget", "list").out.splitlines()
    assert listed[1].split()[:3] == ["ann", "-", "$3.00"]
    assert listed[2].split()[:4] == ["group", "lab-bio", "$5.00", "$10.00"]
    spent.run("budget", "clear", *LAB)
    assert "lab-bio" not in spent.run("budget", "list").out


def test_a_budget_that_would_never_warn_is_a_wrong_argument(spent):
    said = spent.run("budget", "set", *LAB, "--soft", "5", "--hard", "3")
    assert (said.code, "soft is above hard and would never warn" in said.err) == (2, True)
    assert spent.run("budget", "set", *LAB).code == 2


# -- approvals -----------------------------------------------------------------------------------


def test_a_request_is_listed_granted_and_then_waits_no_more(hub):
    hub.start_once()
    ann = hub.account("ann")
    hub.ledger.write(requests.ask, By("this-hub", "ann", NOW), ann, "a100", "a  large\nmodel")
    assert "a large model" in hub.run("approve", "list").out
    said = hub.run("approve", "grant", "ann", "a100", "--expires", "30d")
    assert said.out.startswith("ann: approved for a100 until ")
    assert hub.run("approve", "list").out == "Nobody waits for an approval.\n"
    [answered] = hub.ledger.read(requests.list_requests, ann.id)
    assert (answered.granted, answered.answer) == (True, "")
    [approval] = hub.ledger.read(accounts.list_approvals, ann)
    assert approval.reason == "a large model"
    again = hub.run("approve", "grant", "ann", "a100")
    assert "no request waited" in again.out


def test_a_refused_request_tells_why_and_grants_nothing(hub):
    hub.start_once()
    ann = hub.account("ann")
    hub.ledger.write(requests.ask, By("this-hub", "ann", NOW), ann, "a100", "want")
    assert hub.run("approve", "refuse", "ann", "a100", "--reason", "ask your lab").code == 0
    [answered] = hub.ledger.read(requests.list_requests, ann.id)
    assert (answered.granted, answered.answer) == (False, "ask your lab")
    assert hub.ledger.read(accounts.list_approvals, ann) == []
    assert hub.run("approve", "refuse", "ann", "a100").code == 1


# -- usage ---------------------------------------------------------------------------------------

SPAN = ("--from", "2026-11-01", "--to", "2026-11-30")


@pytest.mark.parametrize(
    ("by", "what"), [("user", "ann"), ("group", "lab-bio"), ("type", "t4"), ("day", "2026-11-23")]
)
def test_usage_by_anything(spent, by, what):
    line = spent.run("usage", "--by", by, *SPAN).out.splitlines()[1]
    assert line.startswith(what)
    assert line.split()[-3:] == ["1", "1.00", "$0.51"]


def test_usage_of_one_person_or_group(spent):
    for whose in (("--user", "ann"), LAB):
        said = json.loads(spent.run("usage", "--by", "type", *whose, *SPAN, "--json").out)
        assert said == [{"what": "t4", "leases": 1, "seconds": 3600.0, "charged": 510000}]
    assert spent.run("usage", "--by", "user", *LAB).code == 2
    assert spent.run("usage", "--user", "nobody", "--by", "type").code == 1


def test_usage_before_anything_was(spent):
    said = spent.run("usage", "--from", "2020-01-01", "--to", "2020-12-31")
    assert said.out == "Nothing was used, 2020-01-01 to 2020-12-31.\n"
    assert spent.run("usage", "--from", "2020-02-01", "--to", "2020-01-01").code == 2
    assert spent.run("usage", "--from", "2020-02-30").code == 2


@pytest.mark.parametrize(
    ("budget", "shown"),
    [
        ((), "Nothing ran on without money held for it."),
        (("--user", "ann", "--hard", "0.20"), "$0.31"),
        ((*LAB, "--hard", "0.20"), "$0.31"),
    ],
    ids=["covered", "own budget", "budget of a group"],
)
def test_what_no_money_covered_is_an_overrun_and_what_a_late_keeper_missed_is_none(
    hub, budget, shown
):
    hub.start_once()
    hub.account("ann")
    if budget:
        said = hub.run("budget", "set", *budget)
        assert said.code == 0, said.err
    lease = hub.lease("ann")
    hub.ledger.write(steps.answer, lease.id, NOW)
    late = NOW + timedelta(hours=1)
    hub.ledger.write(leases.note_stop, lease.id, Reason.USER, By("this-hub", "ann", late))
    said = hub.run("usage", "--overruns", "--from", "2026-11-01").out
    assert shown in said
    if budget:
        assert said.splitlines()[1].split()[:2] == ["ann", "Thesis"]


# -- statements and verify --------------------------------------------------------------------


def test_a_statement_for_people_and_its_head_is_known_to_verify(spent):
    said = spent.run("statement", "ann", "2026-11")
    assert said.code == 0, said.err
    assert "Thesis (t4)" in said.out
    assert "-$0.51" in said.out
    head = said.out.rsplit(": ", 1)[1].strip()
    assert "entry 1, 2026-11" in spent.run("verify", "ann", "--head", head).out
    assert spent.run("verify", "ann", "--head", "0" * 64).code == 1
    assert spent.run("verify", "--head", head).code == 2


def test_a_statement_as_csv_is_no_formula_to_a_spreadsheet(hub):
    hub.start_once()
    hub.account("ann")
    for reason in ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", " =1", 'a, "b"\nc'):
        assert hub.run("credit", "give", "ann", "1", f"--reason={reason}").code == 0
    month = f"{datetime.now(UTC):%Y-%m}"
    rows = list(csv.DictReader(io.StringIO(hub.run("statement", "ann", month, "--csv").out)))
    assert [row["what"] for row in rows[:-1]] == [
        "'=cmd|' /C calc'!A0",
        "'+1",
        "'-1",
        "'@SUM(A1)",
        "'\t=1",
        "' =1",
        'a, "b"\nc',
    ]
    assert rows[-1]["balance"] == "7.00"


def test_a_statement_as_json_adds_up(spent):
    said = json.loads(spent.run("statement", "ann", "2026-11", "--json").out)
    assert said["opening"] + sum(e["amount"] for e in said["entries"]) == said["closing"]
    assert said["charges"] == -510000


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "november", "2026-11-01", "٢٠٢٦-11"])
def test_a_month_that_is_none_is_a_wrong_argument(spent, month):
    said = spent.run("statement", "ann", month)
    assert said.code == 2
    assert "2026-11" in said.err


def test_verify_says_that_all_adds_up_or_names_what_does_not(spent):
    said = spent.run("verify")
    assert said.code == 0
    assert said.out.startswith("Everything adds up: 1 accounts, 1 entries, 1 leases")
    spent.ledger.write(lambda tx: tx.execute(text("UPDATE entries SET amount = 0")))
    said = spent.run("verify")
    assert said.code == 1
    assert "entry 1 (charge of lease lease-1, 2026-11) was altered" in said.out


def test_a_closed_account_has_its_statement_still(spent):
    user = accounts.HubUser(1, NOW, "ann")
    spent.ledger.write(accounts.close_user, hub_id="this-hub", user=user, now=NOW)
    assert "Thesis" in spent.run("statement", "ann", "2026-11").out
    assert spent.run("statement", "somebody", "2026-11").code == 1
