"""What one of several processes does that are at work on one ledger at once.

A module by itself, so that the new process imports the ledger and nothing else.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from gradienthub.ledger import By, Ledger, admissions, leases, watches
from gradienthub.ledger.admissions import Request
from gradienthub.ledger.watches import Watched
from gradienthub.rules.idleness import Reason
from gradienthub.rules.refusal import Refused
from gradienthub.rules.tiers import Tier
from gradienthub.settings import Settings


def start(
    url: str, setting: Settings, requests: list[Request], now: datetime
) -> list[tuple[str, ...] | str]:
    """The devices that each start was given, or the code of its refusal."""
    ledger = Ledger(url)
    said = [ledger.write(admissions.admit_start, request, setting, now) for request in requests]
    ledger.close()
    return [one.code if isinstance(one, Refused) else one.devices for one in said]


def save_often(url: str, seen: Watched, times: int) -> int:
    """A keeper that saves the same watch again and again, counting in its `stop_tries`."""
    ledger = Ledger(url)
    for one in range(times):
        ledger.write(watches.save, "h", [replace(seen, stop_tries=one)])
    ledger.close()
    return times


def save_all(url: str, seen: list[Watched], times: int) -> None:
    """A keeper whose passes go on over leases that end."""
    ledger = Ledger(url)
    for _ in range(times):
        ledger.write(watches.save, "h", seen)
    ledger.close()


def end_all(url: str, lease_ids: list[str], now: datetime) -> None:
    """A hub whose engine says of all of them that they are gone."""
    ledger = Ledger(url)
    for lease_id in lease_ids:
        ledger.write(leases.end, lease_id, now, Reason.USER)
    ledger.close()


def extend_often(
    url: str, lease_id: str, tiers: Mapping[str, Tier], now: datetime, times: int
) -> datetime | None:
    """A hub that extends once a second; what the last Extend gave."""
    ledger, until = Ledger(url), None
    for one in range(times):
        given = ledger.write(
            watches.extend_lease,
            lease_id,
            By("h", "anna", now + one * timedelta(seconds=1)),
            tiers=tiers,
            grace=timedelta(minutes=1),
        )
        assert isinstance(given, Watched), given
        until = given.deadlines.keep_until
    ledger.close()
    return until
