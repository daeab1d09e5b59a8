"""Names and helps of our Prometheus metrics. The hub's own /metrics shows them."""

from prometheus_client import Counter, Gauge, Histogram

WARM_STARTS = Counter(
    "gradienthub_warm_starts_total",
    "Starts by what the warm pool had for them: hit, miss (a pool that was empty), or failed (a"
    " claim that became a cold start).",
    ["result"],
)
WARM_CLAIM_SECONDS = Histogram(
    "gradienthub_warm_claim_seconds",
    "Seconds from the claim of a warm server to its first answer.",
    buckets=(0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 2, 5, 10),
)
WARM_AGE_SECONDS = Histogram(
    "gradienthub_warm_age_seconds",
    "Seconds that a warm server had waited when it was claimed.",
    buckets=(1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600),
)
WARM_SERVERS = Gauge("gradienthub_warm_servers", "Warm servers by state.", ["state"])
WARM_MEMORY_BYTES = Gauge(
    "gradienthub_warm_memory_bytes", "Memory that all waiting warm servers use, by their word."
)
