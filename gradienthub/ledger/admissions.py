"""Admissions: a start is checked, and takes what it needs, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, update

from ..rules.action import Action
from ..rules.admission import Plan, admit, entitle
from ..rules.idleness import Reason
from ..rules.lease import Claim, Lease
from ..rules.options import StartOptions
from ..rules.phase import Phase
from ..rules.refusal import Refused, shown
from ..rules.tiers import Allowance
from ..rules.unanswered import SILENT_WINDOW
from ..rules.verify import Terms
from ..rules.warm import WarmChoice, choose
from ..settings import Settings
from . import (
    accounts,
    audit,
    capacity,
    credits,
    extension,
    holds,
    notebooks,
    usage,
    warm_slots,
)
from .database import lock_admissions
from .lease_rows import lease_from, lease_query
from .schema import device_holders, lease_devices, leases
from .schema import notebooks as notebook_table

IMAGE_FAILURE_WINDOW = timedelta(hours=1)


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
        tx,
        hub_id=hub_id,
        account_id=account.id,
        currency=settings.house.catalog.currency,
        amount=settings.new_account_credit,
        now=now,
    )
    extension.catch_up(
        tx,
        hub_id=hub_id,
        now=now,
        account_id=account.id,
        scopes=usage.scopes_of(account.id, allowance.groups),
    )
    outcome = _decide(tx, request, settings, account.id, allowance, now)
    if isinstance(outcome, Refused):
        audit.record(
            tx,
            hub_id=hub_id,
            actor=request.actor,
            account_id=account.id,
            action=Action.REFUSED,
            detail={
                "code": outcome.code,
                "message": outcome.message,
                "server": request.server_name,
                "options": request.options.as_json(),
            },
            now=now,
        )
        return outcome
    choice = _choose_warm_slot(tx, settings, allowance, outcome)
    outcome = replace(outcome, placement=choice.placement)
    return _take(tx, request, settings, account, allowance, outcome, now, choice)


def _choose_warm_slot(
    tx: Connection, settings: Settings, allowance: Allowance, plan: Plan
) -> WarmChoice:
    """Choose the warm server for this start, and those that make way for it."""
    entitled = plan.entitled
    return choose(
        plan.placement,
        entitled.instance_type,
        runtime=entitled.runtime.name if entitled.runtime else None,
        image=entitled.image,
        slots=warm_slots.of_hub(tx, settings.hub_id),
        hosts=settings.house.hosts,
        load=capacity.taken(tx, settings).load,
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
    taken = capacity.taken(tx, settings)
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
    choice: WarmChoice,
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
    row = warm_slots.claim(tx, choice.claims, request.lease_id) if choice.claims else None
    warm_slots.evict(tx, choice.evicts, request.lease_id)
    _take_devices(tx, request.lease_id, settings.hub_id, plan.placement.devices, now)
    # Also where the price is so small that it holds nothing yet.
    if plan.price:
        holds.take(
            tx,
            hub_id=settings.hub_id,
            lease_id=request.lease_id,
            account_id=account.id,
            currency=plan.currency,
            amount=plan.hold,
            tier=allowance.tier,
            charge_overrun=settings.charge_overrun,
        )
    detail = {
        "lease": request.lease_id,
        "server": request.server_name,
        **_terms(settings, allowance, plan).as_json(),
        "options": request.options.as_json(),
        "host": plan.placement.host,
        "devices": plan.placement.devices,
        "tier_given_by": allowance.given_by,
    }
    _record_start(tx, request, settings.hub_id, account.id, detail, now)
    lease = tx.execute(lease_query().where(leases.c.id == request.lease_id)).one()
    return replace(
        lease_from(lease, devices=plan.placement.devices),
        claim=_claim(row) if row else None,
        evicts=choice.evicts,
    )


def _record_start(
    tx: Connection,
    request: Request,
    hub_id: str,
    account_id: str,
    detail: dict[str, Any],
    now: datetime,
) -> None:
    audit.record(
        tx,
        hub_id=hub_id,
        actor=request.actor,
        account_id=account_id,
        action=Action.START,
        detail=detail,
        now=now,
    )


def _terms(settings: Settings, allowance: Allowance, plan: Plan) -> Terms:
    """Build what the lease will cost, as the audit keeps it."""
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
    choice: WarmChoice,
) -> None:
    """Write the lease's row, with the terms of its start."""
    entitled = plan.entitled
    instance_type = entitled.instance_type
    host = next(h for h in settings.house.hosts if h.name == plan.placement.host)
    tx.execute(
        leases.insert().values(
            id=request.lease_id,
            hub_id=settings.hub_id,
            account_id=account.id,
            notebook_id=notebook_id,
            instance_type=instance_type.name,
            price=plan.price,
            currency=plan.currency,
            tier=allowance.tier.name,
            tier_given_by=allowance.given_by[:255],
            groups=sorted(allowance.groups),
            runtime=entitled.runtime and entitled.runtime.name,
            image=entitled.image,
            custom_image=entitled.custom_image,
            interface=entitled.interface,
            host=host.name,
            host_key=capacity.host_key(settings.hub_id, host),
            cpus=instance_type.cpus,
            memory=instance_type.memory,
            shutdown_after=entitled.shutdown_after,
            stop_at=entitled.stop_at,
            session_ends_at=plan.session_ends_at,
            phase=Phase.ADMITTED,
            phase_at=now,
            admitted_at=now,
            warm_slot=choice.claims,
        )
    )


def _take_devices(
    tx: Connection, lease_id: str, hub_id: str, devices: tuple[str, ...], now: datetime
) -> None:
    """Write who holds each device now, which the database allows one only, and which devices the
    lease had."""
    for device in devices:
        tx.execute(
            device_holders.insert().values(
                device_uuid=device,
                hub_id=hub_id,
                holder_kind="lease",
                holder_id=lease_id,
                since=now,
            )
        )
        tx.execute(
            lease_devices.insert().values(lease_id=lease_id, device_uuid=device, hub_id=hub_id)
        )


def _claim(row: Mapping[str, Any]) -> Claim:
    return Claim(row["id"], row["object_id"], row["address"], row["digest"], row["ready_at"])


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
        select(leases.c.started_at, leases.c.stop_requested_at, leases.c.ended_at).where(
            leases.c.account_id == account_id,
            leases.c.admitted_at > now - SILENT_WINDOW,
            leases.c.price > 0,
            leases.c.custom_image.is_(False),
            leases.c.started_at.is_not(None),
            leases.c.answered_at.is_(None),
            leases.c.reason.not_in((Reason.ADMIN, Reason.HUB, Reason.LOST)),
        )
    )
    # What has a reason has one of both ends.
    return [(row.started_at, row.stop_requested_at or row.ended_at) for row in rows]
