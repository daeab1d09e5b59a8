"""How the keeper watches: its settings with their help, and the policy that they are."""

from datetime import timedelta
from pathlib import Path

from traitlets import Bool, Float, HasTraits, Integer, List, Unicode

from ..rules.catalog import ConfigurationFault, Duration, Row
from ..rules.duration import parse_duration


class KeeperPolicy(Row):
    """How the keeper watches; spans of time. `warnings` is sorted, the longest first."""

    interval: float
    warnings: tuple[Duration, ...]
    dry_run: bool
    notify_file: str
    busy_gpu_percent: float
    busy_cpu_percent: float = 0
    unknown_intervals: float | None = 3
    no_work_intervals: float | None = 3
    work_percent: float = 5
    audit_days: int | None = None

    @property
    def grace(self) -> timedelta:
        """The least warning of an idle stop."""
        return self.warnings[-1]


class KeeperTraits(HasTraits):
    """The settings of `c.GradientHub` that the keeper goes by."""

    keeper_interval = Float(
        30,
        min=1,
        max=600,
        help="""Seconds between two passes of the keeper over all running notebooks.

        Default 30: use is seen and people are warned at most so much later. Stops do not wait for
        a pass: the keeper wakes when the next known end is due. Each pass asks every running
        notebook three small questions.""",
    ).tag(config=True)

    audit_days = Integer(
        None,
        allow_none=True,
        min=1,
        help="""How many days a row of the audit is kept. The keeper deletes what is older, five
        hundred rows a pass.

        Default None: for ever, because who may delete evidence is for you to say; a busy hub
        writes some ten rows a person and day. Rows that the money needs are always kept: starts,
        credits, budgets, tiers, payment methods and merges, so that `gradienthub verify` goes on
        proving what it proved. In the small mode nothing is deleted.""",
    ).tag(config=True)

    unknown_intervals = Float(
        3,
        allow_none=True,
        min=0,
        help="""How many idle intervals a notebook may run on while its use cannot be read: its
        server does not answer, or answers nonsense.

        Default 3: unknown is not idle, so it gets more time than an idle one, and does not hold
        its machine for ever. It is warned like any stop, Extend moves it, and a finding names it.
        Values from 1 on. 0 or None: it runs on until a hard end.""",
    ).tag(config=True)

    no_work_intervals = Float(
        3,
        allow_none=True,
        min=0,
        help="""How many idle intervals a notebook may be busy without work: a kernel says that it
        runs a cell, but neither the container's CPU nor its GPU does anything, for example in
        `input()`, or in a call that hangs.

        Default 3: enough to wait for something slow, and no cell that hangs holds a machine for
        ever. It is warned like any stop, and Extend moves it. Values from 1 on. 0 or None: busy
        is busy. Nothing ends for it where the engine tells no CPU time.""",
    ).tag(config=True)

    work_percent = Float(
        5,
        min=0,
        max=100,
        help="""Load in per cent of one CPU, or of its GPU, above which a busy notebook works.

        Default 5: a Jupyter server with an open tab and a kernel in `input()` were measured to use
        0.7, a cell that computes uses 100. More stops slow jobs that mostly wait; less takes an
        open tab for work.""",
    ).tag(config=True)

    keeper_warnings = List(
        Unicode(),
        ["15m", "5m", "1m"],
        minlen=1,
        help="""How long before a stop people are warned, as durations.

        Default ["15m", "5m", "1m"]. The shortest is also the least warning that an idle stop
        waits for. Warnings of more than half of a notebook's idle interval are left out.""",
    ).tag(config=True)

    keeper_dry_run = Bool(
        False,
        help="""Whether the keeper only writes down what it would stop, and stops nothing.

        Default False. True: to try out intervals on a running hub; Fleet and the audit show what
        would have been stopped, and when. Nobody is warned.""",
    ).tag(config=True)

    notify_file = Unicode(
        "",
        help="""Path of a file with Apprise addresses, one a line, to which warnings and stops are
        sent: mail, chat, webhooks. `{user}` and `{email}` in them are the notebook's owner's.

        Default "": people are told on the pages and in JupyterLab only. Only its path is
        published to the keeper: the secrets in it stay in the file. Needs the extra "notify".""",
    ).tag(config=True)

    busy_gpu_percent = Float(
        0,
        min=0,
        max=100,
        help="""Load of a notebook's GPU in per cent from which it counts as busy, so that a job
        without a kernel is not stopped for idleness.

        Default 0: GPU load is shown and keeps nothing alive. Needs the extra "nvml", and GPUs on
        the machine that the keeper runs on.""",
    ).tag(config=True)

    busy_cpu_percent = Float(
        0,
        min=0,
        help="""Load of a notebook's container in per cent of one CPU from which it counts as busy,
        so that a silent job in a terminal, or one started with `nohup`, is not stopped for
        idleness.

        Default 0: CPU load is shown, tells work from waiting, and keeps nothing idle alive. 50
        suits most: half a CPU, which no open tab uses.""",
    ).tag(config=True)

    def policy(self) -> KeeperPolicy:
        """Return the policy these settings mean. Raises ConfigurationFault."""
        warnings = self.keeper_warnings
        try:
            levels = sorted({parse_duration(level) for level in warnings}, reverse=True)
        except ValueError as fault:
            raise ConfigurationFault(
                f"c.GradientHub.keeper_warnings = {warnings!r}: {fault}"
            ) from None
        return KeeperPolicy(
            interval=self.keeper_interval,
            warnings=tuple(levels),
            dry_run=self.keeper_dry_run,
            notify_file=str(Path(self.notify_file).absolute()) if self.notify_file else "",
            busy_gpu_percent=self.busy_gpu_percent,
            busy_cpu_percent=self.busy_cpu_percent,
            unknown_intervals=_intervals("unknown_intervals", self.unknown_intervals),
            no_work_intervals=_intervals("no_work_intervals", self.no_work_intervals),
            work_percent=self.work_percent,
            audit_days=self.audit_days,
        )


def _intervals(name: str, count: float | None) -> float | None:
    """Return how many idle intervals a setting means; None: no end."""
    if count and count < 1:
        raise ConfigurationFault(
            f"c.GradientHub.{name} = {count!r} would stop it sooner than an idle one; write 1 or"
            " more, or None for never"
        )
    return count or None
