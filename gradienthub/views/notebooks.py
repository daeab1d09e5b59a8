"""Notebooks: each with its state, its cost, what keeps it, and when and why it stops.

Functions of values; the template prints them and decides nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from ..ledger.watches import Watched
from ..rules.catalog import Catalog
from ..rules.duration import format_duration
from ..rules.idleness import SOFT, Reason, hard_end, moment_text, why_kept
from ..rules.last_words import ended_by, telling_lines
from ..rules.lease import Lease
from ..rules.money import format_price
from ..rules.options import INTERFACES
from ..rules.phase import LeaseState
from ..rules.refusal import Refused, shown
from ..rules.services import service_of
from ..rules.use import REQUESTS_COUNT
from ..settings import Settings
from .form import INTERFACE_TITLES
from .form_fields import entries_of
from .lease_view import LeaseView, evidence_of, view_of
from .reasons import LAST_USE
from .stock import Stock

WORDS = {
    "warned": ("warn", "warn", "Stops soon"),
    "running": ("run", "run", "Running"),
    "outside": ("warn", "warn", "Runs outside"),
    "starting": ("start", "start", "Starting"),
    "stopping": ("off", "stop", "Stopping"),
    "stopped": ("off", "stop", "Stopped"),
    "crashed": ("fail", "fail", "Crashed"),
    "unstarted": ("fail", "fail", "Did not start"),
    "new": ("off", "stop", "Never started"),
    "unconnected": ("warn", "warn", "Not connected"),
}
OUTSIDE = (
    "It began before this hub offered machines: it is not billed, and nothing stops it when idle.",
    "Save your work and stop it, then start it anew to choose a machine.",
)
UNCONNECTED = (
    "It was running when it was last seen. The hub looks for it and connects it again.",
    "Reload this page in a minute; if it stays so, ask your administrator.",
)
PATHS = {"lab": "lab", "notebook": "tree"}
SHORT_TITLES = {"lab": "Lab", "notebook": "Notebook"}


class ServerState(StrEnum):
    """What the hub says that a server does."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ServerSeen:
    """A server as the hub knows it."""

    name: str
    title: str
    state: ServerState
    last_activity: datetime | None
    open_url: str
    pending_url: str
    form_url: str
    #: Whether it runs without a lease: another spawner started it before this hub was adopted.
    outside: bool = False


@dataclass(frozen=True)
class Line:
    """A sentence with a moment in it, which the page prints in the reader's zone."""

    text: str
    at: datetime | None = None
    after: str = ""


@dataclass(frozen=True)
class NotebookRow:
    """One notebook on the page. `kind` is a key of WORDS; `lines` are printed one below another.

    `openings` are (title, address), the chosen interface first. `restart` are the entries of the
    form that starts it as it was started last. `extend` is the label of that button.
    """

    server: ServerSeen
    kind: str
    tone: str
    icon: str
    word: str
    lease_id: str = ""
    began: datetime | None = None
    at: datetime | None = None
    at_word: str = ""
    why: Line = Line("")
    machine: str = ""
    runtime: str = ""
    stops_at: datetime | None = None
    left: str = ""
    lines: tuple[Line, ...] = ()
    cost: str = ""
    cost_note: str = ""
    last_words: str = ""
    extend: str = ""
    openings: tuple[tuple[str, str], ...] = ()
    restart: tuple[tuple[str, str], ...] = ()
    news: str = ""

    @property
    def stopped(self) -> bool:
        """Whether it belongs to those that do not run."""
        return self.server.state == ServerState.STOPPED


@dataclass(frozen=True)
class Kept:
    """What the ledger keeps of a notebook: its newest lease and the last admitted options."""

    run: Watched | None
    options: Mapping[str, object] | None = None


@dataclass(frozen=True)
class NotebooksView:
    """All that the page prints. Without the ledger: `problem`, and what the hub alone knows."""

    running: tuple[NotebookRow, ...]
    stopped: tuple[NotebookRow, ...]
    tier: str
    given_by: str
    max_running: int
    spending: str
    free_now: str
    problem: Refused | None
    as_of: datetime
    #: Since when the provider lists no groups of this person, because they are too many.
    groups_unknown_at: datetime | None = None


def notebooks_view(
    servers: Iterable[ServerSeen],
    kept: Mapping[str, Kept],
    settings: Settings,
    stock: Stock | None,
    now: datetime,
    problem: Refused | None = None,
) -> NotebooksView:
    """Return the page of these servers, each with what is kept of it, for this person, now.

    `stock` is what they may rent; None where nobody knows, and `problem` says why.
    """
    rows = [notebook_row(server, kept.get(server.name), settings, now) for server in servers]
    if stock:
        rows = [_with_offer(row, kept, stock) for row in rows]
    allowance = stock.allowance if stock else None
    rows.sort(key=_order, reverse=True)
    running = tuple(row for row in rows if not row.stopped)
    spending = sum(
        run.lease.price
        for row in running
        if row.server.state == ServerState.RUNNING
        and not row.server.outside
        and (run := kept.get(row.server.name, Kept(None)).run)
        and run.lease.answered_at
    )
    return NotebooksView(
        running=running,
        stopped=tuple(row for row in rows if row.stopped),
        tier=allowance.tier.title if allowance else "",
        given_by=allowance.given_by if allowance else "",
        max_running=allowance.tier.max_running if allowance else 0,
        spending=format_price(spending, settings.house.catalog.currency),
        free_now=_free_now(stock) if stock else "",
        problem=problem,
        as_of=now,
    )


def _order(row: NotebookRow) -> tuple[bool, bool, datetime]:
    began = row.began or datetime.min.replace(tzinfo=UTC)
    return row.kind == "warned", row.server.state == ServerState.RUNNING, row.at or began


def notebook_row(
    server: ServerSeen, kept: Kept | None, settings: Settings, now: datetime
) -> NotebookRow:
    """Return a notebook: what the hub says it does, and what its newest lease says about why."""
    run = kept.run if kept else None
    if server.outside:
        return replace(
            _row(server, "outside"),
            lines=tuple(map(Line, OUTSIDE)),
            cost="Not billed",
            openings=_openings(server, "lab"),
        )
    if kept is None or run is None:
        return _row(server, "new" if server.state == ServerState.STOPPED else server.state)
    view = view_of(run, server.last_activity, settings, now)
    if server.state == ServerState.RUNNING:
        row = _running_row(server, run, view, now)
    elif server.state == ServerState.STARTING:
        row = _starting_row(server, view)
    elif server.state == ServerState.STOPPED and run.lease.state is LeaseState.RUNNING:
        row = _unconnected_row(server, view)
    else:
        row = _stopped_row(server, run.lease, view, now)
        row = replace(row, restart=tuple(entries_of(kept.options).items()) if kept.options else ())
    return replace(
        row,
        lease_id=view.lease,
        began=view.admitted_at,
        machine=view.machine,
        runtime=_runtime(run.lease, settings.house.catalog),
    )


def _row(server: ServerSeen, kind: str) -> NotebookRow:
    tone, icon, word = WORDS[kind]
    return NotebookRow(server, kind, tone, icon, word, news=f"{server.title}: {word.lower()}.")


# -- running ------------------------------------------------------------------------------------


def _unconnected_row(server: ServerSeen, view: LeaseView) -> NotebookRow:
    """Return a notebook that runs, as far as is known, and that the hub does not serve: its account
    was bound to this person just now, or the hub has lost its own database."""
    return replace(
        _row(server, "unconnected"),
        at=view.answered_at,
        at_word="since",
        lines=tuple(map(Line, UNCONNECTED)),
        cost=f"{view.cost_text} so far",
        cost_note=view.price_text,
    )


def _starting_row(server: ServerSeen, view: LeaseView) -> NotebookRow:
    after = view.shutdown_after
    will = f"Will stop after {_span(after)} idle." if after else "Nothing stops it when idle."
    return replace(
        _row(server, "starting"),
        at=view.admitted_at,
        at_word="since",
        lines=(Line(will),),
        cost=f"{view.cost_text} so far",
        cost_note=f"then {view.price_text}",
    )


def _running_row(server: ServerSeen, run: Watched, view: LeaseView, now: datetime) -> NotebookRow:
    if view.warning and view.stops_at:
        row = _warned_row(server, view, view.stops_at - now)
    else:
        begun = view.answered_at
        row = replace(
            _row(server, "running"),
            at=begun,
            at_word="since",
            why=Line(format_duration(now - begun) if begun else ""),
            lines=tuple(_keeping_lines(server, run, view, now)),
        )
    until = view.extend.until if view.extend else None
    return replace(
        row,
        cost=f"{view.cost_text} so far",
        cost_note=view.price_text,
        openings=_openings(server, run.lease.interface),
        extend=f"Extend {_minutes(until - now)}" if until else "",
    )


def _warned_row(server: ServerSeen, view: LeaseView, left: timedelta) -> NotebookRow:
    idle = view.stop_reason == Reason.IDLE
    return replace(
        _row(server, "warned"),
        at=view.stops_at,
        at_word="at",
        stops_at=view.stops_at,
        left=countdown(left),
        lines=tuple(_warning_lines(view)),
        why=Line("idle since", view.used_at) if idle else Line(view.stop_why),
        news=f"{server.title} stops in {_minutes(left)}: {view.stop_why}.",
    )


def _warning_lines(view: LeaseView) -> Iterable[Line]:
    """Yield what is to be known of a stop that is near, and what Extend would give."""
    yield from _unreachable_lines(view)
    if words := _before_stop(view):
        yield Line(words)
    if view.counts_requests:
        yield Line(f"{REQUESTS_COUNT}.")
    extension = view.extend
    if extension and extension.until:
        more = f", for at most {extension.cost_text} more."
        yield Line("Extending keeps it until", extension.until, more)
    elif extension and extension.refused:
        yield Line(f"{extension.refused.message} {extension.refused.hint}")


def _before_stop(view: LeaseView) -> str:
    """Return what leads to a soft stop, and what helps."""
    if view.stop_reason == Reason.IDLE:
        return f"It may be idle for {_span(view.shutdown_after)} at most."
    return view.stop_cure if view.stop_reason in SOFT else ""


def _keeping_lines(
    server: ServerSeen, run: Watched, view: LeaseView, now: datetime
) -> Iterable[Line]:
    """Yield what keeps it alive, or when it stops and why."""
    if run.lease.answered_at is None:
        return
    yield from _unreachable_lines(view)
    evidence, deadlines = evidence_of(run, server.last_activity), run.deadlines
    why = why_kept(evidence, deadlines, now)
    after = deadlines.shutdown_after
    if evidence.busy:
        cpu = f" CPU {view.cpu_load:.0f}%." if view.cpu_load is not None else ""
        gpu = f" GPU {view.gpu_load:.0f}%." if view.gpu_load is not None else ""
        yield Line(f"Kept alive, {why}.{cpu}{gpu}")
        if view.stops_at and view.stop_reason == Reason.NO_WORK and "without work" in why:
            yield Line("If it does not work, it stops at", view.stops_at, ".")
        elif after:
            yield Line(f"Stops {format_duration(after)} after it falls idle.")
    elif evidence.unknown_since:
        silent = "" if evidence.unread else ": it does not answer"
        yield Line(f"{_capital(why)}{silent}. It is not taken for idle meanwhile.")
        if view.stops_at and view.stop_reason == Reason.UNKNOWN_USE:
            yield Line("If that stays so, it stops at", view.stops_at, ".")
    elif after is None:
        yield Line("Nothing stops it when idle.")
    else:
        yield Line(f"{_capital(why)}, {LAST_USE[evidence.used_by]}", evidence.used_at, ".")
        if deadlines.keep_until and deadlines.keep_until > now:
            yield Line("Extended until", deadlines.keep_until, ".")
        if view.stops_at and view.stop_reason == Reason.IDLE:
            yield Line("If it stays idle, it stops at", view.stops_at, f": {view.stop_why}.")
    if view.counts_requests and after is not None:
        yield Line(f"{REQUESTS_COUNT}.")
    if hard := hard_end(deadlines):
        yield Line("It ends at", hard.at, f" in any case: {hard.why}.")


def _unreachable_lines(view: LeaseView) -> Iterable[Line]:
    if view.unreachable_since:
        yield Line("Not reachable since", view.unreachable_since, "; this time is not charged.")


def _openings(server: ServerSeen, chosen: str) -> tuple[tuple[str, str], ...]:
    names = sorted(INTERFACES, key=lambda name: name != chosen)
    url = server.open_url.rstrip("/")
    return tuple((f"Open {SHORT_TITLES[name]}", f"{url}/{PATHS[name]}") for name in names)


def countdown(left: timedelta) -> str:
    """Write a span as minutes and seconds, "4:12", or hours too, "1:04:12"; never below zero."""
    minutes, seconds = divmod(max(0, round(left.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _minutes(span: timedelta) -> str:
    """Write a span in whole minutes, for labels and announcements: seconds make them restless."""
    return format_duration(timedelta(minutes=max(1, round(span / timedelta(minutes=1)))))


# -- not running --------------------------------------------------------------------------------


def _stopped_row(server: ServerSeen, lease: Lease, view: LeaseView, now: datetime) -> NotebookRow:
    kind: str = server.state
    if kind == ServerState.STOPPED:
        kind = {Reason.CRASHED.value: "crashed", Reason.START_FAILED.value: "unstarted"}.get(
            view.reason or "", ServerState.STOPPED
        )
    ended = view.stop_requested_at or view.ended_at
    ran = max(ended - view.answered_at, timedelta(0)) if ended and view.answered_at else None
    failed = kind in ("crashed", "unstarted")
    return replace(
        _row(server, kind),
        at=ended,
        at_word="at" if ended and ended.date() == now.date() else "on",
        why=_reason(lease, view),
        lines=tuple(_advice_lines(kind, lease, view)),
        cost=view.cost_text,
        cost_note="never ready" if ran is None else f"ran {format_duration(ran)}",
        last_words="\n".join(telling_lines(lease.last_words or "")) if failed else "",
    )


def _reason(lease: Lease, view: LeaseView) -> Line:
    by = view.stopped_by or ""
    code = "" if lease.exit_code is None else f" (exit code {lease.exit_code})"
    match view.reason:
        case Reason.USER:
            return Line("by you" if by == view.user else f"by {by}" if by else "by its owner")
        case Reason.ADMIN:
            return Line(_by_other(by))
        case Reason.HUB:
            return Line("by the hub")
        case Reason.CRASHED:
            return Line(f"{'out of memory' if lease.out_of_memory else view.reason_why}{code}")
        case Reason.ENDED_ITSELF:
            return Line(ended_by(lease.last_words or "") or view.reason_why)
        case Reason.START_FAILED:
            return Line("nothing was charged")
        case _:
            return _with_moment(view.reason_why, view.used_at)


def _with_moment(sentence: str, at: datetime | None) -> Line:
    """Return the sentence; a moment at its end is printed in the reader's zone."""
    end = f" {moment_text(at)}" if at else ""
    if end and sentence.endswith(end):
        return Line(sentence.removesuffix(end), at)
    return Line(sentence)


def _by_other(by: str) -> str:
    if service := service_of(by):
        return f"by the service {shown(service, 60)}"
    return f"by admin {by}" if by else "by an administrator"


def _advice_lines(kind: str, lease: Lease, view: LeaseView) -> Iterable[Line]:
    if view.words_given:
        yield Line(f"Reason given: “{view.words_given}”")
    if view.reason == Reason.ENDED_ITSELF:
        yield from _own_end_lines(lease)
    if kind == "crashed":
        yield Line("Saved files are safe; unsaved cells are lost.")
    if kind == "crashed" and lease.out_of_memory:
        yield Line(
            f"It had {lease.memory:g} GB RAM: load less at once, or change to a larger machine."
        )


def _own_end_lines(lease: Lease) -> Iterable[Line]:
    yield Line("It ended by itself, in order; saved files are safe.")
    if not ended_by(lease.last_words or ""):
        yield Line(
            "Shut Down in its menu does that, an idle limit that its image brings, or whoever"
            " stops its container."
        )


def _with_offer(row: NotebookRow, kept: Mapping[str, Kept], stock: Stock) -> NotebookRow:
    """Return a stopped notebook with whether its machine could be had now."""
    run = kept.get(row.server.name, Kept(None)).run
    machine = run and stock.house.catalog.instance_type(run.lease.instance_type)
    if not row.stopped or not machine:
        return row
    state, note, free_at = stock.availability(machine)
    line = Line(f"{machine.title}: {note}{' now.' if state == 'free' else ''}")
    if free_at:
        line = Line(f"{machine.title}: {note} The next is free by", free_at, " at the latest.")
    return replace(row, lines=(*row.lines, line))


def _runtime(lease: Lease, catalog: Catalog) -> str:
    runtime = catalog.runtime(lease.runtime or "")
    interface = INTERFACE_TITLES.get(lease.interface, lease.interface)
    name = runtime.title if runtime else lease.image or lease.runtime or ""
    return " · ".join(part for part in (name, interface) if part)


def _free_now(stock: Stock) -> str:
    free = [
        f"{note.removesuffix(' free')} {machine.title}"
        for machine in stock.house.catalog.instance_types
        if machine.free
        for state, note, _ in [stock.availability(machine)]
        if state == "free"
    ]
    return ", ".join(free[:3])


def _span(seconds: int | None) -> str:
    return format_duration(timedelta(seconds=seconds or 0))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
