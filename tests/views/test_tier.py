"""What a tier costs and promises, in words."""

import pytest

from gradienthub.rules.tiers import Tier
from gradienthub.views.tier import month_text, statement_text, storage_text


def tier(**keys):
    return Tier(
        name="pro",
        title="Pro",
        shutdown_choices=("1h",),
        shutdown_min="5m",
        shutdown_max="6h",
        **keys,
    )


def test_a_price_a_month_is_money():
    assert month_text(tier(price_per_month="8"), "USD") == "$8.00 a month"
    assert statement_text(tier(price_per_month="8"), "EUR") == (
        "The tier Pro costs €8.00 a month, which is not in this statement."
    )


def test_a_tier_that_costs_nothing_says_nothing():
    assert month_text(tier(), "USD") == statement_text(tier(), "USD") == ""


@pytest.mark.parametrize(
    ("storage", "text"), [(None, ""), (5, "5 GB"), (0.5, "0.5 GB"), (2000, "2,000 GB")]
)
def test_storage_is_in_gigabytes(storage, text):
    assert storage_text(tier(storage=storage)) == text
