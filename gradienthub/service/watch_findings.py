"""What the keeper tells administrators of notebooks that need a person's look."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from ..ledger.findings import NewFinding
from ..ledger.watches import Watched
from ..rules.duration import format_duration
from ..rules.idleness import is_blind, is_without_work
from ..rules.refusal import shown
from ..settings import KeeperPolicy
from .reach import Reach

#: A notebook that nobody could reach for so long is told to an administrator.
UNREACHABLE_AFTER = timedelta(minutes=3)
#: After so many failed stops of one notebook an administrator is told.
TRIES_UNTIL_FINDING = 3


def find_troubled(
    known: Iterable[Watched], policy: KeeperPolicy, now: datetime
) -> Iterator[NewFinding]:
    """Find notebooks whose use is unknown, that are busy without work, or that do not stop."""
    for watched in known:
        deadlines = watched.deadlines
        if is_blind(watched.evidence, deadlines, now):
            yield _blind(watched, policy, now)
        idle = is_without_work(watched.evidence, now)
        if idle and deadlines.shutdown_after and idle > deadlines.shutdown_after:
            yield _without_work(watched, idle, policy)
        if watched.stop_tries >= TRIES_UNTIL_FINDING:
            yield _finding(
                "will_not_stop",
                watched,
                f"did not stop in {watched.stop_tries} tries.",
                "The keeper goes on trying. Look at the engine and at the hub's log.",
            )


def find_unreachable(known: Iterable[Watched], reach: Reach, now: datetime) -> Iterator[NewFinding]:
    """Find notebooks that have answered nobody for minutes."""
    for watched in known:
        since = watched.lease.times.unreachable_since
        if watched.id in reach.silent and since and now - since >= UNREACHABLE_AFTER:
            yield _finding(
                "unreachable",
                watched,
                f"runs and has not been reachable since {since:%Y-%m-%d %H:%M} UTC; this time is"
                " not charged.",
                "Look at its container: it may be paused, cut off from its network or hang. Stop it"
                " if it does not come back.",
            )
        since = watched.evidence.unknown_since
        if watched.id in reach.working and since and now - since >= UNREACHABLE_AFTER:
            yield _finding(
                "unreachable",
                watched,
                f"has not answered the hub since {since:%Y-%m-%d %H:%M} UTC, and its machine works;"
                " this time is charged.",
                "Its owner may have cut the hub off, or its server hangs beside a job that runs:"
                " ask them, and look at its container.",
            )


def find_slow_pass(overrun: str) -> list[NewFinding]:
    """Return the finding of a pass that took longer than the interval; none where it did not."""
    if not overrun:
        return []
    return [
        NewFinding(
            "overrun",
            "slow_pass",
            f"{overrun}.",
            "Raise keeper_interval, or look for what is slow: hub, ledger or notebooks.",
        )
    ]


def _blind(watched: Watched, policy: KeeperPolicy, now: datetime) -> NewFinding:
    since = format_duration(now - (watched.evidence.unknown_since or now))
    what = ", ".join(watched.evidence.unread) or "its use"
    return _finding(
        "blind",
        watched,
        f"has not told {what} for {since}, longer than its idle interval.",
        f"{_end_of(watched, policy)} Look at it, and stop it if it hangs.",
    )


def _without_work(watched: Watched, idle: timedelta, policy: KeeperPolicy) -> NewFinding:
    busy = shown(", ".join(watched.evidence.busy), 200)
    return _finding(
        "no_work",
        watched,
        f"is busy without work for {format_duration(idle)}: {busy}.",
        f"{_end_of(watched, policy)} A cell may wait for input, or hang: ask its owner.",
    )


def _end_of(watched: Watched, policy: KeeperPolicy) -> str:
    end = watched.ending(policy.grace)
    return f"It stops at {end.at:%Y-%m-%d %H:%M} UTC." if end else "Nothing ends it."


def _finding(kind: str, watched: Watched, what: str, cure: str) -> NewFinding:
    who = f"{shown(watched.title)} of {shown(watched.lease.account_name)}"
    return NewFinding(f"{kind}/{watched.id}", kind, f"{who} {what}", cure, watched.id)
