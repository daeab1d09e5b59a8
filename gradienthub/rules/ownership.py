"""Tell a container of ours from a stranger with our labels: ledger, name and labels must agree.

Labels alone say little: an image may have them, and a container that was committed to an image
hands them on to every container of it. A name is one container's at a time, and an id for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Labelled:
    """An object of the engine with our hub's label: which lease or warm server it says it is."""

    object_id: str
    name: str
    lease_id: str
    slot: str


@dataclass(frozen=True)
class Recorded:
    """What the ledger wrote down of a lease's object. `object_id` "": not known yet."""

    object_id: str = ""
    slot: str = ""


def lease_name(lease_id: str) -> str:
    """Return the name of a lease's object."""
    return f"gradient-{lease_id}"


def slot_name(slot: str) -> str:
    """Return the name of a warm server that nobody has claimed."""
    return f"gradient-warm-{slot}"


def name_fault(seen: Labelled, claimed: Mapping[str, str]) -> str:
    """Say why an object is not what its labels say, by its name alone; or nothing.

    `claimed` are the warm servers that leases have: slot -> lease. Such a one keeps the labels of
    its birth and has the lease's name, or has it in a moment.
    """
    if bool(seen.lease_id) == bool(seen.slot):
        return "its labels name no lease, or a lease and a warm server"
    if seen.lease_id:
        names = [lease_name(seen.lease_id)]
    elif seen.slot in claimed:
        names = [slot_name(seen.slot), lease_name(claimed[seen.slot])]
    elif seen.name.startswith(lease_name("")) and not seen.name.startswith(slot_name("")):
        # Claimed, as far as can be told here; the ledger knows by which lease.
        names = [seen.name]
    else:
        names = [slot_name(seen.slot)]
    return "" if seen.name in names else f"it is not named {names[-1]}, as ours is"


def record_fault(seen: Labelled, leases: Mapping[str, Recorded], slots: Mapping[str, str]) -> str:
    """Say why an object is not this hub's by its ledger; or nothing.

    `leases` and `slots` (slot -> object id, "" where not known yet) are what the ledger knows, also
    of those that have ended. An id that the ledger knows says it all: somebody may have renamed
    what is ours. Before it is known, the name says it, which is one object's at a time.
    """
    if bool(seen.lease_id) == bool(seen.slot):
        return name_fault(seen, {})
    claimed = {record.slot: lease_id for lease_id, record in leases.items() if record.slot}
    what = "lease" if seen.lease_id else "warm server"
    if record := leases.get(seen.lease_id or claimed.get(seen.slot, "")):
        recorded: str | None = record.object_id
    else:
        recorded = slots.get(seen.slot)
    if recorded is None:
        return f"the ledger knows no such {what}"
    if recorded:
        same = recorded == seen.object_id
        return "" if same else f"the ledger knows another object of this {what}"
    return name_fault(seen, claimed)
