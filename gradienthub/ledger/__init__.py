"""REMEMBER: accounts, notebooks, leases, devices, audit. The only room with SQLAlchemy.

A public function takes a connection and is one transaction; `Ledger.write` and `.read` run it.
It reads rows, asks `rules/`, writes. None spans an engine call, a hub call or an await.
"""

from .by import By
from .database import Ledger, LedgerAway, Transaction

__all__ = ["By", "Ledger", "LedgerAway", "Transaction"]
