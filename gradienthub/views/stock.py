"""The stock: each machine with its price, and whether one person can have it now, or why not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from ..ledger.capacity import Taken
from ..rules.admission import House, lock, next_free
from ..rules.catalog import InstanceType
from ..rules.money import format_price
from ..rules.placement import Room, room
from ..rules.refusal import Refused
from ..rules.tiers import Allowance, Tier

State = Literal["free", "locked", "none"]
KINDS = {"free": "Free", "cpu": "CPU", "gpu": "GPU", "multi-gpu": "Multi-GPU"}


@dataclass(frozen=True)
class Card:
    """One machine. `state` free can be chosen; locked and none say in `note` why not."""

    name: str
    title: str
    description: str
    price: int
    price_text: str
    gpu_text: str
    host_text: str
    state: State
    note: str
    next_free: datetime | None
    disabled: bool
    checked: bool
    refused: bool


@dataclass(frozen=True)
class Group:
    """Machines of one kind."""

    kind: str
    title: str
    note: str
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Stock:
    """What there is to rent, what one person may rent of it, and what is taken now."""

    house: House
    allowance: Allowance
    taken: Taken
    now: datetime

    def availability(self, machine: InstanceType) -> tuple[State, str, datetime | None]:
        """Return (state, why, when the next is free at the latest) of a machine."""
        house = self.house
        if refused := lock(machine, self.allowance, house.tiers, house.catalog.currency):
            by_tier = refused.code == "type_not_in_tier"
            return "locked", refused.hint if by_tier else refused.message, None
        there = self.room(machine)
        if there.free:
            of = f" of {there.total}" if machine.gpus else ""
            return "free", f"{there.free}{of} free", None
        if not there.total:
            return "none", "No host here carries it.", None
        none = "The only one is in use." if there.total == 1 else f"None of {there.total} free."
        free_at = self.next_free(machine)
        if free_at is None or free_at <= self.now:
            return "none", f"{none} No end is known.", None
        return "none", none, free_at

    def room(self, machine: InstanceType) -> Room:
        """Return how many of a machine are free, and how many there are."""
        return room(machine, self.house.hosts, self.taken.load, self.allowance.host_groups)

    def next_free(self, machine: InstanceType) -> datetime | None:
        """Return when the next of a machine is free at the latest; None where no end is known."""
        return next_free(
            machine,
            self.house,
            self.taken.leases,
            load=self.taken.load,
            groups=self.allowance.host_groups,
        )

    def price_text(self, machine: InstanceType) -> str:
        """Write a machine's price for people."""
        return format_price(machine.price, self.house.catalog.currency)

    def groups(self, wanted: str, refused: Refused | None) -> tuple[Group, ...]:
        """Return all machines as cards by kind; `wanted` is checked, else the first to be had."""
        machines = self.house.catalog.instance_types
        cards = [(machine.kind, self._card(machine, wanted, refused)) for machine in machines]
        if not any(card.checked for _, card in cards) and not refused:
            first = next((card.name for _, card in cards if not card.disabled), None)
            cards = [(kind, replace(card, checked=card.name == first)) for kind, card in cards]
        return tuple(
            Group(kind, title, _group_note(kind, self.allowance.tier), of_kind)
            for kind, title in KINDS.items()
            if (of_kind := tuple(card for k, card in cards if k == kind))
        )

    def checked_machine(self, groups: Sequence[Group]) -> InstanceType | None:
        """Return the machine whose card is checked, or None."""
        cards = (card for group in groups for card in group.cards if card.checked)
        return next((self.house.catalog.instance_type(card.name) for card in cards), None)

    def _card(self, machine: InstanceType, wanted: str, refused: Refused | None) -> Card:
        state, note, free_at = self.availability(machine)
        is_wanted = wanted == machine.name
        return Card(
            name=machine.name,
            title=machine.title,
            description=machine.description,
            price=machine.price,
            price_text=self.price_text(machine),
            gpu_text=gpu_text(machine),
            host_text=f"{machine.cpus:g} vCPU · {machine.memory:g} GB RAM",
            state=state,
            note=note,
            next_free=free_at,
            # A taken machine that was asked for stays, so that it can be asked for again.
            disabled=state == "locked" or (state == "none" and not is_wanted),
            checked=is_wanted and state != "locked",
            refused=is_wanted and refused is not None and refused.field == "instance_type",
        )


def gpu_text(machine: InstanceType) -> str:
    """Describe a machine's GPUs: "2 × A100 · 160 GB"."""
    if not machine.gpus:
        return "No GPU"
    many = f"{machine.gpus} × " if machine.gpus > 1 else ""
    memory = machine.gpu_memory * machine.gpus
    return f"{many}{machine.gpu_model}" + (f" · {memory:g} GB" if memory else "")


def _group_note(kind: str, tier: Tier) -> str:
    if kind == "free":
        most = tier.max_running_free
        at_once = "" if most is None else " One at a time." if most == 1 else f" {most} at a time."
        return f"No charge and no payment method.{at_once}"
    return {
        "cpu": "No GPU.",
        "gpu": "One whole GPU, yours alone while the notebook runs.",
        "multi-gpu": "Several GPUs on one host, yours alone while the notebook runs.",
    }[kind]
