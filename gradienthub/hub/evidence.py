"""What is known of a notebook: its newest lease, what keeps or ends it; and Extend.

The keeper's evidence counts once it has looked; before, and in small mode, the hub's own word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ..ledger import accounts, leases, watches
from ..ledger.watches import Watched
from ..rules.idleness import Evidence, Use, refuse_program
from ..rules.outlook import Extension, LeaseView, Refusal, lease_view
from ..rules.refusal import Refused, shown
from ..settings import Settings


@dataclass(frozen=True)
class Known:
    """A notebook's newest lease, with the names that `lease_view` needs, and its watch.

    `watched` is None where the lease never answered.
    """

    lease: Mapping[str, Any]
    watched: Watched | None


def known_of(
    tx: Any, account: accounts.Account, server_name: str, display_name: str
) -> Known | None:
    """The running or else the newest lease of an account's notebook, or None."""
    lease = leases.last_of(tx, account_id=account.id, server_name=server_name)
    if lease is None:
        return None
    names = {
        "account_name": account.name,
        "server_name": server_name,
        "display_name": display_name,
    }
    return Known({**lease, **names}, watches.watched(tx, lease["id"]))


def evidence_of(watched: Watched, last_activity: datetime | None) -> Evidence:
    """The keeper's evidence; before it looked, the hub's `last_activity` since the start."""
    evidence = watched.evidence
    if watched.known or last_activity is None or last_activity <= evidence.used_at:
        return evidence
    return replace(evidence, used_at=last_activity, used_by=Use.PERSON)


def view_of(
    known: Known,
    last_activity: datetime | None,
    settings: Settings,
    now: datetime,
    program: bool = False,
) -> LeaseView:
    """Return the lease for people and programs, with what keeps or ends it while it runs.

    `program`: a token asks, which may not extend it for ever.
    """
    house, watched = settings.house, known.watched
    if watched is None:
        return lease_view(
            known.lease, house.catalog.instance_type(known.lease["instance_type"]), now
        )
    seen = replace(watched, evidence=evidence_of(watched, last_activity))
    tier = house.tiers.get(known.lease["tier"])
    too_many = refuse_program(
        known.lease["program_extensions"] or 0, tier.program_extensions if tier else None
    )
    view = seen.view(house.catalog, house.tiers, settings.policy.grace, now)
    if view.extend is None or (watched.known and not (program and too_many)):
        return view
    no = too_many if program and watched.known and too_many else nobody_watches(view.notebook)
    refused = Refusal(code=no.code, message=no.message, hint=no.hint)
    return view.model_copy(update={"extend": Extension(refused=refused)})


def nobody_watches(title: str) -> Refused:
    """Extend moves what the keeper goes by; the small mode's culler would not see it."""
    return Refused(
        "cannot_extend",
        f"{shown(title)} cannot be extended: no keeper has looked at it yet.",
        "Try again in half a minute. A hub in small mode has no keeper: use the notebook, and it"
        " is not idle.",
    )


def extend_known(
    tx: Any,
    known: Known,
    lease_id: str,
    settings: Settings,
    actor: str,
    now: datetime,
    program: bool = False,
) -> Refused | None:
    """Extend the lease that the asker saw (`lease_id`; empty: whichever runs); None if done.

    `program`: a token asks, and no person's cookie.
    """
    newest = str(known.lease["id"])
    title = str(known.lease["display_name"] or known.lease["server_name"] or "default")
    if lease_id and lease_id != newest:
        return another_lease(title)
    watched = known.watched
    if watched is not None and watched.lease["ended_at"] is None and not watched.known:
        return nobody_watches(title)
    extended = watches.extend_lease(
        tx,
        newest,
        tiers=settings.house.tiers,
        actor=actor,
        grace=settings.policy.grace,
        now=now,
        program=program,
    )
    return extended if isinstance(extended, Refused) else None


def another_lease(title: str) -> Refused:
    """Somebody acts on a run that is over: the page or program they look at is old."""
    return Refused(
        "another_lease",
        f"{shown(title)} was started anew since you saw it.",
        "Nothing was changed. Look at it as it is now, then do it again.",
    )


def active_at(row: Any) -> datetime | None:
    """When the hub itself saw a server used last; the hub's times are naive UTC."""
    return row.last_activity.replace(tzinfo=UTC) if row.last_activity else None
