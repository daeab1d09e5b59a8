"""What a notebook that does not answer is charged: nothing while nobody can use it.

Who owns a notebook decides what its server says, and may let it answer nobody but themselves. So
silence alone is no proof that nobody worked: a machine that works was used, and is charged.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from .metering import Interval
from .use import Evidence

#: For how long within a span an account's starts may have paid machines without ever answering;
#: then it gets no other one within that span. Three starts that the hub waited for in vain are six
#: minutes by default.
SILENT_TIME = (
    (timedelta(minutes=6), timedelta(hours=1)),
    (timedelta(minutes=20), timedelta(days=1)),
)
#: The span in which such starts count.
SILENT_WINDOW = max(span for _, span in SILENT_TIME)


def worked_since(
    before: Evidence, after: Evidence, gpu_load: float | None, work_percent: float, now: datetime
) -> datetime | None:
    """Return since when a notebook works at a look at `now`; None: as far as known, it does not.

    `before` and `after` are what was known of it before and after the look. It works when its
    container used more than `work_percent` of one CPU since the reading before, or its GPU is
    loaded by more.
    """
    if after.cpu_load is not None and after.cpu_load > work_percent:
        new = before.cpu_at is not None and before.cpu_at != after.cpu_at
        return min(before.cpu_at, now) if new and before.cpu_at else now
    if gpu_load is not None and gpu_load > work_percent:
        return now
    return None


def silent_until(starts: Iterable[Interval], now: datetime) -> datetime | None:
    """Return when a next start on a paid machine is allowed; None: now.

    `starts` are the times (from, until) in which starts had a paid machine and never answered.
    """
    newest = sorted(starts, reverse=True)
    ends = []
    for most, span in SILENT_TIME:
        had = timedelta(0)
        for start, end in newest:
            had += max(end - start, timedelta(0))
            if had >= most:
                ends.append(start + span)
                break
    return max((end for end in ends if end > now), default=None)
