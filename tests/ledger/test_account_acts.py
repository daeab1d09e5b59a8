"""What an administrator does about who somebody is: nobody loses money, notebooks or a way back."""

from datetime import timedelta

import pytest
from bank import HOUR, HUB, MINUTE, usd
from home import NOW

from gradienthub.ledger import (
    By,
    account_acts,
    account_bindings,
    account_merge,
    accounts,
    audit,
    findings,
    hub_users,
    notebooks,
)
from gradienthub.ledger.accounts import HubUser, NoSuchAccount, Subject
from gradienthub.ledger.hub_users import UserWithGroups
from gradienthub.rules.refusal import Refused

LATER = NOW + timedelta(days=1)


def ada(now=LATER):
    return By("h", "cli ada", now)


def known(ledger, number=1, created=NOW, name="anna", now=NOW):
    user = HubUser(number, created, name)
    return ledger.write(accounts.account_of, hub_id="h", user=user, now=now)


def logs_in(ledger, name="anna", subject="42", now=NOW):
    ledger.write(
        accounts.record_login,
        hub_id="h",
        name=name,
        who=Subject("github", subject, {"id": subject} if subject else {}),
        groups=None,
        claims={},
        now=now,
    )


def hub_has(ledger, *users, now=LATER):
    seen = [UserWithGroups(HubUser(*user), frozenset()) for user in users]

    def note(tx):
        hub_users.note_changes(tx, "h", hub_users.compare_users(tx, "h", seen), now)

    ledger.write(note)


def kinds(ledger):
    return {row["kind"]: row for row in ledger.read(findings.list_findings, "h")}


def test_a_new_user_table_without_subjects_is_told_and_a_name_is_bound_to_its_account(ledger):
    old = {name: known(ledger, number, name=name).id for number, name in enumerate(("anna", "bob"))}
    hub_has(ledger)
    told = kinds(ledger)["accounts_without_user"]
    assert told["why"] == "this hub's user table is new, 2 accounts have no user: anna, bob"
    new = known(ledger, 7, LATER, now=LATER)
    assert new.id != old["anna"]
    ledger.write(account_bindings.bind, ada(), "anna")
    assert known(ledger, 7, LATER, now=LATER).id == old["anna"]
    assert ledger.read(accounts.find, hub_id="h", name="anna").id == old["anna"]
    assert "1 account has no user: bob" in kinds(ledger)["accounts_without_user"]["why"]
    ledger.write(account_bindings.bind_all, ada())
    assert "accounts_without_user" not in kinds(ledger), "bob's waits for him"
    assert known(ledger, 8, LATER, "bob", now=LATER).id == old["bob"]
    hub_has(ledger, (7, LATER, "anna"), (8, LATER, "bob"))
    assert kinds(ledger) == {}


def test_a_lost_user_table_that_is_found_again_keeps_everybodys_older_account(ledger):
    """The finding's own cure must not give the name to what was opened meanwhile."""
    first = known(ledger, 1)
    hub_has(ledger)
    meanwhile = known(ledger, 1, LATER, now=LATER)
    assert meanwhile.id != first.id
    hub_has(ledger, (1, NOW, "anna"))
    told = kinds(ledger)
    assert "accounts_without_user" not in told
    assert "have the older accounts back: anna" in told["accounts_of_meanwhile"]["why"]
    assert f"merge {meanwhile.id} anna" in told["accounts_of_meanwhile"]["repair"]
    assert ledger.write(account_bindings.bind_all, ada()) == []
    assert known(ledger, 1).id == first.id
    ledger.write(account_merge.merge, ada(), meanwhile.id, first.id)
    assert "accounts_of_meanwhile" not in kinds(ledger)
    assert known(ledger, 1).id == first.id


def test_a_bind_is_undone_and_stays_undone(ledger):
    old = known(ledger)
    hub_has(ledger)
    new = known(ledger, 7, LATER, now=LATER)
    ledger.write(account_bindings.bind, ada(), "anna")
    ledger.write(account_bindings.unbind, ada(), "anna")
    assert known(ledger, 7, LATER, now=LATER).id == new.id != old.id


def test_a_directory_that_was_imported_again_is_bound_at_once_and_the_new_subjects_count(ledger):
    names = {"anna": 1, "bob": 2, "carl": 3}
    old, new = {}, {}
    for name, number in names.items():
        logs_in(ledger, name, f"old-{name}")
        old[name] = known(ledger, number, name=name).id
        logs_in(ledger, name, f"new-{name}", now=LATER)
        new[name] = known(ledger, number, name=name, now=LATER).id
    since = LATER - MINUTE
    ledger.write(account_bindings.bind_closed, ada(), since)
    assert "accounts_closed" not in kinds(ledger)
    for name, number in names.items():
        for subject in ("new", "old"):
            logs_in(ledger, name, f"{subject}-{name}", now=LATER + HOUR)
            assert known(ledger, number, name=name, now=LATER + HOUR).id == old[name]
    ledger.write(account_bindings.unbind_since, ada(LATER + HOUR), since)
    for name, number in names.items():
        logs_in(ledger, name, f"new-{name}", now=LATER + 2 * HOUR)
        assert known(ledger, number, name=name, now=LATER + 2 * HOUR).id == new[name]


def test_who_came_back_to_their_account_keeps_it_when_a_directorys_names_are_bound(ledger):
    names, old = {"anna": 1, "bob": 2, "carl": 3}, {}
    for days, word in enumerate(("old", "new", "newer")):
        for name, number in names.items():
            now = LATER + days * MINUTE if days else NOW
            logs_in(ledger, name, f"{word}-{name}", now=now)
            old.setdefault(name, known(ledger, number, name=name, now=now).id)
    for name in ("anna", "bob"):
        logs_in(ledger, name, f"old-{name}", now=LATER + HOUR)
        assert known(ledger, names[name], name=name, now=LATER + HOUR).id == old[name]
    told = kinds(ledger)["accounts_closed"]["why"]
    assert told.startswith("2 accounts were closed since") and told.endswith(": carl, carl")
    changes = ledger.write(account_bindings.bind_closed, ada(LATER + 2 * HOUR), NOW)
    assert {change.name for change in changes} == {"carl"}, "through all between, to the first"
    for name, number in names.items():
        assert known(ledger, number, name=name, now=LATER + 3 * HOUR).id == old[name]
    assert "accounts_closed" not in kinds(ledger)


def test_two_names_of_one_subject_are_made_two_people_for_good(ledger):
    logs_in(ledger, "eve", "7")
    eve = known(ledger, 1, name="eve")
    logs_in(ledger, "eve-lee", "7")
    assert known(ledger, 2, name="eve-lee").id == eve.id
    ledger.write(account_bindings.unbind, ada(), "eve-lee")
    apart = known(ledger, 2, name="eve-lee")
    logs_in(ledger, "eve-lee", "7", now=LATER)
    assert known(ledger, 2, name="eve-lee", now=LATER).id == apart.id != eve.id
    assert known(ledger, 1, name="eve").id == eve.id
    assert kinds(ledger) == {}


def test_a_prepared_account_is_taken_by_the_first_login_of_its_name(ledger):
    waiting, made = ledger.write(account_acts.prepare, ada(NOW), "anna")
    assert made and waiting.prepared_at == NOW
    logs_in(ledger)
    taken = known(ledger)
    assert (taken.id, taken.prepared_at) == (waiting.id, None)
    again, made = ledger.write(account_acts.prepare, ada(), "anna")
    assert (again.id, made) == (waiting.id, False)
    actions = [row["action"] for row in ledger.read(audit.list_rows, hub_id="h")]
    assert actions == ["account_bound", "account_prepared"]


def test_a_prepared_subject_is_not_taken_by_its_name_alone(ledger):
    waiting, _ = ledger.write(account_acts.prepare, ada(NOW), "anna", subject="42")
    logs_in(ledger, subject="43")
    assert known(ledger).id != waiting.id
    logs_in(ledger, name="anna2", subject="42", now=LATER)
    taken = known(ledger, 2, LATER, "anna2", now=LATER)
    assert (taken.id, taken.name) == (waiting.id, "anna2")
    with pytest.raises(Refused, match="names the account"):
        ledger.write(account_acts.prepare, ada(), "carl", subject="42", provider="github")


def test_a_merge_moves_money_notebooks_and_grants_and_everything_adds_up(bank):
    for name, amount in (("anna", 10), ("bob", 5)):
        bank.credit(name, usd(amount))
    bank.credit("anna", usd(3), HOUR * 48)
    bank.tier("anna", "postpaid")
    lease = bank.start("anna", "t4", "one")
    bank.run(HOUR, lease)
    bank.stop(lease)
    anna, bob = bank.account("anna"), bank.account("bob")
    both = bank.balance("anna") + bank.balance("bob")
    by = By(HUB, "cli ada", bank.now)
    bank.ledger.write(account_merge.merge, by, anna.id, bob.id)
    assert bank.faults() == []
    merged = bank.ledger.read(accounts.find, hub_id=HUB, name="bob")
    assert (merged.id, merged.tier) == (bob.id, "postpaid")
    assert bank.balance("bob") == both
    found = bank.ledger.read(notebooks.find, account_id=bob.id, server_name="one")
    assert found is not None
    assert bank.account("anna").id == bob.id, "her user has it too"
    later = bank.start("anna", "t4", "one")
    bank.run(HOUR, later)
    bank.stop(later)
    assert bank.faults() == []
    with pytest.raises(Refused, match="is part of"):
        bank.ledger.write(account_merge.merge, by, anna.id, bob.id)


def test_a_debt_is_merged_too(bank):
    bank.tier("anna", "postpaid")
    lease = bank.start("anna")
    bank.run(HOUR, lease)
    bank.stop(lease)
    owed = bank.balance("anna")
    assert owed < 0
    anna, bob = bank.account("anna"), bank.account("bob")
    bank.credit("bob", usd(5))
    bank.ledger.write(account_merge.merge, By(HUB, "cli ada", bank.now), anna.id, bob.id)
    assert bank.faults() == []
    assert bank.balance("bob") == usd(5) + owed


def test_a_merge_is_refused_while_something_runs_or_a_name_is_there_twice(bank):
    bank.credit("anna", usd(10))
    lease = bank.start("anna")
    anna, bob = bank.account("anna"), bank.account("bob")
    by = By(HUB, "cli ada", bank.now)
    with pytest.raises(Refused, match="1 running notebook"):
        bank.ledger.write(account_merge.merge, by, anna.id, bob.id)
    bank.stop(lease)
    bank.credit("bob", usd(10))
    bank.stop(bank.start("bob"))
    with pytest.raises(Refused, match="Default notebook"):
        bank.ledger.write(account_merge.merge, by, anna.id, bob.id)
    with pytest.raises(Refused, match="itself"):
        bank.ledger.write(account_merge.merge, by, bob.id, bob.id)


def test_a_name_without_an_account_is_not_bound(ledger):
    with pytest.raises(Refused, match="no account without a user"):
        ledger.write(account_bindings.bind, ada(), "nobody")
    with pytest.raises(NoSuchAccount):
        ledger.read(accounts.find, hub_id="h", name="nobody")
