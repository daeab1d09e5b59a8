"""Details of the audit as people read them."""

from gradienthub.rules.action import Action
from gradienthub.views.audit_words import ACTION_WORDS, action_word, words_of


def test_every_action_has_words_of_its_own():
    assert set(ACTION_WORDS) == set(Action)
    assert len(set(ACTION_WORDS.values())) == len(Action)
    assert action_word("login_moved") == "login moved"


def test_an_amount_is_money_and_not_millions():
    credit = {"amount": 50_000_000, "currency": "USD", "reason": "Thesis", "expires_at": None}
    assert list(words_of(credit)) == [("amount", "$50.00"), ("reason", "Thesis")]
    budget = {"scope": "group:lab", "currency": "EUR", "soft": None, "hard": 10_000_000}
    assert dict(words_of(budget))["hard"] == "€10.00"


def test_a_start_says_its_price_and_keeps_what_only_programs_compare_to_them():
    start = {
        "price": 780_000,
        "currency": "USD",
        "custom_image": False,
        "groups_digest": "4f53cd",
        "groups": ["lab"],
    }
    assert list(words_of(start)) == [
        ("price", "$0.78/h"),
        ("custom_image", "no"),
        ("groups", '["lab"]'),
    ]
    assert ("price", "$0.00/h") in words_of({"price": 0, "currency": "USD"})


def test_a_number_without_a_currency_stays_as_it_is():
    assert list(words_of({"amount": 5})) == [("amount", "5")]
    assert list(words_of({"hub_user": 3, "currency": "USD"})) == [("hub_user", "3")]
