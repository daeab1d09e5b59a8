"""gradienthub devices: every declared device, who holds it, and which are out of rent."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from ..ledger import Ledger, accounts, device_faults, fleet, leases, outside
from ..rules.duration import format_duration
from ..rules.lease import Lease
from ..rules.refusal import shown
from ..settings import Settings
from . import config
from .columns import aligned
from .commands import Commands
from .desk import Desk, on_desk
from .health import say_if_old


@dataclass(frozen=True)
class Holder:
    """What holds a device: a lease, a warm server that waits for one, or a server outside."""

    kind: str
    lease: str
    hub: str
    user: str | None = None
    notebook: str | None = None

    def __str__(self) -> str:
        if self.kind != "lease":
            whose = f" of {self.user}" if self.user else ""
            return f"{self.kind} server {self.lease}{whose}"
        return f"{self.user or 'a deleted user'} / {self.notebook or 'a notebook'}"


@dataclass(frozen=True)
class DeviceState:
    """A declared device as it stands: `state` is free, held or out of service."""

    host: str
    model: str
    uuid: str
    state: str
    holder: Holder | None
    since: datetime | None
    fault: str | None = None


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub devices` and its options."""
    parser = subparsers.add_parser(
        "devices",
        help="every declared device, and who holds it",
        description="Every device that the hub declared at its last start, and who holds it.",
    )
    on_desk(parser, _run)
    act = parser.add_mutually_exclusive_group()
    act.add_argument(
        "--put-back",
        metavar="UUID",
        help="rent this device out again, which was taken out because its starts failed",
    )
    act.add_argument(
        "--take-out",
        metavar="UUID",
        help="rent this device out no more; what runs on it goes on. Needs --why",
    )
    parser.add_argument("--why", default="", help="why it is taken out, for the findings")
    parser.add_argument("--json", action="store_true", help="for programs")


def _run(desk: Desk, args: argparse.Namespace) -> None:
    """Print them all; or take one out of rent or put it back."""
    if args.put_back or args.take_out:
        _change(desk, args)
        return
    states = device_states(desk.ledger, desk.hub_id)
    say_if_old(desk)
    if args.json:
        print(json.dumps([_row(state) for state in states], indent=2))
    elif states:
        print(_table(states, desk.now))
        for state in states:
            if state.fault:
                print(f"{state.uuid} is out of rent: {shown(state.fault, 200)}")
    else:
        print("No devices are declared; `gradienthub check` prints those of this machine.")
    if note := _not_published(states, desk.settings):
        print(note, file=sys.stderr)


def _change(desk: Desk, args: argparse.Namespace) -> None:
    if args.put_back:
        if not desk.ledger.write(device_faults.put_back, desk.by, args.put_back):
            raise config.UsageFault(
                f"{args.put_back!r} is not out of rent; `gradienthub devices` lists them. One that"
                " the configuration calls out of service is put back there"
            )
        print(f"{args.put_back} is for rent again.")
        return
    if not args.why.strip():
        raise config.UsageFault("Say --why: people who wait for this device ask")
    if not desk.ledger.write(device_faults.take_out, desk.by, args.take_out, args.why):
        raise config.UsageFault(
            f"{args.take_out!r} is no device of this hub; `gradienthub devices` lists them"
        )
    print(f"{args.take_out} is out of rent. Back again: gradienthub devices --put-back")


def device_states(ledger: Ledger, hub_id: str) -> list[DeviceState]:
    """Return the devices that this hub published, by host and UUID."""
    open_leases = {lease.id: lease for lease in ledger.read(leases.list_open_leases, hub_id)}
    names = {
        account.id: account.name for account in ledger.read(accounts.list_accounts, hub_id=hub_id)
    }
    return [
        _state(row, _holder(row, ledger, open_leases, names, hub_id))
        for row in ledger.read(fleet.list_devices, hub_id)
    ]


def _state(row: fleet.DeviceRow, holder: Holder | None) -> DeviceState:
    # A device may be taken out of service while somebody still has it: who has it counts more.
    word = "held" if holder else "out of service" if row["out_of_service"] else "free"
    fault = row["fault"] if row["taken_out_at"] else None
    return DeviceState(row["host"], row["model"], row["uuid"], word, holder, row["since"], fault)


def _holder(
    row: fleet.DeviceRow,
    ledger: Ledger,
    open_leases: Mapping[str, Lease],
    names: Mapping[str, str],
    hub_id: str,
) -> Holder | None:
    kind, holder_id = row["holder_kind"], row["holder_id"]
    if kind is None or holder_id is None:
        return None
    if lease := open_leases.get(holder_id):
        return Holder(kind, holder_id, hub_id, names.get(lease.account_id), lease.title)
    # Hubs on one database may share a machine: then another hub's lease has it.
    if kind == outside.OUTSIDE:
        rows = ledger.read(outside.list_outside, hub_id)
        server = next((r for r in rows if str(r["object_id"]).startswith(holder_id)), None)
        if server is None:
            return Holder(kind, holder_id, hub_id)
        return Holder(kind, server["name"], hub_id, server["user_name"] or None)
    other = ledger.read(leases.describe, holder_id) if kind == "lease" else None
    if other is not None and other.hub_id != hub_id:
        return Holder(kind, holder_id, other.hub_id, f"hub {other.hub_id}", "a notebook")
    return Holder(kind, holder_id, hub_id)


def _row(state: DeviceState) -> dict[str, object]:
    return {**asdict(state), "since": state.since and state.since.isoformat()}


def _table(states: Sequence[DeviceState], now: datetime) -> str:
    header = ("HOST", "MODEL", "DEVICE", "STATE", "HOLDER", "SINCE")
    rows = [
        (
            state.host,
            state.model,
            state.uuid,
            state.state,
            str(state.holder) if state.holder else "-",
            f"{state.since:%Y-%m-%d %H:%M} UTC ({format_duration(now - state.since)})"
            if state.since
            else "-",
        )
        for state in states
    ]
    return aligned([header, *rows])


def _not_published(states: Sequence[DeviceState], settings: Settings) -> str:
    """Return what the configuration says otherwise than the hub's last start did."""
    declared = {device.uuid for host in settings.house.hosts for device in host.devices}
    published = {state.uuid for state in states}
    if declared == published:
        return ""
    added, removed = len(declared - published), len(published - declared)
    return (
        f"The configuration has changed since the hub's last start ({added} devices added,"
        f" {removed} removed); restart the hub to have it so."
    )
