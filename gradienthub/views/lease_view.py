"""The view of a lease for people and programs: state, cost, what keeps it, when it stops."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import BaseModel

from ..ledger.watches import Watched
from ..rules.catalog import Catalog, InstanceType
from ..rules.idleness import (
    DECIDED,
    Deadlines,
    Reason,
    Warned,
    extend,
    refuse_program,
    standing_warning,
    why_kept,
)
from ..rules.lease import Lease
from ..rules.metering import bill
from ..rules.money import format_price, format_rounded
from ..rules.phase import LeaseState
from ..rules.refusal import Refused, nobody_watches
from ..rules.tiers import Tier
from ..rules.use import Evidence, Use
from ..settings import Settings
from .reasons import REASONS, cure_after, cure_before, why_stopped


class Refusal(BaseModel):
    """Why something is not possible, in words."""

    code: str
    message: str
    hint: str


class StandingWarning(BaseModel):
    """A warning that stands: it stops at `stops_at` unless something changes."""

    minutes: int
    stops_at: datetime
    reason: str
    why: str
    given_at: datetime


class Extension(BaseModel):
    """What Extend would give: until when, and for how much more at most; or why it cannot."""

    until: datetime | None = None
    cost_text: str | None = None
    refused: Refusal | None = None


class LeaseView(BaseModel):
    """A lease in JSON. Prices are micro-units an hour, costs micro-units, spans seconds.

    `machine_title` is the machine's name, and `machine` that with what it has.
    Each reason is a code with three texts: `short` for a status bar, `why` in a sentence, `cure`
    what to do. `stop_reason` is of the stop to come, `reason` of one that was asked for or found.
    `stop_note` is what was written with the stop: by who asked for it, or by what decided it.
    `cost` is the bill of its time so far; of one that was stopped, what was charged of it.
    `unreachable_since`: nobody can reach it now, and this time costs nothing.
    """

    lease: str
    notebook: str
    user: str
    server: str
    state: str
    instance_type: str
    machine: str
    machine_title: str
    runtime: str | None
    image: str | None
    tier: str
    host: str
    cpus: float
    memory: float
    devices: list[str]
    price: int
    currency: str
    price_text: str
    cost: int
    cost_text: str
    admitted_at: datetime
    answered_at: datetime | None
    stop_requested_at: datetime | None
    ended_at: datetime | None
    reason: str | None
    reason_short: str = ""
    reason_why: str = ""
    reason_cure: str = ""
    stopped_by: str | None
    stop_note: str | None
    used_at: datetime | None
    used_by: str | None
    now: datetime
    unreachable_since: datetime | None = None
    shutdown_after: int | None
    stops_at: datetime | None = None
    stop_reason: str | None = None
    stop_short: str = ""
    stop_why: str = ""
    stop_cure: str = ""
    keeps_alive: list[str] = []
    busy: list[str] = []
    gpu_load: float | None = None
    cpu_load: float | None = None
    counts_requests: bool = False
    warning: StandingWarning | None = None
    extend: Extension | None = None

    @property
    def words_given(self) -> str:
        """What a person wrote to the owner with the stop; "" where none did, or it was decided."""
        return "" if self.reason in DECIDED else self.stop_note or ""


@dataclass(frozen=True)
class Conditions:
    """What is configured for a lease: `longest` is what its tier allows to extend by, `grace` the
    least warning of a stop. `counts_requests`: each request to its server is use."""

    longest: timedelta | None = None
    grace: timedelta = timedelta(minutes=1)
    counts_requests: bool = False


def lease_view(
    lease: Lease, machine: InstanceType | None, now: datetime, evidence: Evidence | None = None
) -> LeaseView:
    """Return the view of a lease: what it is, what it cost so far, why it was stopped."""
    view = _settled_view(lease, machine, evidence, now)
    return view.model_copy(update=_texts_after(view, Reason(view.reason))) if view.reason else view


def running_view(
    run: Watched, machine: InstanceType | None, conditions: Conditions, now: datetime
) -> LeaseView:
    """Return the view of a lease that answered; while it runs, with what keeps or ends it."""
    view = lease_view(run.lease, machine, now, run.evidence)
    if run.lease.state is not LeaseState.RUNNING:
        return view
    return view.model_copy(update=_outlook(run, conditions, now))


def _settled_view(
    lease: Lease, machine: InstanceType | None, evidence: Evidence | None, now: datetime
) -> LeaseView:
    """Return the view of what is settled: the lease, its cost so far, and its last use."""
    cost = lease.times.billed(now) - lease.forgiven
    after = lease.shutdown_after
    return LeaseView(
        lease=lease.id,
        notebook=lease.title,
        user=lease.account_name,
        server=lease.server_name,
        state=lease.state,
        instance_type=lease.instance_type,
        machine=machine_text(lease, machine),
        machine_title=machine_title(lease, machine),
        runtime=lease.runtime,
        image=lease.image,
        tier=lease.tier,
        host=lease.host,
        cpus=lease.cpus,
        memory=lease.memory,
        devices=list(lease.devices),
        price=lease.price,
        currency=lease.currency,
        price_text=format_price(lease.price, lease.currency),
        cost=cost,
        cost_text=format_rounded(cost, lease.currency),
        admitted_at=lease.admitted_at,
        answered_at=lease.answered_at,
        stop_requested_at=lease.stop_requested_at,
        ended_at=lease.ended_at,
        reason=lease.reason,
        stopped_by=lease.stopped_by,
        stop_note=lease.stop_note,
        used_at=evidence.used_at if evidence else lease.used_at,
        used_by=evidence.used_by if evidence else lease.used_by,
        now=now,
        unreachable_since=lease.times.unreachable_since,
        shutdown_after=None if after is None else round(after.total_seconds()),
    )


def watched_view(
    run: Watched, catalog: Catalog, tiers: Mapping[str, Tier], grace: timedelta, now: datetime
) -> LeaseView:
    """Return the lease for people and programs, with what keeps or ends it while it runs."""
    lease, tier = run.lease, tiers.get(run.lease.tier)
    machine = catalog.instance_type(lease.instance_type)
    runtime = catalog.runtime(lease.runtime or "")
    if not lease.answered_at or lease.ended_at:
        return lease_view(lease, machine, now)
    conditions = Conditions(
        longest=tier.shutdown_max if tier else None,
        grace=grace,
        counts_requests=runtime is not None and runtime.counts_requests,
    )
    return running_view(run, machine, conditions, now)


def evidence_of(watched: Watched, last_activity: datetime | None) -> Evidence:
    """Return the keeper's evidence; before it looked, the hub's `last_activity` since the start."""
    evidence = watched.evidence
    if watched.known or last_activity is None or last_activity <= evidence.used_at:
        return evidence
    return replace(evidence, used_at=last_activity, used_by=Use.PERSON)


def view_of(
    run: Watched,
    last_activity: datetime | None,
    settings: Settings,
    now: datetime,
    program: bool = False,
) -> LeaseView:
    """Return the lease for people and programs, with what keeps or ends it while it runs.

    `program`: a token asks, which may not extend it for ever.
    """
    house, lease = settings.house, run.lease
    seen = replace(run, evidence=evidence_of(run, last_activity))
    tier = house.tiers.get(lease.tier)
    too_many = refuse_program(lease.program_extensions, tier.program_extensions if tier else None)
    view = watched_view(seen, house.catalog, house.tiers, settings.policy.grace, now)
    if view.extend is None or (run.known and not (program and too_many)):
        return view
    no = too_many if program and run.known and too_many else nobody_watches(view.notebook)
    return view.model_copy(update={"extend": Extension(refused=_refusal(no))})


def machine_title(lease: Lease, machine: InstanceType | None) -> str:
    """Return what people call a lease's machine; its type may be gone from the catalog."""
    return machine.title if machine else lease.instance_type


def machine_text(lease: Lease, machine: InstanceType | None) -> str:
    """Describe a lease's machine in a line: name, GPU memory, CPUs and memory as leased."""
    parts = [machine_title(lease, machine)]
    if machine and machine.gpu_memory:
        parts.append(f"{machine.gpu_memory * machine.gpus:g} GB GPU")
    return " · ".join([*parts, f"{lease.cpus:g} vCPU", f"{lease.memory:g} GB"])


def _texts_after(view: LeaseView, reason: Reason) -> dict[str, object]:
    """Return the texts of the reason for which it was stopped."""
    after = view.shutdown_after
    return {
        "reason_short": REASONS[reason].short,
        "reason_why": why_stopped(
            reason,
            view.stop_note,
            None if after is None else timedelta(seconds=after),
            Use(view.used_by) if view.used_by else None,
            view.used_at,
        ),
        "reason_cure": cure_after(reason),
    }


def _outlook(run: Watched, conditions: Conditions, now: datetime) -> dict[str, object]:
    """Return what keeps it and what ends it, with the warning that stands and what Extend gives."""
    evidence, deadlines = run.evidence, run.deadlines
    end = run.ending(conditions.grace)
    extended = extend(end, deadlines, conditions.longest, now)
    if end and conditions.counts_requests and end.reason is Reason.IDLE:
        end = replace(end, why=f"{end.why}, without a request to it")
    warned = standing_warning(run.warned, evidence, deadlines, conditions.grace)
    return {
        "stops_at": end.at if end else None,
        "stop_reason": end.reason.value if end else None,
        "stop_short": REASONS[end.reason].short if end else "",
        "stop_why": end.why if end else "",
        "stop_cure": cure_before(end.reason) if end else "",
        "keeps_alive": [why_kept(evidence, deadlines, now)],
        "busy": list(evidence.busy),
        "warning": warned and _warning(warned, end.why if end else ""),
        "extend": _extension(run.lease, extended, deadlines, now),
        "gpu_load": run.gpu_load,
        "cpu_load": evidence.cpu_load,
        "counts_requests": conditions.counts_requests,
    }


def _warning(warned: Warned, why: str) -> StandingWarning:
    return StandingWarning(
        minutes=round(warned.level.total_seconds() / 60),
        stops_at=warned.stops_at,
        reason=warned.reason.value,
        why=why,
        given_at=warned.at,
    )


def _extension(
    lease: Lease, extended: Deadlines | Refused, before: Deadlines, now: datetime
) -> Extension:
    if isinstance(extended, Refused):
        return Extension(refused=_refusal(extended))
    until = extended.keep_until if before.shutdown_after else extended.stop_at
    more = bill(lease.price, [(now, until)]) if until else 0
    return Extension(until=until, cost_text=format_rounded(more, lease.currency))


def _refusal(refused: Refused) -> Refusal:
    return Refusal(code=refused.code, message=refused.message, hint=refused.hint)
