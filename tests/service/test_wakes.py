"""Between two passes the keeper wakes for what ends, and for nothing else."""

from datetime import timedelta

from values import NOW, make_lease

from gradienthub.ledger.watches import Watched
from gradienthub.rules.idleness import Deadlines
from gradienthub.rules.use import Evidence
from gradienthub.service.wakes import WAKE_AFTER, Wakes
from gradienthub.settings import KeeperPolicy

MINUTE = timedelta(minutes=1)
POLICY = KeeperPolicy(
    interval=30, warnings=(MINUTE,), dry_run=False, notify_file="", busy_gpu_percent=0
)


def ends_in(span: timedelta, name: str) -> Watched:
    deadlines = Deadlines(shutdown_after=None, stop_at=NOW + span)
    return Watched(make_lease(id=name), deadlines, Evidence(used_at=NOW))


def test_each_end_is_due_once_the_nearest_first():
    wakes = Wakes()
    wakes.note([ends_in(3 * MINUTE, "late"), ends_in(MINUTE, "soon")], POLICY, NOW)
    assert wakes.seconds_ahead(NOW) == 60 + WAKE_AFTER
    assert wakes.take_due(NOW) == set()
    assert wakes.take_due(NOW + MINUTE) == {"soon"}
    assert wakes.take_due(NOW + MINUTE) == set()
    assert wakes.seconds_ahead(NOW + MINUTE) == 120 + WAKE_AFTER
    wakes.forget()
    assert wakes.seconds_ahead(NOW) == float("inf")


def test_a_dry_run_ends_nothing_and_wakes_for_nothing():
    wakes = Wakes()
    wakes.note([ends_in(MINUTE, "a")], POLICY.model_copy(update={"dry_run": True}), NOW)
    assert wakes.take_due(NOW + MINUTE) == set()
