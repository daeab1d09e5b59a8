"""Leases: admitted in one transaction, followed through their life, ended once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Row, delete, func, or_, select, update

from ..rules import drift
from ..rules.admission import OpenLease, Plan, admit, entitle
from ..rules.idleness import Deadlines, Reason
from ..rules.options import StartOptions
from ..rules.placement import Host, Load
from ..rules.proof import Terms
from ..rules.refusal import Refused, shown
from ..rules.tiers import Allowance
from ..rules.unanswered import SILENT_WINDOW
from ..rules.warm import Choice, choose
from ..settings import Settings
from . import (
    accounts,
    audit,
    charges,
    credits,
    device_faults,
    extension,
    gaps,
    holds,
    notebooks,
    outside,
    servers,
    slots,
    usage,
)
from .database import lock_admissions
from .schema import device_holders, lease_devices, leases, watches
from .schema import notebooks as notebook_table

IMAGE_FAILURE_WINDOW = timedelta(hours=1)
#: Starts that "usual time" looks at: enough for a median, few enough to follow a change.
USUAL_OF = 30


@dataclass(frozen=True)
class Claim:
    """The warm server that a start claims: its container, where it will answer, what it is made of,
    and since when it waits.
    """

    slot_id: str
    object_id: str
    address: str
    digest: str
    waits_since: datetime


@dataclass(frozen=True)
class Lease:
    """A lease as other rooms see it. Money is micro-units an hour; memory is GB."""

    id: str
    account_id: str
    account_name: str
    notebook_id: str
    instance_type: str
    price: int
    currency: str
    runtime: str | None
    image: str | None
    interface: str
    host: str
    devices: tuple[str, ...]
    cpus: float
    memory: float
    deadlines: Deadlines
    claim: Claim | None = None
    #: Warm servers that make way for it and must be gone before it starts.
    evicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """Who asks for a start, of which notebook, on whose behalf, and the id its lease will have."""

    lease_id: str
    user: accounts.HubUser
    groups: frozenset[str]
    server_name: str
    display_name: str
    options: StartOptions
    actor: str


@dataclass(frozen=True)
class Corpse:
    """What a dead container told before it was removed."""

    exit_code: int | None = None
    out_of_memory: bool = False
    last_words: str = ""


def admit_start(
    tx: Connection, request: Request, settings: Settings, now: datetime
) -> Lease | Refused:
    """Check caps, capacity and entitlement and take the devices, all in this transaction.

    An older open lease of the same notebook must be ended first; the caller asks the engine.
    A refusal leaves only its audit row.
    """
    lock_admissions(tx)
    hub_id = settings.hub_id
    account = accounts.account_of(
        tx, hub_id=hub_id, user=request.user, now=now, hub_groups=request.groups
    )
    accounts.reopen(tx, account.id, hub_id=hub_id, user=request.user, now=now)
    allowance = accounts.allowance_of(
        tx,
        account,
        groups=request.groups,
        tiers=settings.house.tiers,
        rules=settings.tier_rules,
        now=now,
    )
    credits.welcome(
        tx, hub_id=hub_id, account_id=account.id, currency=settings.house.catalog.currency,
        amount=settings.new_account_credit, now=now,
    )  # fmt: skip
    extension.catch_up(
        tx, hub_id=hub_id, now=now, account_id=account.id,
        scopes=usage.scopes_of(account.id, allowance.groups),
    )  # fmt: skip
    outcome = _decide(tx, request, settings, account.id, allowance, now)
    if isinstance(outcome, Refused):
        audit.record(
            tx, hub_id=hub_id, actor=request.actor, account_id=account.id, action="refused",
            detail={"code": outcome.code, "message": outcome.message,
                    "server": request.server_name, "options": request.options.as_json()},
            now=now,
        )  # fmt: skip
        return outcome
    choice = _past_warm(tx, settings, allowance, outcome)
    outcome = replace(outcome, placement=choice.placement)
    return _take(tx, request, settings, account, allowance, outcome, now, choice)


def _past_warm(tx: Connection, settings: Settings, allowance: Allowance, plan: Plan) -> Choice:
    """The warm server for this start, and those that make way for it."""
    entitled = plan.entitled
    return choose(
        plan.placement,
        entitled.instance_type,
        runtime=entitled.runtime.name if entitled.runtime else None,
        image=entitled.image,
        slots=slots.of_hub(tx, settings.hub_id),
        hosts=settings.house.hosts,
        load=_open(tx, settings).load,
        groups=allowance.host_groups,
    )


def _decide(
    tx: Connection,
    request: Request,
    settings: Settings,
    account_id: str,
    allowance: Allowance,
    now: datetime,
) -> Plan | Refused:
    entitled = entitle(request.options, allowance, settings.house, now)
    if isinstance(entitled, Refused):
        return entitled
    taken = _open(tx, settings)
    own = [lease for lease in taken.leases if lease.account_id == account_id]
    notebook = notebooks.find(tx, account_id=account_id, server_name=request.server_name)
    older = next((r for r in taken.rows if notebook and r.notebook_id == notebook.id), None)
    if notebook and older and older.stop_requested_at is None:
        return Refused(
            "still_stopping",
            f"{shown(notebook.title)} runs already.",
            "It is the server of another user name of yours, or from before the hub lost its"
            " database: reload the list of your notebooks in a minute, or stop it there.",
            retry_after=timedelta(seconds=60),
        )
    if notebook and older:
        return Refused(
            "still_stopping",
            f"{shown(notebook.title)} is still stopping.",
            "Its machine is free once the engine says so: try again in a moment.",
            retry_after=timedelta(seconds=10),
        )
    return admit(
        entitled,
        allowance,
        settings.house,
        own=own,
        everybody=taken.leases,
        load=taken.load,
        image_failures=_image_failures(tx, account_id, entitled.image, now)
        if entitled.custom_image
        else 0,
        silent_starts=_silent_starts(tx, account_id, now) if entitled.instance_type.price else (),
        now=now,
        funds=holds.funds_of(
            tx,
            hub_id=settings.hub_id,
            account_id=account_id,
            groups=allowance.groups,
            tier=allowance.tier,
            currency=settings.house.catalog.currency,
            now=now,
        )
        if entitled.instance_type.price
        else None,
    )


def _take(
    tx: Connection,
    request: Request,
    settings: Settings,
    account: accounts.Account,
    allowance: Allowance,
    plan: Plan,
    now: datetime,
    choice: Choice,
) -> Lease:
    notebook = notebooks.notebook_of(
        tx,
        hub_id=settings.hub_id,
        account_id=account.id,
        server_name=request.server_name,
        display_name=request.display_name,
        now=now,
    )
    tx.execute(
        update(notebook_table)
        .where(notebook_table.c.id == notebook.id)
        .values(options=request.options.as_json())
    )
    _write(tx, request, settings, account, notebook.id, allowance, plan, now, choice)
    row = slots.claim(tx, choice.claims, request.lease_id) if choice.claims else None
    slots.evict(tx, choice.evicts, request.lease_id)
    _take_devices(tx, request.lease_id, settings.hub_id, plan.placement.devices, now)
    # Also where the price is so small that it holds nothing yet.
    if plan.price:
        holds.take(
            tx, hub_id=settings.hub_id, lease_id=request.lease_id, account_id=account.id,
            currency=plan.currency, amount=plan.hold, tier=allowance.tier,
            charge_overrun=settings.charge_overrun,
        )  # fmt: skip
    audit.record(
        tx, hub_id=settings.hub_id, actor=request.actor, account_id=account.id, action="start",
        detail={"lease": request.lease_id, "server": request.server_name,
                **_terms(settings, allowance, plan).as_json(),
                "options": request.options.as_json(), "host": plan.placement.host,
                "devices": plan.placement.devices, "tier_given_by": allowance.given_by},
        now=now,
    )  # fmt: skip
    return replace(
        _lease(
            tx.execute(select(leases).where(leases.c.id == request.lease_id)).one(),
            plan.placement.devices,
            account.name,
        ),
        claim=_claim(row) if row else None,
        evicts=choice.evicts,
    )


def _terms(settings: Settings, allowance: Allowance, plan: Plan) -> Terms:
    """What the lease will cost, as the audit keeps it."""
    return Terms(
        price=plan.price,
        currency=plan.currency,
        instance_type=plan.entitled.instance_type.name,
        tier=allowance.tier.name,
        custom_image=plan.entitled.custom_image,
        groups=tuple(sorted(allowance.groups)),
        credit_limit=holds.credit_limit_of(allowance.tier) if plan.price else None,
        charge_overrun=bool(plan.price) and settings.charge_overrun,
    )


def _write(
    tx: Connection,
    request: Request,
    settings: Settings,
    account: accounts.Account,
    notebook_id: str,
    allowance: Allowance,
    plan: Plan,
    now: datetime,
    choice: Choice,
) -> None:
    """The lease's row, with the terms of its start."""
    entitled = plan.entitled
    instance_type = entitled.instance_type
    host = next(h for h in settings.house.hosts if h.name == plan.placement.host)
    seconds = entitled.shutdown_after and round(entitled.shutdown_after.total_seconds())
    tx.execute(
        leases.insert().values(
            id=request.lease_id, hub_id=settings.hub_id, account_id=account.id,
            notebook_id=notebook_id,
            instance_type=instance_type.name, price=plan.price, currency=plan.currency,
            tier=allowance.tier.name, tier_given_by=allowance.given_by[:255],
            groups=sorted(allowance.groups),
            runtime=entitled.runtime and entitled.runtime.name, image=entitled.image,
            custom_image=entitled.custom_image, interface=entitled.interface,
            host=host.name, host_key=host_key(settings.hub_id, host),
            cpus=instance_type.cpus, memory=instance_type.memory,
            shutdown_after=seconds, stop_at=entitled.stop_at,
            session_ends_at=plan.session_ends_at, phase="admitted", phase_at=now, admitted_at=now,
            warm_slot=choice.claims,
        )
    )  # fmt: skip


def _take_devices(
    tx: Connection, lease_id: str, hub_id: str, devices: tuple[str, ...], now: datetime
) -> None:
    """Who holds each now, which the database gives to one only, and what the lease had for ever."""
    for device in devices:
        tx.execute(
            device_holders.insert().values(
                device_uuid=device, hub_id=hub_id, holder_kind="lease", holder_id=lease_id,
                since=now,
            )
        )  # fmt: skip
        tx.execute(
            lease_devices.insert().values(lease_id=lease_id, device_uuid=device, hub_id=hub_id)
        )


def _claim(row: Mapping[str, Any]) -> Claim:
    return Claim(row["id"], row["object_id"], row["address"], row["digest"], row["ready_at"])


def host_key(hub_id: str, host: Host) -> str:
    """Where a host's CPUs and memory are counted: by this hub alone, or by all that share it."""
    return f"shared/{host.shared_as}" if host.shared_as else f"{hub_id}/{host.name}"


@dataclass(frozen=True)
class Taken:
    """What open leases hold of these hosts. Warm servers make way, so that they hold nothing."""

    rows: tuple[Any, ...]
    leases: tuple[OpenLease, ...]
    load: Load


def taken(tx: Connection, settings: Settings) -> Taken:
    """What is held now of this hub's hosts, by whichever hub shares them."""
    return _open(tx, settings)


def _open(tx: Connection, settings: Settings) -> Taken:
    names = {host_key(settings.hub_id, host): host.name for host in settings.house.hosts}
    rows = tx.execute(
        select(
            leases.c.id,
            leases.c.hub_id,
            leases.c.account_id,
            leases.c.notebook_id,
            leases.c.instance_type,
            leases.c.price,
            leases.c.host_key,
            leases.c.cpus,
            leases.c.memory,
            leases.c.stop_at,
            leases.c.session_ends_at,
            leases.c.stop_requested_at,
            notebook_table.c.display_name,
            notebook_table.c.server_name,
        )
        .join(notebook_table, notebook_table.c.id == leases.c.notebook_id)
        # An open lease of this hub counts for its owner's cap even where its host is gone from
        # the configuration.
        .where(
            leases.c.ended_at.is_(None),
            or_(leases.c.host_key.in_(list(names)), leases.c.hub_id == settings.hub_id),
        )
        # The oldest first, so that a refusal names them in the same order to everybody.
        .order_by(leases.c.admitted_at, leases.c.id)
    ).all()
    cpus: dict[str, float] = {}
    memory: dict[str, float] = {}
    for row in rows:
        if host := names.get(row.host_key):
            cpus[host] = cpus.get(host, 0) + row.cpus
            memory[host] = memory.get(host, 0) + row.memory
    for key, its_cpus, its_memory in outside.load(tx, names):
        cpus[names[key]] = cpus.get(names[key], 0) + its_cpus
        memory[names[key]] = memory.get(names[key], 0) + its_memory
    held, warm = slots.held_devices(tx, settings.hub_id)
    return Taken(
        rows=tuple(rows),
        leases=tuple(_open_lease(row) for row in rows),
        load=Load(
            cpus=cpus,
            memory=memory,
            held_devices=held,
            warm_devices=warm,
            faulty_devices=device_faults.out_of_rent(tx),
        ),
    )


def _open_lease(row: Any) -> OpenLease:
    return OpenLease(
        id=row.id,
        account_id=row.account_id,
        notebook=row.display_name or row.server_name or "default",
        instance_type=row.instance_type,
        price=row.price,
        hard_end=min((end for end in (row.stop_at, row.session_ends_at) if end), default=None),
        stopping=row.stop_requested_at is not None,
    )


def _image_failures(tx: Connection, account_id: str, image: str | None, now: datetime) -> int:
    return tx.execute(
        select(func.count())
        .select_from(leases)
        .where(
            leases.c.account_id == account_id,
            leases.c.image == image,
            leases.c.admitted_at > now - IMAGE_FAILURE_WINDOW,
            leases.c.reason == Reason.START_FAILED,
            leases.c.started_at.is_not(None),
            leases.c.answered_at.is_(None),
        )
    ).scalar_one()


def _silent_starts(
    tx: Connection, account_id: str, now: datetime
) -> list[tuple[datetime, datetime]]:
    """Return when starts of an account had a paid machine of a runtime's image for nothing.

    Custom images are charged from their start. What hub, engine or administrator ended is not its
    owner's doing.
    """
    rows = tx.execute(
        select(leases.c.started_at, leases.c.stop_requested_at, leases.c.ended_at)
        .where(
            leases.c.account_id == account_id,
            leases.c.admitted_at > now - SILENT_WINDOW,
            leases.c.price > 0,
            leases.c.custom_image.is_(False),
            leases.c.started_at.is_not(None),
            leases.c.answered_at.is_(None),
            leases.c.reason.not_in((Reason.ADMIN, Reason.HUB, Reason.LOST)),
        )
    )  # fmt: skip
    return [
        (row.started_at, row.stop_requested_at or row.ended_at or now) for row in rows
    ]  # fmt: skip


def _lease(row: Row[Any], devices: Iterable[str], account_name: str) -> Lease:
    return Lease(
        id=row.id,
        account_id=row.account_id,
        account_name=account_name,
        notebook_id=row.notebook_id,
        instance_type=row.instance_type,
        price=row.price,
        currency=row.currency,
        runtime=row.runtime,
        image=row.image,
        interface=row.interface,
        host=row.host,
        devices=tuple(devices),
        cpus=row.cpus,
        memory=row.memory,
        deadlines=Deadlines(
            shutdown_after=None
            if row.shutdown_after is None
            else timedelta(seconds=row.shutdown_after),
            stop_at=row.stop_at,
            session_ends_at=row.session_ends_at,
        ),
    )


def note_phase(
    tx: Connection,
    lease_id: str,
    phase: str,
    now: datetime,
    object_name: str | None = None,
    object_id: str | None = None,
) -> bool:
    """Write down how far a start has come, before the step. False if the lease is ended."""
    values: dict[str, Any] = {"phase": phase, "phase_at": now}
    if object_name is not None:
        values["object_name"] = object_name
    if object_id is not None:
        values["object_id"] = object_id
    if phase == "turn":
        values["turn_at"] = now
    if phase == "answering":
        values["started_at"] = now
    return _on_open(tx, lease_id, values)


def note_answered(tx: Connection, lease_id: str, now: datetime) -> bool:
    """The server answered our own probe: the meter runs from here. The first answer counts."""
    device_faults.forgive(tx, lease_id)
    first = _on_open(
        tx, lease_id, {"answered_at": now, "phase": "answered", "phase_at": now},
        leases.c.answered_at.is_(None),
    )  # fmt: skip
    if first:
        holds.begin(tx, lease_id, now)
    return first


def note_confirmed(tx: Connection, lease_id: str, now: datetime) -> bool:
    """The hub calls it ready."""
    return _on_open(
        tx, lease_id, {"confirmed_at": now, "phase": "running", "phase_at": now},
        leases.c.confirmed_at.is_(None), leases.c.stop_requested_at.is_(None),
    )  # fmt: skip


def note_stop(
    tx: Connection,
    lease_id: str,
    reason: Reason,
    actor: str,
    now: datetime,
    hub_id: str,
    note: str = "",
) -> bool:
    """A stop is asked for: billing ends here, and is charged. Only the first request counts.

    `note` is what its owner is told by whoever stops it.
    """
    lock_admissions(tx)
    first = _on_open(
        tx,
        lease_id,
        {
            "stop_requested_at": now,
            "reason": reason.value,
            "stopped_by": actor[:255],
            "stop_note": note[:400] or None,
            "phase": "stopping",
            "phase_at": now,
        },
        leases.c.stop_requested_at.is_(None),
    )
    if first:
        account_id = tx.execute(
            select(leases.c.account_id).where(leases.c.id == lease_id)
        ).scalar_one()
        audit.record(
            tx, hub_id=hub_id, actor=actor, account_id=account_id, action="stop",
            detail={"lease": lease_id, "reason": reason.value} | ({"note": note} if note else {}),
            now=now,
        )  # fmt: skip
        charges.settle(tx, lease_id, now)
    return first


def end(
    tx: Connection,
    lease_id: str,
    now: datetime,
    reason: Reason | None,
    corpse: Corpse | None = None,
) -> bool:
    """The engine says gone: free the devices, end the lease, charge what is not yet charged.

    Safe to call twice.

    `reason` counts only where no stop was asked for before. False if it was ended already.
    """
    corpse = corpse or Corpse()
    if reason is Reason.CRASHED:
        reason = drift.how_it_died(corpse.exit_code, out_of_memory=corpse.out_of_memory)
    lock_admissions(tx)
    ended = _on_open(
        tx,
        lease_id,
        {
            "ended_at": now,
            "phase": "ended",
            "phase_at": now,
            "reason": func.coalesce(leases.c.reason, reason.value if reason else Reason.LOST.value),
            "exit_code": corpse.exit_code,
            "out_of_memory": corpse.out_of_memory,
            # A zero byte is no text to PostgreSQL, and a lease must end whatever its log said.
            "last_words": corpse.last_words.replace("\0", "\N{REPLACEMENT CHARACTER}")[-4000:],
            "used_at": _last_use(watches.c.used_at, lease_id),
            "used_by": _last_use(watches.c.used_by, lease_id),
        },
    )
    tx.execute(delete(watches).where(watches.c.lease_id == lease_id))
    tx.execute(delete(device_holders).where(device_holders.c.holder_id == lease_id))
    charges.settle(tx, lease_id, now)
    slots.take_back(tx, lease_id, now)
    return ended


def _last_use(column: Column[Any], lease_id: str) -> Any:
    return select(column).where(watches.c.lease_id == lease_id).scalar_subquery()


def _on_open(tx: Connection, lease_id: str, values: dict[str, Any], *conditions: Any) -> bool:
    return bool(
        tx.execute(
            update(leases)
            .where(leases.c.id == lease_id, leases.c.ended_at.is_(None), *conditions)
            .values(**values)
        ).rowcount
    )


def open_of_hub(tx: Connection, hub_id: str) -> list[drift.Open]:
    """This hub's leases that are not ended, for the comparison with the engine."""
    rows = tx.execute(
        select(leases.c.id, leases.c.answered_at, leases.c.stop_requested_at).where(
            leases.c.hub_id == hub_id, leases.c.ended_at.is_(None)
        )
    )
    going_on = servers.not_lost(tx, hub_id)
    return [
        drift.Open(
            row.id,
            row.answered_at is not None,
            row.stop_requested_at is not None,
            row.id in going_on,
        )
        for row in rows
    ]


def ended_among(tx: Connection, lease_ids: Iterable[str]) -> frozenset[str]:
    """Those of these leases that are ended; one that is not in the ledger is not."""
    ended = select(leases.c.id).where(
        leases.c.id.in_(list(lease_ids)), leases.c.ended_at.is_not(None)
    )
    return frozenset(tx.execute(ended).scalars())


def open_of_notebook(tx: Connection, *, account_id: str, server_name: str) -> str | None:
    """The open lease of the account's notebook, or None."""
    return tx.execute(
        select(leases.c.id)
        .join(notebook_table, notebook_table.c.id == leases.c.notebook_id)
        .where(
            leases.c.ended_at.is_(None),
            notebook_table.c.account_id == account_id,
            notebook_table.c.server_name == server_name,
            notebook_table.c.deleted_at.is_(None),
        )
    ).scalar()


def describe(tx: Connection, lease_id: str) -> dict[str, Any] | None:
    """All columns of one lease with its devices and its gaps, or None."""
    row = tx.execute(select(leases).where(leases.c.id == lease_id)).first()
    if row is None:
        return None
    devices = tx.execute(
        select(lease_devices.c.device_uuid).where(lease_devices.c.lease_id == lease_id)
    ).scalars()
    lost = gaps.of(tx, [lease_id]).get(lease_id, ())
    return {**row._mapping, "devices": sorted(devices), "gaps": lost}


def last_of(tx: Connection, *, account_id: str, server_name: str) -> dict[str, Any] | None:
    """The newest lease of a notebook, open or ended, as `describe` gives it."""
    lease_id = tx.execute(
        select(leases.c.id)
        .join(notebook_table, notebook_table.c.id == leases.c.notebook_id)
        .where(
            notebook_table.c.account_id == account_id,
            notebook_table.c.server_name == server_name,
            notebook_table.c.deleted_at.is_(None),
        )
        .order_by(leases.c.admitted_at.desc())
        .limit(1)
    ).scalar()
    return describe(tx, lease_id) if lease_id else None


def open_details(tx: Connection, hub_id: str) -> list[dict[str, Any]]:
    """Every open lease of this hub with devices, account and notebook names, oldest first."""
    ids = tx.execute(
        select(leases.c.id, notebook_table.c.server_name, notebook_table.c.display_name)
        .join(notebook_table, notebook_table.c.id == leases.c.notebook_id)
        .where(leases.c.hub_id == hub_id, leases.c.ended_at.is_(None))
        .order_by(leases.c.admitted_at)
    ).all()
    found = []
    for row in ids:
        if lease := describe(tx, row.id):
            found.append(
                {**lease, "server_name": row.server_name, "display_name": row.display_name}
            )
    return found


@dataclass(frozen=True)
class Usual:
    """How long starts like this took lately, from admission to the first answer."""

    median: timedelta
    nine_of_ten: timedelta
    count: int


def usual_start(
    tx: Connection, *, hub_id: str, runtime: str | None, image: str | None, warm: bool = False
) -> Usual | None:
    """The usual start time of a runtime or custom image at this hub, or None without history.

    `warm`: of those starts that claimed a warm server, else of those that did not.
    """
    rows = tx.execute(
        select(leases.c.turn_at, leases.c.admitted_at, leases.c.answered_at)
        .where(
            leases.c.hub_id == hub_id,
            leases.c.runtime == runtime if runtime else leases.c.image == image,
            leases.c.answered_at.is_not(None),
            leases.c.warm_slot.is_not(None) if warm else leases.c.warm_slot.is_(None),
        )
        .order_by(leases.c.answered_at.desc())
        .limit(USUAL_OF)
    ).all()
    if not rows:
        return None
    spans = sorted(row.answered_at - (row.turn_at or row.admitted_at) for row in rows)
    return Usual(
        spans[len(spans) // 2], spans[min(len(spans) - 1, len(spans) * 9 // 10)], len(spans)
    )


def place_in_stage(tx: Connection, lease_id: str) -> int:
    """How many starts on the same host are before this one and have no turn yet; 0 is next."""
    mine = tx.execute(select(leases).where(leases.c.id == lease_id)).first()
    if mine is None or mine.turn_at is not None:
        return 0
    return tx.execute(
        select(func.count())
        .select_from(leases)
        .where(
            leases.c.host_key == mine.host_key,
            leases.c.ended_at.is_(None),
            leases.c.turn_at.is_(None),
            leases.c.stop_requested_at.is_(None),
            leases.c.admitted_at < mine.admitted_at,
        )
    ).scalar_one()
