"""What people and programs are told of a lease: state, cost, what keeps it, when it stops."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from .catalog import InstanceType
from .idleness import Deadlines, Evidence, Reason, Warned, ending, extend, standing, why_kept
from .metering import Times, bill
from .money import format_price, format_rounded
from .refusal import Refused


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
    stopped_by: str | None
    stop_note: str | None
    used_at: datetime | None
    used_by: str | None
    now: datetime
    unreachable_since: datetime | None = None
    shutdown_after: int | None
    stops_at: datetime | None = None
    stop_reason: str | None = None
    stop_why: str = ""
    keeps_alive: list[str] = []
    busy: list[str] = []
    gpu_load: float | None = None
    cpu_load: float | None = None
    counts_requests: bool = False
    warning: StandingWarning | None = None
    extend: Extension | None = None


def state_of(lease: Mapping[str, Any]) -> str:
    """starting, running, stopping or ended."""
    if lease["ended_at"]:
        return "ended"
    if lease["stop_requested_at"]:
        return "stopping"
    return "running" if lease["answered_at"] else "starting"


def lease_view(
    lease: Mapping[str, Any],
    machine: InstanceType | None,
    now: datetime,
    *,
    deadlines: Deadlines | None = None,
    evidence: Evidence | None = None,
    warned: Warned | None = None,
    gpu_load: float | None = None,
    longest: timedelta | None = None,
    grace: timedelta = timedelta(minutes=1),
    counts_requests: bool = False,
) -> LeaseView:
    """The view of a lease's columns; with deadlines and evidence also what keeps or ends it.

    `lease` also has account_name, server_name, display_name, devices and gaps, and where it is
    known `forgiven`, what was not charged of its bill. `longest` is what its tier allows to extend
    by. `counts_requests`: each request to its server is use.
    """
    times = Times.of(lease)
    cost = times.billed(now) - lease.get("forgiven", 0)
    currency = lease["currency"]
    view = LeaseView(
        lease=lease["id"],
        notebook=lease["display_name"] or lease["server_name"] or "default",
        user=lease["account_name"],
        server=lease["server_name"],
        state=state_of(lease),
        machine=machine_text(lease, machine),
        price_text=format_price(lease["price"], currency),
        cost=cost,
        cost_text=format_rounded(cost, currency),
        now=now,
        unreachable_since=times.unreachable_since,
        used_by=evidence.used_by.value if evidence else lease["used_by"],
        used_at=evidence.used_at if evidence else lease["used_at"],
        devices=list(lease.get("devices", ())),
        **{
            name: lease[name]
            for name in (
                "instance_type",
                "runtime",
                "image",
                "tier",
                "host",
                "price",
                "currency",
                "cpus",
                "memory",
                "admitted_at",
                "answered_at",
                "stop_requested_at",
                "ended_at",
                "reason",
                "stopped_by",
                "stop_note",
                "shutdown_after",
            )
        },
    )
    if view.state != "running" or deadlines is None or evidence is None:
        return view
    return view.model_copy(
        update=_ahead(lease, deadlines, evidence, warned, longest, grace, now, counts_requests)
        | {
            "gpu_load": gpu_load,
            "cpu_load": evidence.cpu_load,
            "counts_requests": counts_requests,
        }
    )


def machine_text(lease: Mapping[str, Any], machine: InstanceType | None) -> str:
    """A lease's machine in a line: name, GPU memory, CPUs and memory as they were leased."""
    parts = [machine.title if machine else lease["instance_type"]]
    if machine and machine.gpu_memory:
        parts.append(f"{machine.gpu_memory * machine.gpus:g} GB GPU")
    return " · ".join([*parts, f"{lease['cpus']:g} vCPU", f"{lease['memory']:g} GB"])


def _ahead(
    lease: Mapping[str, Any],
    deadlines: Deadlines,
    evidence: Evidence,
    warned: Warned | None,
    longest: timedelta | None,
    grace: timedelta,
    now: datetime,
    counts_requests: bool,
) -> dict[str, Any]:
    end = ending(evidence, deadlines, warned, grace)
    if end and counts_requests and end.reason is Reason.IDLE:
        end = replace(end, why=f"{end.why}, without a request to it")
    told = standing(warned, evidence, deadlines, grace)
    return {
        "stops_at": end.at if end else None,
        "stop_reason": end.reason.value if end else None,
        "stop_why": end.why if end else "",
        "keeps_alive": [why_kept(evidence, deadlines, now)],
        "busy": list(evidence.busy),
        "warning": told
        and StandingWarning(
            minutes=round(told.level.total_seconds() / 60),
            stops_at=told.stops_at,
            reason=told.reason.value,
            why=end.why if end else "",
            given_at=told.at,
        ),
        "extend": _extension(lease, extend(end, deadlines, longest, now), deadlines, now),
    }


def _extension(
    lease: Mapping[str, Any], given: Deadlines | Refused, before: Deadlines, now: datetime
) -> Extension:
    if isinstance(given, Refused):
        return Extension(refused=Refusal(code=given.code, message=given.message, hint=given.hint))
    until = given.keep_until if before.shutdown_after else given.stop_at
    more = bill(lease["price"], [(now, until)]) if until else 0
    return Extension(until=until, cost_text=format_rounded(more, lease["currency"]))
