"""A hub's ledger with money in it, told in the words of the tests."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import steps
from home import HOSTS, NOW
from sqlalchemy import select

from gradienthub.ledger import (
    By,
    Ledger,
    accounts,
    admissions,
    credits,
    grants,
    holds,
    leases,
    reachability,
    verify,
)
from gradienthub.ledger.credits import NewCredit
from gradienthub.ledger.schema import entries
from gradienthub.rules.idleness import Reason
from gradienthub.rules.lease import Lease
from gradienthub.rules.money import MICRO
from gradienthub.rules.options import parse_options
from gradienthub.rules.refusal import Refused
from gradienthub.settings import Settings

PREPAID = {
    "title": "Prepaid",
    "max_running": 50,
    "max_running_free": None,
    "shutdown_choices": ["30m", "1h", "6h"],
    "shutdown_min": "5m",
    "shutdown_max": "12h",
    "shutdown_required": False,
    "funding": "prepaid",
    "custom_images": ["ghcr.io/acme/*"],
}
POSTPAID = {**PREPAID, "title": "Postpaid", "funding": "postpaid", "credit_limit": "10"}
TIERS = {"prepaid": PREPAID, "postpaid": POSTPAID}
HOST = {
    "rack": HOSTS["rack"]
    | {
        "cpus": 500,
        "memory": 2000,
        "devices": [{"uuid": f"GPU-{n}", "model": "Toy T4"} for n in range(60)],
    }
}
HUB = "h"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
#: What the t4 of tests/home.py costs an hour, and what its start holds.
T4 = 510_000
T4_HOLD = T4 // 4


class Bank:
    """One hub's people and leases; time is moved by hand."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self.ledger = ledger
        self.settings = settings
        self.now = NOW

    @property
    def by(self) -> By:
        return By(HUB, "ada", self.now)

    def later(self, span: timedelta) -> datetime:
        self.now += span
        return self.now

    def account(self, name: str) -> accounts.Account:
        user = accounts.HubUser(sum(map(ord, name)), NOW, name)
        found = self.ledger.write(accounts.account_of, hub_id=HUB, user=user, now=self.now)
        if not found.payment_method:
            self.ledger.write(grants.set_payment_method, self.by, found, True)
        return found

    def tier(self, name: str, tier: str) -> None:
        self.ledger.write(grants.set_tier, self.by, self.account(name), tier, self.settings.house)

    def credit(self, name: str, amount: int, expires_in: timedelta | None = None) -> str:
        new = NewCredit("USD", amount, "a test", expires_in and self.now + expires_in)
        return self.ledger.write(credits.give, self.by, self.account(name).id, new)

    def take(self, name: str, amount: int, reason: str = "") -> None:
        self.ledger.write(
            credits.take,
            self.by,
            self.account(name).id,
            currency="USD",
            amount=amount,
            reason=reason,
        )

    def budget(self, scope: str, *, soft: int | None = None, hard: int | None = None) -> None:
        self.ledger.write(grants.set_budget, self.by, scope, soft, hard, self.settings.house)

    def ask(
        self,
        name: str,
        instance_type: str = "t4",
        server: str = "",
        groups: tuple[str, ...] = (),
        image: str | None = None,
    ) -> Lease | Refused:
        self.account(name)
        options = {"instance_type": instance_type, "shutdown_after": "1h"}
        request = admissions.Request(
            lease_id=str(uuid.uuid4()),
            user=accounts.HubUser(sum(map(ord, name)), NOW, name),
            groups=frozenset(groups),
            server_name=server,
            display_name="",
            options=parse_options(options | ({"image": image} if image else {})),
            actor=name,
        )
        return self.ledger.write(admissions.admit_start, request, self.settings, self.now)

    def start(self, name: str, *args: str, **kwargs: tuple[str, ...]) -> str:
        """A start that is admitted and answers at once; its lease's id."""
        lease = self.ask(name, *args, **kwargs)
        assert isinstance(lease, Lease), lease
        self.ledger.write(steps.answer, lease.id, self.now)
        return lease.id

    def tick(self, *seen: str) -> dict[str, datetime]:
        return self.ledger.write(holds.tick, hub_id=HUB, seen=seen, now=self.now)

    def reach(
        self,
        reached: Sequence[str] = (),
        silent: Sequence[str] = (),
        working: Mapping[str, datetime] | None = None,
    ) -> None:
        """A pass of the keeper found these reachable, and those not."""
        self.ledger.write(
            reachability.note_reach,
            hub_id=HUB,
            reached=reached,
            silent=silent,
            working=working,
            now=self.now,
        )

    def run(self, span: timedelta, *seen: str) -> dict[str, datetime]:
        """Time passes with a tick each minute."""
        end = self.now + span
        while self.now < end:
            self.later(min(MINUTE, end - self.now))
            found = self.tick(*seen)
        return found

    def stop(self, lease_id: str, at: datetime | None = None) -> None:
        self.ledger.write(leases.note_stop, lease_id, Reason.USER, By(HUB, "x", at or self.now))
        self.end(lease_id)

    def end(self, lease_id: str, at: datetime | None = None) -> None:
        self.ledger.write(leases.end, lease_id, at or self.now, Reason.CRASHED)

    def prices(self, **prices: int) -> None:
        """The administrator edits prices."""
        house = self.settings.house
        types = tuple(
            t.model_copy(update={"price": prices.get(t.name, t.price)})
            for t in house.catalog.instance_types
        )
        catalog = house.catalog.model_copy(update={"instance_types": types})
        self.settings = replace(self.settings, house=replace(house, catalog=catalog))

    def balance(self, name: str) -> int:
        return sum(row.amount for row in self.entries(name))

    def entries(self, name: str) -> list:
        account_id = self.account(name).id
        query = select(entries).where(entries.c.account_id == account_id).order_by(entries.c.seq)
        return self.ledger.read(lambda tx: tx.execute(query).all())

    def charges(self, name: str) -> list[int]:
        return [-row.amount for row in self.entries(name) if row.kind == "charge"]

    def faults(self) -> list[str]:
        found = self.ledger.read(verify.verify_money, hub_id=HUB, now=self.now)
        return [fault.what for fault in found.faults]


def usd(amount: float) -> int:
    return round(amount * MICRO)
