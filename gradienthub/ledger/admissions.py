"""Admissions: a start is checked, and takes what it needs, in one transaction."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from ..rules.action import Action
from ..rules.admission import Entitled, Plan, Situation, admit, entitle
from ..rules.idleness import Reason
from ..rules.lease import Lease
from ..rules.options import StartOptions
from ..rules.phase import Phase
from ..rules.refusal import Refused
from ..rules.tiers import Allowance
from ..rules.unanswered import SILENT_WINDOW
from ..rules.verify import Terms
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
from .accounts import Account
from .by import By
from .database import Transaction
from .lease_rows import row_of
from .notebooks import Notebook
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
    tx: Transaction, request: Request, settings: Settings, now: datetime
) -> Lease | Refused:
    """Check caps, capacity and entitlement and take the devices, all in this transaction.

    An older open lease of the same notebook must be ended first; the caller asks the engine.
    A refusal leaves only its audit row.
    """
    by = By(settings.hub_id, request.actor, now)
    account = credits.open_account(tx, request.user, request.groups, settings, now)
    accounts.reopen(tx, account, hub_id=by.hub_id, user=request.user, now=now)
    allowance = accounts.allowance_of(
        tx,
        account,
        groups=request.groups,
        tiers=settings.house.tiers,
        rules=settings.tier_rules,
        now=now,
    )
    extension.catch_up(
        tx,
        hub_id=by.hub_id,
        now=now,
        account_id=account.id,
        scopes=usage.scopes_of(account.id, allowance.groups),
    )
    plan: Plan | Refused | Entitled = entitle(request.options, allowance, settings.house, now)
    if isinstance(plan, Entitled):
        situation = _situation(tx, request, settings, account.id, allowance, plan, now)
        plan = admit(plan, allowance, settings.house, situation, now)
    if isinstance(plan, Plan):
        return _take(tx, by, request, settings, account, plan)
    detail = {
        "code": plan.code,
        "message": plan.message,
        "server": request.server_name,
        "options": request.options.as_json(),
    }
    audit.record(tx, by, Action.REFUSED, account_id=account.id, detail=detail)
    return plan


def _situation(
    tx: Transaction,
    request: Request,
    settings: Settings,
    account_id: str,
    allowance: Allowance,
    wanted: Entitled,
    now: datetime,
) -> Situation:
    """Read what this start meets."""
    taken = capacity.read_taken(tx, settings)
    notebook = notebooks.find(tx, account_id=account_id, server_name=request.server_name)
    paid = wanted.instance_type.price > 0
    return Situation(
        account_id=account_id,
        notebook_id=notebook.id if notebook else None,
        leases=taken.leases,
        load=taken.load,
        slots=warm_slots.list_slots(tx, settings.hub_id),
        image_failures=_image_failures(tx, account_id, wanted.image, now)
        if wanted.custom_image
        else 0,
        silent_starts=_silent_starts(tx, account_id, now) if paid else (),
        funds=holds.compute_funds(
            tx,
            hub_id=settings.hub_id,
            account_id=account_id,
            groups=allowance.groups,
            tier=allowance.tier,
            currency=settings.house.catalog.currency,
            now=now,
        )
        if paid
        else None,
    )


def _take(
    tx: Transaction,
    by: By,
    request: Request,
    settings: Settings,
    account: Account,
    plan: Plan,
) -> Lease:
    """Write what the plan says: the lease, its devices, warm servers and money, and the audit."""
    notebook = notebooks.notebook_of(
        tx,
        hub_id=by.hub_id,
        account_id=account.id,
        server_name=request.server_name,
        display_name=request.display_name,
        now=by.now,
    )
    tx.execute(
        update(notebook_table)
        .where(notebook_table.c.id == notebook.id)
        .values(options=request.options.as_json())
    )
    claim = warm_slots.claim(tx, plan.choice.claims) if plan.choice.claims else None
    host = next(h for h in settings.house.hosts if h.name == plan.placement.host)
    lease = _lease(request, by, account, notebook, plan, capacity.host_key(by.hub_id, host))
    lease = replace(lease, claim=claim, object_id=claim.object_id if claim else None)
    tx.execute(leases.insert().values(row_of(lease)))
    warm_slots.evict(tx, lease.evicts, lease.id)
    _take_devices(tx, lease)
    # Also where the price is so small that it holds nothing yet.
    if plan.price:
        overrun = settings.charge_overrun
        holds.take(tx, lease, plan.hold, plan.allowance.tier, charge_overrun=overrun)
    _record_start(tx, by, request, lease, _terms(settings, plan))
    return lease


def _record_start(tx: Transaction, by: By, request: Request, lease: Lease, terms: Terms) -> None:
    # The terms before what people chose: a row that is too long is cut at its end.
    detail = {
        "lease": lease.id,
        "server": lease.server_name,
        **terms.as_json(),
        "options": request.options.as_json(),
        "host": lease.host,
        "devices": lease.devices,
        "tier_given_by": lease.tier_given_by,
    }
    audit.record(tx, by, Action.START, account_id=lease.account_id, detail=detail)


def _terms(settings: Settings, plan: Plan) -> Terms:
    """Build what the lease will cost, as the audit keeps it."""
    tier = plan.allowance.tier
    return Terms(
        price=plan.price,
        currency=plan.currency,
        instance_type=plan.entitled.instance_type.name,
        tier=tier.name,
        custom_image=plan.entitled.custom_image,
        groups=tuple(sorted(plan.allowance.groups)),
        credit_limit=holds.credit_limit_of(tier) if plan.price else None,
        charge_overrun=bool(plan.price) and settings.charge_overrun,
    )


def _lease(
    request: Request, by: By, account: Account, notebook: Notebook, plan: Plan, host_key: str
) -> Lease:
    """Make the lease of an admitted start."""
    entitled, placement = plan.entitled, plan.placement
    machine = entitled.instance_type
    return Lease(
        id=request.lease_id,
        hub_id=by.hub_id,
        account_id=account.id,
        account_name=account.name,
        notebook_id=notebook.id,
        server_name=notebook.server_name,
        display_name=notebook.display_name,
        instance_type=machine.name,
        price=plan.price,
        currency=plan.currency,
        tier=plan.allowance.tier.name,
        tier_given_by=plan.allowance.given_by[:255],
        groups=tuple(sorted(plan.allowance.groups)),
        runtime=entitled.runtime_name,
        image=entitled.image,
        custom_image=entitled.custom_image,
        interface=entitled.interface,
        host=placement.host,
        host_key=host_key,
        devices=placement.devices,
        cpus=machine.cpus,
        memory=machine.memory,
        shutdown_after=entitled.shutdown_after,
        stop_at=entitled.stop_at,
        session_ends_at=plan.session_ends_at,
        phase=Phase.ADMITTED,
        phase_at=by.now,
        admitted_at=by.now,
        warm_slot=plan.choice.claims,
        evicts=plan.choice.evicts,
    )


def _take_devices(tx: Transaction, lease: Lease) -> None:
    """Write who holds each device now, which the database allows one only, and which devices the
    lease had."""
    for device in lease.devices:
        tx.execute(
            device_holders.insert().values(
                device_uuid=device,
                hub_id=lease.hub_id,
                holder_kind="lease",
                holder_id=lease.id,
                since=lease.admitted_at,
            )
        )
        tx.execute(
            lease_devices.insert().values(
                lease_id=lease.id, device_uuid=device, hub_id=lease.hub_id
            )
        )


def _image_failures(tx: Transaction, account_id: str, image: str | None, now: datetime) -> int:
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
    tx: Transaction, account_id: str, now: datetime
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
