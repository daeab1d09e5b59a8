"""Starts in a process of its own, for the test that several processes admit at once.

A module by itself, so that the new process imports the ledger and nothing else.
"""

from datetime import datetime

from gradienthub.ledger import Ledger, leases
from gradienthub.ledger.leases import Request
from gradienthub.rules.refusal import Refused
from gradienthub.settings import Settings


def start(
    url: str, setting: Settings, requests: list[Request], now: datetime
) -> list[tuple[str, ...] | str]:
    """The devices that each start was given, or the code of its refusal."""
    ledger = Ledger(url)
    said = [ledger.write(leases.admit_start, request, setting, now) for request in requests]
    ledger.close()
    return [one.code if isinstance(one, Refused) else one.devices for one in said]
