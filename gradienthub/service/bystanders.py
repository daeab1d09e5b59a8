"""Stops by other services of the hub, of notebooks that the keeper would have kept."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from ..ledger.findings import NewFinding
from ..ledger.watches import Watched
from ..rules.refusal import shown
from ..rules.services import service_of
from ..settings import KeeperPolicy

#: For how long such a stop is a finding.
TOLD_FOR = timedelta(days=1)
#: Notebooks that one finding names.
NAMED = 3


def find_early_stops(stopped: Iterable[Watched], policy: KeeperPolicy) -> Iterator[NewFinding]:
    """Find the services that stopped notebooks before these were due, one finding a service."""
    by_service: dict[str, list[str]] = {}
    for watched in stopped:
        at = watched.lease.stop_requested_at
        end = watched.ending(policy.grace)
        # Warnings are forgotten with the end: an idle one that is over its interval was due.
        if at is not None and (end is None or at < end.at):
            title, owner = shown(watched.title, 40), shown(watched.lease.account_name, 40)
            by_service.setdefault(service_of(watched.lease.stopped_by), []).append(
                f"{title} of {owner} at {at:%H:%M} UTC"
            )
    for service, notebooks in by_service.items():
        many = f"{len(notebooks)} notebook{'' if len(notebooks) == 1 else 's'}"
        more = ", ..." if len(notebooks) > NAMED else ""
        yield NewFinding(
            f"service_stop/{service}",
            "service_stop",
            f"In the last day the service {shown(service, 60)} stopped {many} that the keeper"
            f" would have kept: {', '.join(notebooks[:NAMED])}{more}.",
            "Remove it from c.JupyterHub.services, or take delete:servers from its role.",
        )
