"""Identity is ours: the hub gives ids and names out again, and somebody new never inherits."""

from datetime import timedelta

import pytest
from home import NOW

from gradienthub.ledger import accounts, audit, credits, findings, notebooks
from gradienthub.ledger.accounts import HubUser, NoSuchAccount, Subject

LATER = NOW + timedelta(days=1)


def known(ledger, number=1, created=NOW, name="anna", now=NOW):
    return ledger.write(
        accounts.account_of, hub_id="h", user=HubUser(number, created, name), now=now
    )


def logs_in(
    ledger, name="anna", provider="github", subject="42", groups=None, claims=None, now=NOW
):
    ledger.write(
        accounts.record_login,
        hub_id="h",
        name=name,
        who=Subject(provider, subject),
        groups=groups,
        claims=claims or {},
        now=now,
    )


def actions(ledger):
    return [row["action"] for row in reversed(ledger.read(audit.list_rows, hub_id="h"))]


def standing(ledger):
    return ledger.read(findings.list_findings, "h")


def test_the_same_user_is_the_same_account(ledger):
    assert known(ledger).id == known(ledger, now=LATER).id


def test_a_user_made_again_with_the_same_id_and_name_is_somebody_new(ledger):
    before = known(ledger)
    assert known(ledger, created=LATER, now=LATER).id != before.id


def test_a_renamed_user_keeps_the_account(ledger):
    before = known(ledger)
    after = known(ledger, name="anne", now=LATER)
    assert (after.id, after.name) == (before.id, "anne")
    assert ledger.write(accounts.find, hub_id="h", name="anne").id == before.id


def test_a_name_that_the_provider_gave_to_another_person_is_somebody_new(ledger):
    logs_in(ledger, subject="42")
    before = known(ledger)
    logs_in(ledger, subject="43", now=LATER)
    after = known(ledger, now=LATER)
    assert after.id != before.id
    assert ledger.write(accounts.find, hub_id="h", name="anna").id == after.id


def test_the_same_name_from_a_second_provider_is_somebody_new(ledger):
    logs_in(ledger, provider="github", subject="42")
    before = known(ledger)
    logs_in(ledger, provider="gitlab", subject="42", now=LATER)
    assert known(ledger, now=LATER).id != before.id


def test_one_subject_under_a_second_name_is_one_account_with_its_first_name(ledger):
    logs_in(ledger, subject="42")
    before = known(ledger)
    logs_in(ledger, name="berta", subject="42", now=LATER)
    after = known(ledger, number=2, name="berta", now=LATER)
    assert (after.id, after.name) == (before.id, "anna")
    for name in ("anna", "berta"):
        assert ledger.read(accounts.find, hub_id="h", name=name).id == before.id
    (finding,) = standing(ledger)
    assert finding["kind"] == "linked_names"
    assert actions(ledger) == ["account_opened", "account_linked"]


def test_a_second_name_that_the_hub_deletes_leaves_the_account_to_the_first(ledger):
    logs_in(ledger, subject="42")
    before = known(ledger)
    logs_in(ledger, name="berta", subject="42", now=LATER)
    known(ledger, number=2, name="berta", now=LATER)
    ledger.write(accounts.close_user, hub_id="h", user=HubUser(1, NOW, "anna"), now=LATER)
    left = ledger.read(accounts.find, hub_id="h", name="berta")
    assert (left.id, left.name) == (before.id, "berta")
    with pytest.raises(NoSuchAccount):
        ledger.read(accounts.find, hub_id="h", name="anna")


def test_a_login_renames_its_own_user_and_not_an_older_one_whose_id_the_hub_gave_out_again(ledger):
    """SQLite gives ids out again, and one person may have two names."""
    logs_in(ledger, subject="42")
    before = known(ledger)
    logs_in(ledger, name="berta", subject="42", now=LATER)
    known(ledger, created=LATER, name="berta", now=LATER)
    ledger.write(
        accounts.take_login,
        hub_id="h",
        user=HubUser(1, LATER, "berta"),
        who=Subject("github", "42", {"id": "42"}),
        groups=None,
        claims=None,
        now=LATER,
    )
    first = ledger.read(accounts.find, hub_id="h", name="anna")
    assert (first.id, first.name) == (before.id, "anna")


def test_a_subject_whose_user_was_deleted_opens_no_account_again(ledger):
    logs_in(ledger, subject="42")
    before = known(ledger)
    ledger.write(accounts.close_user, hub_id="h", user=HubUser(1, NOW, "anna"), now=LATER)
    logs_in(ledger, subject="42", now=LATER)
    assert known(ledger, created=LATER, now=LATER).id != before.id


def test_all_subjects_that_change_on_one_day_are_told_and_going_back_opens_the_old_accounts(ledger):
    names = ("anna", "bob", "carl")
    old, new = {}, {}
    for number, name in enumerate(names, 1):
        logs_in(ledger, name, subject=f"old-{name}")
        old[name] = known(ledger, number, name=name).id
    for number, name in enumerate(names, 1):
        now = LATER + timedelta(minutes=number)
        logs_in(ledger, name, subject=f"new-{name}", now=now)
        new[name] = known(ledger, number, name=name, now=now).id
        assert len(standing(ledger)) == (number > 1), "the second within an hour is no accident"
    assert not set(old.values()) & set(new.values())
    (finding,) = standing(ledger)
    assert finding["kind"] == "accounts_closed"
    assert finding["why"].startswith("3 accounts were closed since 2026-11-24T09:01Z")
    assert "account bind --closed-since" in finding["repair"]
    assert "account unbind" in finding["repair"]
    assert actions(ledger).count("account_closed") == 3
    for number, name in enumerate(names, 1):
        now = LATER + timedelta(hours=2, minutes=number)
        logs_in(ledger, name, subject=f"old-{name}", now=now)
        assert known(ledger, number, name=name, now=now).id == old[name]
    assert {account.id for account in ledger.read(accounts.list_accounts, hub_id="h")} == set(
        old.values()
    )
    assert actions(ledger).count("account_reopened") == 3


def test_starting_credit_is_given_once_whatever_the_provider_or_the_hub_forgets(ledger):
    def welcomed(account):
        return ledger.write(
            credits.welcome, hub_id="h", account_id=account.id, currency="USD", amount=5, now=LATER
        )

    logs_in(ledger, subject="old")
    assert welcomed(known(ledger))
    logs_in(ledger, subject="new", now=LATER)
    assert not welcomed(known(ledger, now=LATER)), "the same user of the hub"
    later = LATER + timedelta(days=1)
    assert not welcomed(known(ledger, number=5, created=later, now=later)), "a new user table"
    logs_in(ledger, "bob", subject="bob", now=later)
    assert welcomed(known(ledger, number=2, created=later, name="bob", now=later))


def test_a_time_that_lost_its_fraction_is_the_same_user_on_every_database(ledger):
    exact = NOW + timedelta(microseconds=654_321)
    before = known(ledger, created=exact)
    for cut in (NOW, NOW + timedelta(seconds=1)):
        assert known(ledger, created=cut, now=LATER).id == before.id
    assert len(ledger.read(accounts.list_accounts, hub_id="h")) == 1


def test_a_look_up_opens_nothing(ledger):
    user = HubUser(1, NOW, "anna")
    assert ledger.read(accounts.look_up, hub_id="h", user=user) is None
    ledger.write(accounts.rename_user, hub_id="h", user=user, now=NOW)
    ledger.write(accounts.close_user, hub_id="h", user=user, now=NOW)
    assert (ledger.read(accounts.list_accounts, hub_id="h"), actions(ledger)) == ([], [])
    made = known(ledger)
    assert ledger.read(accounts.look_up, hub_id="h", user=user) == made


def test_every_opening_and_closing_is_a_row_that_says_why(ledger):
    logs_in(ledger, subject="42")
    known(ledger)
    ledger.write(accounts.close_user, hub_id="h", user=HubUser(1, NOW, "anna"), now=LATER)
    closed, opened = ledger.read(audit.list_rows, hub_id="h")
    assert (opened["action"], opened["detail"]["subject"]) == ("account_opened", "42")
    assert (closed["action"], closed["detail"]["why"]) == (
        "account_closed",
        "the hub deleted its user",
    )


def test_a_first_login_names_a_user_who_was_known_from_the_hub_alone(ledger):
    before = known(ledger)
    logs_in(ledger, subject="42", now=LATER)
    assert known(ledger, now=LATER).id == before.id
    logs_in(ledger, subject="43", now=LATER)
    assert known(ledger, now=LATER).id != before.id


def test_a_provider_that_says_no_subject_this_time_says_nothing_new(ledger):
    logs_in(ledger, subject="42")
    before = known(ledger)
    logs_in(ledger, subject="", now=LATER)
    assert known(ledger, now=LATER).id == before.id


def test_a_login_of_a_person_before_is_not_taken_for_a_later_user_of_that_name(ledger):
    logs_in(ledger, subject="42", groups=["pros"])
    assert known(ledger, created=LATER, now=LATER).groups == frozenset()


def test_facts_of_a_login_come_to_the_account_and_a_later_login_replaces_them(ledger):
    logs_in(ledger, groups=["pros"], claims={"plan": "pro"})
    found = known(ledger)
    assert (found.groups, found.claims) == (frozenset({"pros"}), {"plan": "pro"})
    logs_in(ledger, groups=[], now=LATER)
    assert known(ledger, now=LATER).groups == frozenset()


def test_a_provider_that_names_no_groups_leaves_them_as_they_are(ledger):
    logs_in(ledger, groups=["pros"])
    known(ledger)
    logs_in(ledger, groups=None, now=LATER)
    assert known(ledger, now=LATER).groups == frozenset({"pros"})


def test_a_deleted_users_account_is_closed_and_found_no_more(ledger):
    known(ledger)
    ledger.write(accounts.close_user, hub_id="h", user=HubUser(1, NOW, "anna"), now=LATER)
    with pytest.raises(NoSuchAccount):
        ledger.write(accounts.find, hub_id="h", name="anna")
    assert ledger.write(accounts.list_accounts, hub_id="h") == []


def test_a_user_whom_the_hub_failed_to_delete_is_found_again_once_they_start(
    ledger, make_settings, ask
):
    before = ask(ledger, make_settings(hub_id="h"), "anna", "free-cpu", "one", ["flats"])
    user = HubUser(sum(map(ord, "anna")), NOW, "anna")
    ledger.write(accounts.close_user, hub_id="h", user=user, now=LATER)
    after = ask(ledger, make_settings(hub_id="h"), "anna", "free-cpu", "two", ["flats"])
    assert after.account_id == before.account_id
    assert ledger.write(accounts.find, hub_id="h", name="anna").id == before.account_id


def test_two_hubs_on_one_database_have_accounts_of_their_own(ledger):
    mine = known(ledger)
    other = ledger.write(accounts.account_of, hub_id="other", user=HubUser(1, NOW, "anna"), now=NOW)
    assert other.id != mine.id


def test_names_of_any_alphabet_are_kept(ledger):
    for number, name in enumerate(("ann@example.org", "50%off", "~t", "zoë", "名前", "x" * 255)):
        known(ledger, number=number, name=name)
        assert ledger.write(accounts.find, hub_id="h", name=name).name == name


def test_a_notebook_is_found_by_its_server_name_and_keeps_its_id_when_renamed(ledger):
    account = known(ledger)

    def notebook(server):
        return ledger.write(
            notebooks.notebook_of,
            hub_id="h",
            account_id=account.id,
            server_name=server,
            display_name="",
            now=NOW,
        )

    made = notebook("old")
    ledger.write(notebooks.rename, made.id, server_name="new")
    assert notebook("new").id == made.id
    ledger.write(notebooks.delete, account_id=account.id, server_name="new", now=LATER)
    assert notebook("new").id != made.id
