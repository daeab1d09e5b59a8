"""What the keeper decides of the notebooks that it looked at."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..ledger.watches import Watched
from ..rules.idleness import Keep, Stop, Warn, decide
from ..settings import KeeperPolicy


@dataclass(frozen=True)
class Decisions:
    """What is known of each notebook now, who is warned, and what is stopped.

    `would_stop`: what a dry run would stop, and would not have at the last pass.
    """

    known: list[Watched] = field(default_factory=list)
    warnings: list[tuple[Watched, Warn]] = field(default_factory=list)
    stops: list[tuple[Watched, Stop]] = field(default_factory=list)
    would_stop: list[tuple[Watched, Stop]] = field(default_factory=list)


def decide_all(
    looked: Iterable[Watched], policy: KeeperPolicy, now: datetime, *, may_stop: bool
) -> Decisions:
    """Decide for each notebook whether it is kept, warned, or, if anything may be, stopped."""
    decisions = Decisions()
    for watched in looked:
        verdict = judge(watched, policy, now)
        if policy.dry_run:
            _note_dry(decisions, watched, verdict, now)
            continue
        after = replace(watched, would_stop_at=None)
        if isinstance(verdict, Warn):
            after = replace(after, warned=verdict.remember(watched.warned, now))
            decisions.warnings.append((after, verdict))
        if isinstance(verdict, Stop) and may_stop:
            decisions.stops.append((after, verdict))
        decisions.known.append(after)
    return decisions


def _note_dry(
    decisions: Decisions, watched: Watched, verdict: Keep | Warn | Stop, now: datetime
) -> None:
    since = watched.would_stop_at
    stops = isinstance(verdict, Stop)
    after = replace(watched, would_stop_at=(since or now) if stops else None, warned=None)
    decisions.known.append(after)
    if isinstance(verdict, Stop) and since is None:
        decisions.would_stop.append((after, verdict))


def judge(watched: Watched, policy: KeeperPolicy, now: datetime) -> Keep | Warn | Stop:
    """Decide what happens to a notebook now.

    A dry run warns nobody, so its idle stops wait for no warning.
    """
    if not policy.dry_run:
        return decide(watched.evidence, watched.deadlines, watched.warned, policy.warnings, now)
    end = watched.ending(policy.grace)
    if end and now >= end.at:
        return Stop(end.reason, end.why)
    return Keep("dry run")
