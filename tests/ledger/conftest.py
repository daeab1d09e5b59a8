"""A ledger with money in it."""

from pathlib import Path

import pytest
from bank import HOST, HUB, TIERS, Bank

from gradienthub.ledger import Ledger


@pytest.fixture
def bank_settings(make_settings):
    """Settings of a hub where everybody is prepaid."""
    return make_settings(hub_id=HUB, tiers=TIERS, tier_rules={"default": "prepaid"}, hosts=HOST)


@pytest.fixture
def bank(ledger, bank_settings):
    """A ledger on each database, and what happens to it."""
    return Bank(ledger, bank_settings)


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory) -> Path:
    """The file of a ledger in which nothing has happened, to copy."""
    file = tmp_path_factory.mktemp("empty-ledger") / "ledger.sqlite"
    made = Ledger(f"sqlite:///{file}")
    made.upgrade()
    made.close()
    return file
