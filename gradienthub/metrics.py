"""Every Prometheus metric with its help. Both processes count; each says what happens in it.

The hub's are at its own /hub/metrics, the keeper's at /services/gradient/metrics. What the ledger
holds (leases, devices, findings) is said by the hub alone, so that a sum over both counts nothing
twice. Labels are words of the catalog or of the code, never of people.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import product
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from .rules.idleness import Reason
from .rules.phase import LeaseState
from .rules.use import Answer

NAMESPACE = "gradienthub"
#: The instance type of leases whose own is no longer in the catalog.
OTHER = "other"
LEASE_STATES = (LeaseState.STARTING, LeaseState.RUNNING, LeaseState.STOPPING)
DEVICE_STATES = ("free", "leased", "warm", "outside", "out_of_service")
#: How often the loop's lag is measured, in seconds.
LAG_EVERY = 1.0

leases = Gauge(
    "leases",
    "Open leases, by instance type and state (starting, running, stopping). Types that are no"
    " longer in the catalog count as `other`.",
    ["instance_type", "state"],
    namespace=NAMESPACE,
)
devices = Gauge(
    "devices",
    "Declared devices, by state (free, leased, warm, outside, out_of_service) and model.",
    ["state", "model"],
    namespace=NAMESPACE,
)
findings = Gauge(
    "findings",
    "Findings that stand, by kind: what `gradienthub findings` lists.",
    ["kind"],
    namespace=NAMESPACE,
)
keeper_blind = Gauge(
    "keeper_blind",
    "1 while the keeper looks at nothing and so cannot tell what is wrong, by kind (hub_away,"
    " ledger_away, hub_not_settled, other_hub, waiting, starting, failed). From the keeper.",
    ["kind"],
    namespace=NAMESPACE,
)
keeper_passed_timestamp_seconds = Gauge(
    "keeper_passed_timestamp_seconds",
    "When the keeper last looked at everything, in seconds since 1970; 0: never. From the hub, so"
    " that it is there when the keeper is not.",
    namespace=NAMESPACE,
)
start_seconds = Histogram(
    "start_seconds",
    "Seconds of a start in each phase that came to its end (admitted: checking and taking the"
    " machine; preparing: downloading the image; waiting for a turn; starting; answering), and"
    " of those that answered in `all`.",
    ["phase"],
    namespace=NAMESPACE,
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900),
)
stops = Counter(
    "stops",
    "Leases that ended, by reason, but for those whose end the ledger was away for.",
    ["reason"],
    namespace=NAMESPACE,
)
refusals = Counter(
    "refusals",
    "Starts and changes of notebooks that were refused, by the refusal's code.",
    ["code"],
    namespace=NAMESPACE,
)
warnings = Counter(
    "warnings",
    "Warnings of a stop that people were given, by the reason of the stop.",
    ["reason"],
    namespace=NAMESPACE,
)
looks = Counter(
    "looks",
    "Looks at a running notebook, by result: busy, idle, or unknown where it did not answer.",
    ["result"],
    namespace=NAMESPACE,
)
pass_seconds = Histogram(
    "pass_seconds",
    "Seconds of the keeper's passes over all running notebooks.",
    namespace=NAMESPACE,
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
pass_overruns = Counter(
    "pass_overruns",
    "Passes that took longer than keeper_interval, so that the next began late.",
    namespace=NAMESPACE,
)
loop_lag_seconds = Histogram(
    "loop_lag_seconds",
    "Seconds by which a process's event loop came late to a timer, measured each second.",
    ["process"],
    namespace=NAMESPACE,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)

warm_starts = Counter(
    "warm_starts",
    "Starts by what the warm pool had for them: hit, miss (a pool that was empty), or failed (a"
    " claim that became a cold start).",
    ["result"],
    namespace=NAMESPACE,
)
warm_claim_seconds = Histogram(
    "warm_claim_seconds",
    "Seconds from the claim of a warm server to its first answer.",
    buckets=(0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 2, 5, 10),
    namespace=NAMESPACE,
)
warm_age_seconds = Histogram(
    "warm_age_seconds",
    "Seconds that a warm server had waited when it was claimed.",
    buckets=(1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600),
    namespace=NAMESPACE,
)
warm_servers = Gauge("warm_servers", "Warm servers by state.", ["state"], namespace=NAMESPACE)
warm_memory_bytes = Gauge(
    "warm_memory_bytes",
    "Memory that all waiting warm servers use, by their word.",
    namespace=NAMESPACE,
)

DECLARED: tuple[MetricWrapperBase, ...] = (
    leases,
    devices,
    findings,
    keeper_blind,
    keeper_passed_timestamp_seconds,
    start_seconds,
    stops,
    refusals,
    warnings,
    looks,
    pass_seconds,
    pass_overruns,
    loop_lag_seconds,
    warm_starts,
    warm_claim_seconds,
    warm_age_seconds,
    warm_servers,
    warm_memory_bytes,
)


class StartTimer:
    """A stopwatch of one start, phase by phase. A phase that fails is not counted."""

    def __init__(self, phase: str) -> None:
        """Begin with `phase` now."""
        self._begun = self._phase_begun = time.monotonic()
        self._phase = phase

    def enter(self, phase: str) -> None:
        """End the phase before this one well, and begin this one.

        The same phase again changes nothing.
        """
        if phase != self._phase:
            now = time.monotonic()
            start_seconds.labels(self._phase).observe(now - self._phase_begun)
            self._phase, self._phase_begun = phase, now

    def finish(self) -> None:
        """End the last phase and the whole start: the notebook answered."""
        self.enter("all")
        start_seconds.labels("all").observe(self._phase_begun - self._begun)


def show_keeper_trouble(kind: str) -> None:
    """Set why the keeper decides nothing; "" for nothing."""
    keeper_blind.clear()
    if kind:
        keeper_blind.labels(kind).set(1)


def show_keeper_pass(passed_at: datetime | None) -> None:
    """Set when the keeper last looked."""
    keeper_passed_timestamp_seconds.set(passed_at.timestamp() if passed_at else 0)


def show_ledger(
    lease_counts: Mapping[tuple[str, str], int],
    device_counts: Mapping[tuple[str, str], int],
    finding_counts: Mapping[str, int],
    types: Collection[str],
) -> None:
    """Set the gauges of what the ledger holds; `types` are the catalog's names.

    `lease_counts` by (instance type, state), `device_counts` by (state, model), findings by kind.
    States of a type or model are zero, not absent, where there are none, so that one can ask.
    """
    for gauge in (leases, devices, findings):
        gauge.clear()
    for instance_type, lease_state in product(types, LEASE_STATES):
        leases.labels(instance_type, lease_state)
    for (instance_type, state), count in lease_counts.items():
        leases.labels(instance_type if instance_type in types else OTHER, state).inc(count)
    for state, model in product(DEVICE_STATES, {model for _, model in device_counts}):
        devices.labels(state, model).set(device_counts.get((state, model), 0))
    for kind, count in finding_counts.items():
        findings.labels(kind).set(count)


def observe_pass(seconds: float, interval: float) -> None:
    """Record that a pass of the keeper took `seconds`.

    `interval` (seconds) is how often one is due.
    """
    pass_seconds.observe(seconds)
    if seconds > interval:
        pass_overruns.inc()


def count_look(answer: Answer | None) -> None:
    """Count a question to a notebook.

    `answer` is None if it did not reply, or replied with nonsense.
    """
    looks.labels("unknown" if answer is None else "busy" if answer.busy else "idle").inc()


def count_warning(reason: Reason) -> None:
    """Count a warning of a stop."""
    warnings.labels(reason.value).inc()


async def measure_loop_lag(process: Literal["hub", "keeper"]) -> None:
    """Measure how late this process's event loop is, until it is cancelled."""
    lag = loop_lag_seconds.labels(process)
    while True:
        due = time.monotonic() + LAG_EVERY
        await asyncio.sleep(LAG_EVERY)
        lag.observe(max(0.0, time.monotonic() - due))
