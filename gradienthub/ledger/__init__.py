"""REMEMBER: accounts, notebooks, leases, devices, audit. The only room with SQLAlchemy.

A function is given a `Transaction`, which `Ledger.write` or `.read` begins and ends around it.
It reads rows, asks `rules/`, writes. None spans an engine call, a hub call or an await.
"""

from .by import By
from .database import Ledger, LedgerAway, Transaction

__all__ = ["By", "Ledger", "LedgerAway", "Transaction"]
