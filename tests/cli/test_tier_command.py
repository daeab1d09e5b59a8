"""gradienthub tier, on a real ledger."""

from datetime import UTC, datetime, timedelta

import pytest

from gradienthub.cli.config import os_user
from gradienthub.ledger import By, accounts, audit, grants
from gradienthub.ledger.grants import Decision


@pytest.fixture
def seen(hub):
    """A hub that has started and has seen Ann and Bob."""
    hub.start_once()
    hub.account("ann", 1)
    hub.account("bob", 2)
    return hub


def found(hub, name="ann"):
    return hub.ledger.read(accounts.find, hub_id="this-hub", name=name)


def newest_audit(hub):
    return hub.ledger.read(audit.list_rows, hub_id="this-hub", limit=1)[0]


def test_everybody_is_listed_with_tier_and_who_gave_it(seen):
    assert seen.run("tier", "set", "bob", "pro").code == 0
    said = seen.run("tier", "list")
    assert said.code == 0
    ann, bob = (line.split() for line in said.out.splitlines()[1:3])
    assert ann == ["ann", "free", "default", "no", "-"]
    assert bob == ["bob", "pro", "cli", os_user(), "no", "-"]
    assert "Tiers: free, pro (default free)" in said.out


def test_a_hub_without_people_says_so(hub):
    hub.start_once()
    assert "Nobody has an account" in hub.run("tier", "list").out


def test_a_tier_that_is_set_is_in_the_ledger_with_who_set_it(seen):
    said = seen.run("tier", "set", "ann", "pro")
    assert said.out == "ann: tier pro, was free (given by default)\n"
    assert (found(seen).tier, found(seen).tier_by) == ("pro", f"cli {os_user()}")
    row = newest_audit(seen)
    assert (row["action"], row["actor"]) == ("tier", f"cli {os_user()}")
    assert row["detail"] == {"from": None, "to": "pro"}


def test_a_cleared_tier_is_left_to_groups_and_claims(seen):
    seen.run("tier", "set", "ann", "pro")
    assert seen.run("tier", "clear", "ann").out == "ann: tier free (given by default), was pro\n"
    assert found(seen).tier is None
    assert "nothing to clear" in seen.run("tier", "clear", "ann").out


def test_a_tier_that_does_not_exist_is_a_wrong_argument(seen):
    said = seen.run("tier", "set", "ann", "gold")
    assert said.code == 2
    assert "Known: free, pro." in said.err
    assert found(seen).tier is None


def test_somebody_the_hub_has_not_seen_has_no_account_and_a_cure(seen):
    said = seen.run("tier", "show", "anna")
    assert said.code == 1
    assert "'anna' has no account" in said.err
    assert "similar: ann" in said.err
    assert "account prepare" in said.err
    assert len(said.err.splitlines()) == 1


def test_somebody_deleted_is_nobody(seen):
    user = accounts.HubUser(1, datetime(2026, 11, 23, 9, tzinfo=UTC), "ann")
    seen.ledger.write(accounts.close_user, hub_id="this-hub", user=user, now=datetime.now(UTC))
    assert seen.run("tier", "show", "ann").code == 1


def test_a_payment_method_is_recorded_and_taken_back(seen):
    assert seen.run("tier", "payment", "ann", "yes").out == "ann: a payment method\n"
    assert found(seen).payment_method
    assert seen.run("tier", "payment", "ann", "no").out == "ann: no payment method\n"
    assert not found(seen).payment_method
    assert seen.run("tier", "payment", "ann", "maybe").code == 2


def test_an_approval_has_a_reason_and_an_end(seen):
    said = seen.run("tier", "approve", "ann", "a100", "--reason", "thesis", "--expires", "30d")
    assert said.code == 0
    assert "Their tier free does not have a100" in said.out
    (approval,) = seen.ledger.read(accounts.list_approvals, found(seen))
    assert (approval.instance_type, approval.reason) == ("a100", "thesis")
    assert approval.granted_by == f"cli {os_user()}"
    assert approval.expires_at - approval.granted_at == timedelta(days=30)
    shown = seen.run("tier", "show", "ann").out
    assert f"a100, by cli {os_user()}" in shown
    assert "“thesis”" in shown


def test_an_approval_without_an_end_lasts_until_it_is_withdrawn(seen):
    assert "until it is withdrawn" in seen.run("tier", "approve", "ann", "a100").out
    assert seen.run("tier", "withdraw", "ann", "a100").out == "ann: approval for a100 withdrawn\n"
    assert seen.run("tier", "withdraw", "ann", "a100").out == "ann: had no approval for a100\n"


def test_approving_what_needs_none_is_said(seen):
    assert "t4 needs no approval" in seen.run("tier", "approve", "ann", "t4").out


@pytest.mark.parametrize(
    "words",
    [
        ("approve", "ann", "h100"),
        ("approve", "ann", "a100", "--expires", "soon"),
        ("approve", "ann", "a100", "--expires", "-1d"),
        ("promote", "ann"),
    ],
)
def test_wrong_arguments_end_with_2_and_grant_nothing(seen, words):
    assert seen.run("tier", *words).code == 2
    assert seen.ledger.read(accounts.list_approvals, found(seen)) == []


def test_an_expired_approval_is_shown_as_expired(seen):
    now = datetime.now(UTC)
    by, house = By("this-hub", "ada", now - timedelta(days=2)), seen.load().settings.house
    decision = Decision("a100", grant=True, lasts=timedelta(days=1))
    seen.ledger.write(grants.decide, by, found(seen), decision, house)
    assert "EXPIRED" in seen.run("tier", "show", "ann").out
    assert "a100" not in seen.run("tier", "list").out


def test_show_says_groups_and_which_of_them_gave_the_tier(seen):
    seen.ledger.write(
        accounts.record_login,
        hub_id="this-hub",
        name="ann",
        who=accounts.Subject("Provider", "1"),
        groups=["staff", "lab-bio"],
        claims={},
        now=datetime(2026, 11, 23, 9, tzinfo=UTC),
    )
    seen.account("ann", 1)
    shown = seen.run("tier", "show", "ann").out
    assert "pro (Pro), given by group lab-bio" in shown
    assert "lab-bio, staff" in shown


def test_show_says_that_groups_of_the_hub_may_count_too(seen):
    assert "only the hub knows" in seen.run("tier", "show", "ann").out
    seen.run("tier", "set", "ann", "pro")
    assert "only the hub knows" not in seen.run("tier", "show", "ann").out


def test_a_tier_that_is_no_longer_configured_is_said_to_be_passed_over(seen):
    seen.run("tier", "set", "ann", "pro")
    seen.write("del c.GradientHub.tiers['pro']\nc.GradientHub.tier_rules = {'default': 'free'}")
    shown = seen.run("tier", "show", "ann").out
    assert "free (Free), given by default" in shown
    assert "no longer configured" in shown


def test_before_the_first_start_there_is_no_ledger_and_none_is_made(hub):
    said = hub.run("tier", "list")
    assert said.code == 1
    assert "There is no ledger" in said.err
    assert not hub.data_dir.exists()


def test_what_a_tier_costs_a_month_and_its_storage_are_shown(seen):
    month = f"{datetime.now(UTC):%Y-%m}"
    plain = seen.run("tier", "show", "ann").out + seen.run("statement", "ann", month).out
    assert "a month" not in plain and "storage" not in plain
    seen.write('c.GradientHub.tiers["free"] |= {"price_per_month": "8", "storage": 200}\n')
    shown = " ".join(seen.run("tier", "show", "ann").out.split())
    assert "price $8.00 a month storage 200 GB" in shown
    said = seen.run("statement", "ann", month).out
    assert "The tier Free costs $8.00 a month, which is not in this statement." in said
