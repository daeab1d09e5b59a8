"""gradienthub account: prepared before a first login, bound after a loss, and never by accident."""

import json
from datetime import UTC, datetime

import pytest
import steps

from gradienthub.ledger import accounts, hub_users
from gradienthub.ledger.accounts import HubUser, Subject

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _started(hub):
    hub.start_once()


def find(hub, name):
    return hub.ledger.read(accounts.find, hub_id="this-hub", name=name)


@pytest.mark.parametrize(
    "words",
    [
        ("tier", "set", "anna", "pro"),
        ("credit", "give", "anna", "5", "--reason", "a start"),
        ("approve", "grant", "anna", "a100"),
        ("tier", "approve", "anna", "a100"),
        ("tier", "payment", "anna", "yes"),
        ("budget", "set", "--user", "anna", "--hard", "5"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_what_is_given_before_a_first_login_waits_for_it(hub, words):
    said = hub.run(*words)
    assert said.code == 0, said.err
    assert "anna has not logged in yet: an account waits for them" in said.out
    waiting = find(hub, "anna")
    assert waiting.prepared_at is not None
    assert hub.account("anna").id == waiting.id
    assert find(hub, "anna").prepared_at is None


@pytest.mark.parametrize(
    "words",
    [
        ("tier", "set", "anna", "gold"),
        ("credit", "give", "anna", "0", "--reason", "a start"),
        ("approve", "grant", "anna", "h900"),
        ("budget", "set", "--user", "anna", "--soft", "5", "--hard", "4"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_what_is_refused_prepares_no_account(hub, words):
    assert hub.run(*words).code == 2
    assert "Nobody has an account" in hub.run("account", "list").out


def test_a_slip_of_the_finger_is_told_with_the_name_that_was_meant(hub):
    hub.account("anna")
    assert "(similar: anna;" in hub.run("tier", "set", "ana", "pro").out


def test_an_account_is_prepared_with_all_that_it_begins_with_and_twice_changes_nothing(hub):
    for _ in range(2):
        said = hub.run("account", "prepare", "anna", "--tier", "pro", "--credit", "7")
        assert said.code == 0, said.err
    assert "$7.00 was given before" in said.out
    assert find(hub, "anna").tier == "pro"
    assert "7.00" in hub.run("credit", "show", "anna").out
    more = hub.run("account", "prepare", "anna", "--credit", "9")
    assert (more.code, "given before, and no other is" in more.out) == (0, True)
    assert "7.00" in hub.run("credit", "show", "anna").out
    gone = hub.run("account", "prepare", "anna", "--tier", "platinum")
    assert gone.code == 2 and "There is no tier" in gone.err


def test_a_dry_run_says_all_and_does_nothing(hub):
    said = hub.run("account", "prepare", "anna", "--tier", "pro", "--dry-run", "--json")
    found = json.loads(said.out)
    assert found["dry_run"] and found["changes"][0]["what"] == "waits for the first login, tier pro"
    assert "Nobody has an account" in hub.run("account", "list").out


def test_a_class_is_imported_from_a_file_and_each_wrong_line_is_named(hub, tmp_path):
    file = tmp_path / "class.csv"
    file.write_text(
        "Name,tier,credit,subject,payment_method\n"
        "anna,pro,5.50,,yes\n\nbob,,,77,\nanna,free,,,\ncarl,gold,,,\ndora,free,much,,\neva,pro\n"
    )
    said = hub.run("account", "import", str(file))
    assert said.code == 2
    for words in (
        "line 5: anna is in line 2 already",
        "line 6: There is no tier “gold”",
        "line 7: ",
        "line 8: it has another number of columns",
        "nothing was imported",
    ):
        assert words in said.err, words
    assert "Nobody has an account" in hub.run("account", "list").out
    file.write_text("\ufeffname,tier,credit,subject\nanna,pro,5.50,\nbob,,,77\n", "utf-8")
    assert "A dry run" in hub.run("account", "import", str(file), "--dry-run").out
    assert hub.run("account", "import", str(file)).code == 0
    said = hub.run("account", "list").out
    assert "prepared" in said and "subject 77 at any provider" in said
    assert hub.run("account", "import", str(file)).code == 0, "again changes nothing"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the first line names the columns"),
        ("nom,tier\nanna,pro\n", "unknown: nom"),
        ('name\n"anna\n', "unexpected end"),
        ("name\n,\n", "another number of columns"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_words(hub, tmp_path, text, words):
    file = tmp_path / "class.csv"
    file.write_text(text)
    said = hub.run("account", "import", str(file))
    assert (said.code, words in said.err) == (2, True), said.err


def test_a_file_that_is_not_there_or_no_text_is_refused_in_words(hub, tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("x.csv", "none.csv"):
        said = hub.run("account", "import", str(tmp_path / name))
        assert said.code == 2 and "cannot be read" in said.err
        assert ("UTF-8" in said.err) is (name == "x.csv")


def test_a_name_gets_its_old_account_back_after_the_user_table_was_lost(hub):
    old = hub.account("anna").id

    def lost(tx):
        hub_users.note_changes(tx, "this-hub", hub_users.compare_users(tx, "this-hub", []), NOW)

    hub.ledger.write(lost)
    assert "no user" in hub.run("account", "list").out
    said = hub.run("findings")
    assert said.code == 1 and "gradienthub account bind anna" in said.out
    new = hub.account("anna", 9).id
    assert new != old
    dry = hub.run("account", "bind", "anna", "--dry-run")
    assert "A dry run" in dry.out and hub.account("anna", 9).id == new
    assert hub.run("account", "bind", "anna").code == 0
    assert hub.account("anna", 9).id == old
    assert hub.run("account", "unbind", "anna").code == 0
    assert hub.account("anna", 9).id == new


def test_an_account_is_merged_into_another_with_a_plan_for_its_folder(hub):
    gone, into = hub.account("ann", 1), hub.account("anna", 2)
    hub.run("credit", "give", "ann", "5", "--reason", "x")
    said = hub.run("account", "merge", "ann", "anna")
    assert said.code == 0, said.err
    assert f"accounts/{gone.id} belongs into" in said.out
    assert "gets the balance of $5.00\n" in said.out
    assert "5.00" in hub.run("credit", "show", "anna").out
    assert hub.run("verify").code == 0
    assert into.id in hub.run("account", "list", "--json").out


def test_commands_without_a_name_or_with_two_wishes_say_what_they_need(hub):
    for words in (("bind",), ("bind", "anna", "--all"), ("unbind",)):
        said = hub.run("account", *words)
        assert said.code == 2 and "Name one person" in said.err
    assert "no time" in hub.run("account", "bind", "--closed-since", "noon").err


def test_a_group_that_only_the_hub_knows_gives_the_same_tier_on_the_command_line(hub):
    hub.account("anna")
    assert "unknown until the hub says so" in hub.run("tier", "show", "anna").out
    hub.ledger.write(
        accounts.account_of,
        hub_id="this-hub",
        user=HubUser(1, NOW, "anna"),
        now=NOW,
        hub_groups={"lab-bio"},
    )
    assert "pro (Pro), given by group lab-bio" in hub.run("tier", "show", "anna").out
    assert "group lab-bio" in hub.run("tier", "list").out


def test_groups_that_are_too_many_to_list_are_said(hub):
    hub.account("anna")
    hub.ledger.write(
        accounts.take_login,
        hub_id="this-hub",
        user=HubUser(1, NOW, "anna"),
        who=Subject("AzureAd", "1"),
        groups=None,
        claims={},
        now=NOW,
        groups_unknown=True,
    )
    assert "too many to list: those of before count" in hub.run("tier", "show", "anna").out


def test_what_runs_is_stopped_by_its_lease(hub):
    hub.lease("anna")
    assert hub.run("stop", "lease-1", "--reason", "maintenance").code == 0
    row = hub.ledger.read(steps.columns_of, "lease-1")
    assert (row["reason"], row["stop_note"]) == ("admin", "maintenance")
    assert "already" in hub.run("stop", "lease-1").out
    assert "There is no lease" in hub.run("stop", "nothing").err
