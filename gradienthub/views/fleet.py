"""Fleet: every host with its devices, who has each, and what is wrong."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..ledger import warm_slots
from ..ledger.findings import FindingRow
from ..ledger.fleet import DeviceRow
from ..ledger.keepers import KeeperRow
from ..ledger.watches import Watched
from ..rules.duration import format_duration
from ..rules.health import Health, KeeperFacts, health
from ..rules.phase import LeaseState
from ..rules.placement import Host
from ..settings import Published
from .lease_view import LeaseView, watched_view

#: How far back Fleet tells of mended findings.
LATELY = timedelta(days=1)


@dataclass(frozen=True)
class DeviceTile:
    """One device on the Fleet page."""

    uuid: str
    model: str
    tone: str
    icon: str
    word: str
    lease: LeaseView | None
    since: datetime | None
    load: float | None


@dataclass(frozen=True)
class HostPart:
    """One host on the Fleet page: its devices, and what is taken of its CPUs and memory."""

    name: str
    tiles: tuple[DeviceTile, ...]
    without_device: tuple[LeaseView, ...]
    cpus: str
    memory: str


@dataclass(frozen=True)
class FleetView:
    """All that the Fleet page prints."""

    hosts: tuple[HostPart, ...]
    findings: tuple[FindingRow, ...]
    mended: tuple[FindingRow, ...]
    pool: warm_slots.Overview
    devices: int
    leased: int
    warm: int
    out_of_service: int
    running: int
    starting: int
    passed_at: datetime | None
    pass_ms: int | None
    health: Health
    now: datetime

    @property
    def free(self) -> int:
        """Devices that nobody has."""
        return self.devices - self.leased - self.warm - self.out_of_service


@dataclass(frozen=True)
class FleetRows:
    """What the ledger has for the page: devices, open leases, findings, the keeper, warm slots."""

    devices: Sequence[DeviceRow]
    leases: Sequence[Watched]
    findings: Sequence[FindingRow]
    keeper: KeeperRow
    pool: warm_slots.Overview


def fleet_view(
    published: Published, rows: FleetRows, facts: KeeperFacts, now: datetime
) -> FleetView:
    """Return the page of these devices, leases and findings, now."""
    grace = published.policy.grace
    views = {
        run.id: watched_view(run, published.catalog, published.tiers, grace, now)
        for run in rows.leases
    }
    tiles = [(row["host"], _tile(row, views)) for row in rows.devices]
    seconds = rows.keeper.get("pass_seconds")
    kinds = [row["holder_kind"] for row in rows.devices]
    standing = tuple(row for row in rows.findings if row["mended_at"] is None)
    lately = now - LATELY
    return FleetView(
        hosts=tuple(_host(host, tiles, views.values()) for host in published.hosts),
        findings=standing,
        mended=tuple(r for r in rows.findings if r["mended_at"] and r["mended_at"] > lately)[:20],
        pool=rows.pool,
        devices=len(rows.devices),
        leased=kinds.count("lease") + kinds.count("outside"),
        warm=kinds.count("warm"),
        out_of_service=sum(
            row["out_of_service"] and not row["holder_kind"] for row in rows.devices
        ),
        running=sum(view.state == LeaseState.RUNNING for view in views.values()),
        starting=sum(view.state == LeaseState.STARTING for view in views.values()),
        passed_at=rows.keeper.get("passed_at"),
        pass_ms=None if seconds is None else round(seconds * 1000),
        health=health(facts, len(standing), now),
        now=now,
    )


def _host(
    host: Host, tiles: Iterable[tuple[str, DeviceTile]], views: Iterable[LeaseView]
) -> HostPart:
    on_host = [view for view in views if view.host == host.name]
    used = tuple(tile for name, tile in tiles if name == host.name)
    on_devices = {tile.lease.lease for tile in used if tile.lease}
    cpus = sum(view.cpus for view in on_host)
    memory = sum(view.memory for view in on_host)
    return HostPart(
        name=host.name,
        tiles=used,
        without_device=tuple(view for view in on_host if view.lease not in on_devices),
        cpus=f"{cpus:g} of {host.cpus * host.cpu_overcommit:g} vCPU",
        memory=f"{memory:g} of {host.memory * host.memory_overcommit:g} GB RAM",
    )


def _tile(row: DeviceRow, views: Mapping[str, LeaseView]) -> DeviceTile:
    lease = views.get(row["holder_id"] or "")
    tone, icon, word = _state(row, lease)
    return DeviceTile(
        uuid=row["uuid"],
        model=row["model"],
        tone=tone,
        icon=icon,
        word=word,
        lease=lease,
        since=row["since"],
        load=lease.gpu_load if lease else None,
    )


def _state(row: DeviceRow, lease: LeaseView | None) -> tuple[str, str, str]:
    if row["holder_kind"] == "warm":
        return "start", "start", "Warm"
    if row["holder_kind"] == "outside":
        return "warn", "warn", "Held by a server outside"
    if lease is None:
        if row["out_of_service"]:
            return "fail", "fail", "Out of service"
        return ("fail", "fail", "Held by nothing") if row["holder_id"] else ("off", "todo", "Free")
    if lease.state != LeaseState.RUNNING:
        return "start", "start", lease.state.capitalize()
    if lease.warning:
        return "warn", "warn", f"Stops: {lease.warning.why}"
    if lease.busy:
        return "run", "run", "Busy"
    idle = lease.used_at and lease.now - lease.used_at
    return "off", "stop", f"Idle {format_duration(idle)}" if idle else "Running"
