"""What a tier promises beside machines: its price a month and its storage. Neither is enforced."""

from ..rules.money import format_amount
from ..rules.tiers import Tier


def month_text(tier: Tier, currency: str) -> str:
    """Return the tier's price a month for people: "$8.00 a month"; "" where it costs nothing."""
    return (
        f"{format_amount(tier.price_per_month, currency)} a month" if tier.price_per_month else ""
    )


def storage_text(tier: Tier) -> str:
    """Return the storage that the tier promises: "200 GB"; "" where it promises none."""
    return "" if tier.storage is None else f"{tier.storage:,g} GB"


def statement_text(tier: Tier, currency: str) -> str:
    """Return a sentence on what a statement leaves out; "" where the tier costs nothing."""
    price = month_text(tier, currency)
    return price and f"The tier {tier.title} costs {price}, which is not in this statement."
