"""Identity is ours: the hub gives ids and names out again, and somebody new never inherits."""

from datetime import timedelta

import pytest
from home import NOW

from gradienthub.ledger import accounts, notebooks
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
        accounts.record_login, hub_id="h", name=name, who=Subject(provider, subject),
        groups=groups, claims=claims or {}, now=now,
    )  # fmt: skip


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


def test_a_subject_that_comes_back_under_another_hub_user_inherits_nothing(ledger):
    logs_in(ledger, subject="42")
    before = known(ledger)
    logs_in(ledger, name="berta", subject="42", now=LATER)
    assert known(ledger, number=2, name="berta", now=LATER).id != before.id


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
    assert ledger.write(accounts.everyone, hub_id="h") == []


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
            notebooks.notebook_of, hub_id="h", account_id=account.id, server_name=server,
            display_name="", now=NOW,
        )  # fmt: skip

    made = notebook("old")
    ledger.write(notebooks.rename, made.id, server_name="new")
    assert notebook("new").id == made.id
    ledger.write(notebooks.delete, account_id=account.id, server_name="new", now=LATER)
    assert notebook("new").id != made.id
