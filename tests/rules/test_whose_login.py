"""Whose login it is: the provider's subject first, the hub's user second, and nobody inherits."""

from datetime import UTC, datetime, timedelta

import pytest

from gradienthub.rules.identity import (
    Bound,
    Candidate,
    Closed,
    HubUser,
    Subject,
    Verdict,
    Word,
    names_nobody,
    same_moment,
    whose_login,
)

T = datetime(2026, 11, 27, 9, 0, 0, 250_000, tzinfo=UTC)
ANNA = HubUser(1, T, "anna")
HERS = (Bound(ANNA),)


def said(provider="github", **keys):
    return Subject(provider, next(iter(keys.values()), ""), keys)


def word(key, subject, provider="github", rank=0):
    return Word(provider, key, subject, rank)


def account(*words, id="A", users=HERS, **more):
    return Candidate(id, more.pop("name", "anna"), tuple(users), tuple(words), **more)


@pytest.mark.parametrize(
    "word",
    [
        "",
        " ",
        "0",
        "0.0",
        "000",
        "-",
        "--",
        "NULL",
        "'null'",
        "None",
        "undefined",
        "NaN",
        "-1",
        "00000000-0000-0000-0000-000000000000",
    ],
)
def test_what_stands_for_nobody_names_nobody(word):
    assert names_nobody(word)


@pytest.mark.parametrize(
    "word", ["7", "10", "a", "00000000-0000-0000-0000-000000000001", "-7", "nullo"]
)
def test_somebodys_word_is_theirs(word):
    assert not names_nobody(word)


def test_the_same_subject_finds_its_account_under_a_new_hub_user():
    old = account(word("id", "7"), users=[Bound(HubUser(9, T, "anna"), present=False)])
    answer = whose_login(ANNA, said(id="7"), [old])
    assert (answer.verdict, answer.account_id, answer.leaves) == (Verdict.BOUND, "A", None)


@pytest.mark.parametrize("apart", [0, 3_000, -250_000, 750_000, 1_750_000])
def test_a_creation_time_that_lost_its_fraction_is_the_same_user(apart):
    user = HubUser(1, T + timedelta(microseconds=apart), "anna")
    assert whose_login(user, None, [account()]).account_id == "A"


@pytest.mark.parametrize("later", [0.3, 1.0, 3.0, 180.0, 3600.0])
def test_a_user_of_the_same_id_made_again_later_is_somebody_new(later):
    user = HubUser(1, T + timedelta(seconds=later), "anna")
    answer = whose_login(user, None, [account()])
    assert (answer.verdict, answer.account_id) == (Verdict.OPENED, None)


def test_a_deleted_users_id_and_name_given_out_again_in_the_same_second_are_somebody_new():
    gone = account(closed=Closed.DELETED)
    again = HubUser(1, T + timedelta(milliseconds=300), "anna")
    assert whose_login(again, None, [gone]).account_id is None


def test_a_deletion_that_the_hub_gave_up_leaves_the_user_with_the_account():
    gone = account(closed=Closed.DELETED)
    for user in (ANNA, HubUser(1, T.replace(microsecond=0), "anna")):
        assert whose_login(user, None, [gone]).account_id == "A"


def test_a_deleted_users_subject_does_not_open_their_account_for_a_new_user():
    gone = account(word("id", "7"), closed=Closed.DELETED)
    later = HubUser(1, T + timedelta(hours=1), "anna")
    assert whose_login(later, said(id="7"), [gone]).verdict is Verdict.OPENED


def test_a_provider_that_adds_a_key_says_nothing_new():
    answer = whose_login(ANNA, said(id="7", sub="x"), [account(word("id", "7"))])
    assert (answer.verdict, answer.account_id) == (Verdict.SAME, "A")


def test_a_new_key_does_not_outvote_the_old_one():
    known = account(word("id", "7"), word("sub", "x", rank=1))
    assert whose_login(ANNA, said(id="7", sub="y"), [known]).account_id == "A"
    assert whose_login(ANNA, said(id="8", sub="x"), [known]).verdict is Verdict.OPENED


def test_of_keys_known_at_once_the_strongest_decides():
    known = account(word("uid", "anna"), word("oid", "1"))
    assert whose_login(ANNA, said(uid="anna", oid="2"), [known]).verdict is Verdict.OPENED


def test_a_provider_that_changes_from_one_key_to_another_keeps_the_hub_users_account():
    answer = whose_login(ANNA, said(sub="x"), [account(word("id", "7"))])
    assert (answer.verdict, answer.account_id) == (Verdict.SAME, "A")


def test_a_name_given_to_another_subject_is_somebody_new_and_closes_the_account():
    answer = whose_login(ANNA, said(id="8"), [account(word("id", "7"))])
    assert (answer.verdict, answer.leaves, answer.closes) == (Verdict.OPENED, "A", True)
    assert "another subject" in answer.why


def test_a_name_that_comes_back_to_its_former_subject_opens_the_account_again():
    old = account(word("id", "7"), users=(), closed=Closed.REPLACED)
    new = account(word("id", "8"), id="B")
    answer = whose_login(ANNA, said(id="7"), [new, old])
    assert (answer.account_id, answer.leaves, answer.closes) == ("A", "B", True)


def test_two_names_of_one_subject_are_one_account():
    eve = account(word("id", "7"), users=[Bound(HubUser(3, T, "eve"))], name="eve")
    answer = whose_login(HubUser(4, T, "eve-lee"), said(id="7"), [eve])
    assert (answer.verdict, answer.account_id) == (Verdict.LINKED, "A")
    assert "eve" in answer.why


def test_an_account_with_a_second_name_stays_open_when_one_of_them_is_given_away():
    eve = account(word("id", "7"), users=[Bound(ANNA), Bound(HubUser(4, T, "eve-lee"))])
    answer = whose_login(ANNA, said(id="8"), [eve])
    assert (answer.verdict, answer.leaves, answer.closes) == (Verdict.OPENED, "A", False)


def test_equal_subjects_of_two_providers_are_two_people():
    known = account(word("id", "7"), users=[Bound(HubUser(3, T, "github:eve"))])
    user = HubUser(4, T, "gitlab:eve")
    assert whose_login(user, said("gitlab", id="7"), [known]).verdict is Verdict.OPENED


def test_a_name_that_comes_from_another_provider_is_somebody_new():
    for who in (said("gitlab", id="7"), Subject("DummyAuthenticator")):
        answer = whose_login(ANNA, who, [account(word("id", "7"))])
        assert (answer.verdict, answer.leaves) == (Verdict.OPENED, "A")
        assert "another provider" in answer.why


def test_a_provider_that_took_over_the_names_of_another_keeps_the_accounts():
    moved = {"generic@acme": "github"}
    answer = whose_login(
        ANNA, said("generic@acme", sub="u-1"), [account(word("id", "7"))], moved=moved
    )
    assert (answer.verdict, answer.account_id) == (Verdict.SAME, "A")


def test_a_first_provider_with_a_subject_names_who_was_known_by_the_hub_alone():
    assert whose_login(ANNA, said(id="7"), [account()]).account_id == "A"


def test_a_login_without_a_subject_says_nothing_new():
    assert whose_login(ANNA, Subject("github"), [account(word("id", "7"))]).account_id == "A"


def test_a_refresh_that_names_another_subject_closes_nothing_and_its_facts_do_not_count():
    other = account(word("id", "8"), id="B", users=[Bound(HubUser(5, T, "bob"))], name="bob")
    for candidates in ([account(word("id", "7"))], [account(word("id", "7")), other]):
        answer = whose_login(ANNA, said(id="8"), candidates, refresh=True)
        assert (answer.account_id, answer.leaves, answer.trusted) == ("A", None, False)


def test_a_subject_from_before_its_key_was_kept_matches_under_any_key():
    known = account(word("", "7"))
    assert whose_login(ANNA, said(id="7", sub="x"), [known]).verdict is Verdict.SAME
    assert whose_login(ANNA, said(sub="x"), [known]).verdict is Verdict.OPENED


def test_a_prepared_account_waits_for_its_name():
    waiting = account(users=(), prepared=True)
    answer = whose_login(ANNA, said(id="7"), [waiting])
    assert (answer.verdict, answer.account_id) == (Verdict.PREPARED, "A")
    assert whose_login(HubUser(2, T, "ann"), said(id="7"), [waiting]).account_id is None


def test_a_prepared_account_that_names_a_subject_waits_for_the_subject_alone():
    waiting = account(word("", "7", provider=""), users=(), prepared=True)
    assert whose_login(ANNA, said(id="8"), [waiting]).verdict is Verdict.OPENED
    assert whose_login(ANNA, None, [waiting]).verdict is Verdict.OPENED
    renamed = HubUser(2, T, "anna2")
    assert whose_login(renamed, said(id="7"), [waiting]).verdict is Verdict.PREPARED


def test_who_has_an_account_does_not_take_a_prepared_one_of_their_name():
    waiting = account(id="P", users=(), prepared=True)
    assert whose_login(ANNA, said(id="7"), [account(), waiting]).account_id == "A"


def test_a_restored_hub_that_gives_ids_out_again_lets_nobody_inherit():
    carol = account(users=[Bound(HubUser(7, T, "carol"), present=False)], name="carol")
    dave = HubUser(7, T + timedelta(days=1), "dave")
    assert whose_login(dave, None, [carol]).account_id is None


def test_readings_of_one_moment_differ_by_their_fraction_at_most():
    assert same_moment(T, T.replace(microsecond=0))
    assert same_moment(T, T.replace(microsecond=0) + timedelta(seconds=1))
    assert not same_moment(T, T + timedelta(seconds=1))
    assert not same_moment(T, T.replace(microsecond=0) + timedelta(seconds=3))
    whole = T.replace(microsecond=0)
    assert not same_moment(whole, whole + timedelta(seconds=1))
