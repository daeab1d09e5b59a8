"""What `gradienthub check` finds of the ledger: whether it answers and knows what runs."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from ..ledger.database import way_to
from ..spawners.engine import CensusObject
from .check_containers import copies
from .check_result import CheckResult, count, fault, ok, warn
from .check_scene import Scene

MOST_SKEW = timedelta(seconds=2)
#: A start notes the container's name just before it makes it; younger ones are still on their way.
ON_ITS_WAY = timedelta(minutes=1)
NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "ocfs2"}
    | {"smb3", "smbfs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs"}
)


def database(scene: Scene) -> Iterator[CheckResult]:
    """Check that the ledger answers, has this version's schema, and is on a file system that can
    carry it."""
    seen = scene.ledger
    if seen.file_system in NETWORK_FILE_SYSTEMS:
        yield warn(
            "database",
            f"SQLite on {seen.file_system}: its locks do not hold over a network, and two starts"
            " may get one GPU",
            "move data_dir to a local disk, or set c.GradientHub.database_url to PostgreSQL",
        )
    if seen.away:
        yield fault(
            "database",
            f"{seen.where} does not answer {scene.user}: {seen.away}",
            "start it, or correct c.GradientHub.database_url; nothing new starts without it",
        )
    elif seen.absent:
        yield ok("database", f"{seen.where}: the hub makes it at its first start")
    elif seen.revision is None:
        yield ok("database", f"{seen.where}: empty; the hub makes its tables at its first start")
    elif seen.revision != seen.head:
        yield fault(
            "database",
            f"{seen.where} has schema {seen.revision}, this version needs {seen.head}",
            way_to(seen.revision, seen.head),
        )
    else:
        yield ok("database", f"{seen.where}, schema {seen.revision}")
    if scene.waiting_ends:
        yield warn(
            "database",
            f"{scene.waiting_ends} stops and ends wait in the journal for the ledger",
            "the hub writes them within a minute once the ledger answers; its log says why not",
        )


def keeper(scene: Scene) -> Iterator[CheckResult]:
    """Check that a keeper looks at what runs, and that it has found nothing wrong."""
    health = scene.ledger.health
    if health is None:
        return
    if health.trouble is not None:
        yield warn("keeper", f"{health.trouble.why} {health.headline}", health.trouble.cure)
    elif health.standing:
        yield warn("keeper", health.headline, "see them and their cures: `gradienthub findings`")
    else:
        yield ok("keeper", health.headline)


def clocks(scene: Scene) -> Iterator[CheckResult]:
    """Check that engine and database have the hub's time, by which bills and deadlines are made."""
    skews = {"engine": scene.engine.skew, "database": scene.ledger.skew}
    known = {name: skew for name, skew in skews.items() if skew is not None}
    for name, skew in known.items():
        if abs(skew) > MOST_SKEW:
            word = "ahead of" if skew > timedelta(0) else "behind"
            yield warn(
                "clocks",
                f"the {name}'s clock is {abs(skew.total_seconds()):.0f} s {word} ours",
                "let both machines keep time by NTP (timedatectl says whether one does)",
            )
    if known and all(abs(skew) <= MOST_SKEW for skew in known.values()):
        yield ok("clocks", f"as ours: {', '.join(known)}")


def orphans(scene: Scene) -> Iterator[CheckResult]:
    """Check that every container has its open lease, every open lease its container, every held
    device a holder."""
    if not scene.ledger.current:
        return
    for holder, lease in scene.ledger.strange_holders.items():
        if lease is None or lease.ended_at is not None:
            yield fault(
                "orphans",
                f"a device is held by lease {holder}, which is {'ended' if lease else 'unknown'}",
                "no start or stop leaves this behind: keep the hub's log, and ask for help with"
                " the lease's id",
            )
    if scene.engine.census is None:
        return
    ownerless, without = _unmatched(scene, scene.engine.census)
    repair = (
        f"a running hub repairs this within {scene.hub.settings.reconcile_interval:.0f} s; if it"
        " runs and this stays, its log says why"
    )
    yield from copies(scene)
    if ownerless:
        yield warn("orphans", f"they run for no open lease: {', '.join(ownerless)}", repair)
    if without:
        yield warn(
            "orphans", f"open leases for which the engine has nothing: {', '.join(without)}", repair
        )
    if not ownerless and not without:
        others = (
            f"; {count(scene.engine.strangers, 'container')} of other hubs beside them"
            if scene.engine.strangers
            else ""
        )
        among = count(len(scene.ledger.open_leases), "open lease")
        yield ok("orphans", f"none among {among}{others}")


def _unmatched(scene: Scene, census: Sequence[CensusObject]) -> tuple[list[str], list[str]]:
    """Return the names of containers without an open lease, and open leases without one."""
    open_leases = {lease.id: lease for lease in scene.ledger.open_leases}
    # A claimed warm server keeps the labels of its birth; one that nobody has is the pool's.
    claimed = {lease.warm_slot: lease.id for lease in open_leases.values()}
    containers = [
        (seen.lease_id or claimed[seen.slot], seen.name)
        for seen in census
        if seen.object_id not in scene.ledger.copies and (not seen.slot or seen.slot in claimed)
    ]
    running = {lease for lease, _ in containers}
    without = [
        lease.id
        for lease in open_leases.values()
        if lease.id not in running
        and lease.object_name is not None
        and scene.now - lease.phase_at > ON_ITS_WAY
    ]
    return [name for lease, name in containers if lease not in open_leases], without
