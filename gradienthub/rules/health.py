"""Health: whether anybody can tell what is wrong, by the keeper's own words and its last pass.

One answer for *Fleet*, `gradienthub findings`, REST v1 and metrics: trouble first, since when, and
what mends it. "Nothing is wrong" is said only of a pass that was made lately and found nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from .duration import format_duration

#: A keeper that acts passes more often than this, or three times its interval where that is longer.
QUIET = timedelta(seconds=60)

#: kind -> (what is so, what to do). While one of these lasts, nobody looks.
BLIND = {
    "keeper_never": (
        "No keeper looks at this hub",
        "Start the hub. If it runs, its log says why the keeper does not.",
    ),
    "keeper_silent": (
        "The keeper has not looked any more",
        "Look whether the hub runs, and into the keeper's lines in its log; restart the hub.",
    ),
    "starting": (
        "The keeper starts",
        "Wait some seconds. If it stays so, the hub has not published its settings: see its log.",
    ),
    "waiting": (
        "This keeper waits, because another one acts for the hub",
        "Look at the acting keeper. If it is gone, this one takes over within a minute.",
    ),
    "ledger_away": (
        "The ledger does not answer",
        "Start the database, or make room on its disk: `gradienthub check` says what it answers.",
    ),
    "hub_away": (
        "The hub does not answer the keeper",
        "Look whether the hub runs and is not overloaded. Nothing is stopped meanwhile.",
    ),
    "hub_not_settled": (
        "The hub checks its servers after its start",
        "Wait. If it stays so, a notebook hangs: the hub's log names it.",
    ),
    "other_hub": (
        "The keeper's hub_id is not the hub's",
        "Set hub_id and restart the hub. Nothing is stopped meanwhile.",
    ),
    "failed": (
        "The keeper's last pass failed",
        "The keeper's log says why; report it with these lines.",
    ),
}
_UNKNOWN = ("The keeper decides nothing", "The keeper's log says why.")


@dataclass(frozen=True)
class KeeperFacts:
    """What is known of a hub's keeper.

    `trouble` is its own word for why it decides nothing, "" for none, and `since` when that began.
    `interval` is seconds between passes. `wired` False: the hub runs without one.
    """

    wired: bool = True
    passed_at: datetime | None = None
    trouble: str = ""
    since: datetime | None = None
    interval: float = 30.0
    dry_run: bool = False


@dataclass(frozen=True)
class Trouble:
    """Why nobody can tell what is wrong now: `since` None where that is not known."""

    kind: str
    why: str
    cure: str
    since: datetime | None


@dataclass(frozen=True)
class Health:
    """The one answer. `trouble` None: somebody looks; `headline` is what to say first."""

    headline: str
    trouble: Trouble | None
    standing: int
    notes: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Return whether somebody looked lately and nothing is wrong."""
        return self.trouble is None and not self.standing


def health(facts: KeeperFacts, standing: int, now: datetime) -> Health:
    """Return what to say of a hub with `standing` findings."""
    trouble = trouble_of(facts, now)
    notes = ("Dry run: the keeper writes down what it would stop, and stops nothing.",)
    return Health(
        headline=_headline(facts, trouble, standing, now),
        trouble=trouble,
        standing=standing,
        notes=notes if facts.dry_run else (),
    )


def trouble_of(facts: KeeperFacts, now: datetime) -> Trouble | None:
    """Return why nobody looks now, or None."""
    if not facts.wired:
        return None
    quiet = max(QUIET, 3 * timedelta(seconds=facts.interval))
    # A pass that is still to come was made before the clock was set back.
    ago = None if facts.passed_at is None else now - facts.passed_at
    lately = ago is not None and abs(ago) <= quiet
    # One that waits beside a keeper that passes is as it should be.
    if facts.trouble and not (facts.trouble == "waiting" and lately):
        return _trouble(facts.trouble, facts.since, now)
    if facts.passed_at is None:
        return _trouble("keeper_never", None, now)
    if lately:
        return None
    return _trouble("keeper_silent", facts.passed_at if facts.passed_at <= now else None, now)


def _trouble(kind: str, since: datetime | None, now: datetime) -> Trouble:
    what, cure = BLIND.get(kind, _UNKNOWN)
    when = "" if since is None else f", since {since:%Y-%m-%d %H:%M} UTC ({_for(now - since)})"
    return Trouble(kind, f"{what}{when}.", cure, since)


def _for(span: timedelta) -> str:
    return format_duration(max(span, timedelta(seconds=1)))


def _headline(facts: KeeperFacts, trouble: Trouble | None, standing: int, now: datetime) -> str:
    count = f"{standing} finding{'' if standing == 1 else 's'}"
    if trouble is not None:
        last = f"{count} stood when somebody last looked" if standing else "No finding stands"
        return f"Cannot tell what is wrong now. {last}."
    if standing:
        return f"{count}."
    if not facts.wired or facts.passed_at is None:
        return "The hub itself finds nothing wrong. It runs without a keeper, which would look."
    return f"Nothing is wrong, as of {facts.passed_at:%Y-%m-%d %H:%M:%S} UTC."
