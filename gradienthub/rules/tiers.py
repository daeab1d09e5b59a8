"""Tiers, and the one function that turns facts about a person into an allowance."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import Field, model_validator

from .catalog import Amount, Catalog, Duration, InstanceType, Row, Runtime, Slug, Title
from .refusal import Refused


class Tier(Row):
    """A subscription: which machines, how many at once, for how long.

    `instance_types` and `runtimes` hold names, "free" for every free type, or "*". Durations of
    None mean no limit. `private_hosts` opens hosts reserved for one of the person's groups.
    `max_running_free` caps free types apart (None: no cap of their own). `max_notebooks` caps the
    named notebooks that exist, running or stopped (None: no cap). `session_limit` ends each lease,
    `free_session_limit` those of free types. `program_extensions` is how often programs may extend
    a lease until a person does (None: always). `funding` says how paid
    types are paid: from credit (prepaid), owed up to `credit_limit` (postpaid; None: without
    limit), or not at all (none).
    """

    name: Slug
    title: Title
    order: int = 0
    price_per_month: Amount = 0
    instance_types: tuple[str, ...] = ("*",)
    max_running: int = Field(default=1, ge=1, le=10_000)
    max_running_free: int | None = Field(default=1, ge=1)
    max_notebooks: int | None = Field(default=100, ge=1)
    session_limit: Duration | None = None
    free_session_limit: Duration | None = None
    program_extensions: int | None = Field(default=8, ge=0)
    shutdown_choices: tuple[Duration, ...] = Field(min_length=1)
    shutdown_min: Duration
    shutdown_max: Duration
    shutdown_default: Duration | None = None
    shutdown_required: bool = True
    storage: float | None = Field(default=None, gt=0)
    runtimes: tuple[str, ...] = ("*",)
    default_runtime: Slug | None = None
    custom_images: tuple[str, ...] = ()
    funding: Literal["none", "prepaid", "postpaid"] = "postpaid"
    credit_limit: Amount | None = None
    private_hosts: bool = True

    @model_validator(mode="after")
    def _intervals_within_bounds(self) -> Self:
        if self.shutdown_min > self.shutdown_max:
            raise ValueError("shutdown_min must not exceed shutdown_max")
        intervals = [*self.shutdown_choices]
        if self.shutdown_default is not None:
            intervals.append(self.shutdown_default)
        for interval in intervals:
            if not self.allows_interval(interval):
                raise ValueError(
                    "shutdown_choices and shutdown_default must lie between shutdown_min"
                    " and shutdown_max"
                )
        return self

    def session_limit_of(self, instance_type: InstanceType) -> timedelta | None:
        """Return how long a lease of the type may last at most; None: as long as one likes."""
        limits = [self.session_limit, self.free_session_limit if instance_type.free else None]
        return min((limit for limit in limits if limit), default=None)

    def allows_interval(self, interval: timedelta) -> bool:
        """Return whether a notebook of this tier may stop after that much idleness."""
        return self.shutdown_min <= interval <= self.shutdown_max

    def allows_type(self, instance_type: InstanceType) -> bool:
        """Return whether this tier may rent the type (approval and payment aside)."""
        return (
            "*" in self.instance_types
            or instance_type.name in self.instance_types
            or ("free" in self.instance_types and instance_type.free)
        )

    def allows_runtime(self, runtime: Runtime) -> bool:
        """Return whether this tier may use the runtime."""
        return "*" in self.runtimes or runtime.name in self.runtimes

    def allows_image(self, image: str) -> bool:
        """Return whether this tier may start the custom image: shell-style patterns of
        `custom_images`."""
        return any(fnmatchcase(image, pattern) for pattern in self.custom_images)


class ClaimRule(Row):
    """A tier by what the identity provider says: `claim` (dotted path) is or contains `value`."""

    claim: str = Field(min_length=1, max_length=200)
    value: str | int | bool
    tier: Slug

    def matches(self, claims: Mapping[str, object]) -> bool:
        """Return whether these claims satisfy the rule."""
        claim: object = claims
        for part in self.claim.split("."):
            if not isinstance(claim, Mapping) or part not in claim:
                return False
            claim = claim[part]
        values = claim if isinstance(claim, list | tuple) else [claim]
        # True == 1 in Python; a claim must not match by that accident.
        return any(type(value) is type(self.value) and value == self.value for value in values)


class TierRules(Row):
    """How a tier is found: set for a person, else by group, else by claim, else the default.

    Of several groups or claims that match, the tier of the highest `order` wins.
    """

    default: Slug
    by_group: Mapping[str, Slug] = Field(default_factory=dict)
    by_claim: tuple[ClaimRule, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What is known of a person when a tier is resolved."""

    person_tier: str | None = None
    person_tier_by: str | None = None
    groups: frozenset[str] = frozenset()
    claims: Mapping[str, object] = field(default_factory=dict)
    payment_method: bool = False
    approvals: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Allowance:
    """What one person may do, and who gave it ("group lab-bio", "default")."""

    tier: Tier
    given_by: str
    groups: frozenset[str]
    payment_method: bool
    approvals: frozenset[str]

    @property
    def host_groups(self) -> frozenset[str]:
        """The groups whose reserved hosts are open to this person: none in a tier without them."""
        return self.groups if self.tier.private_hosts else frozenset()

    def default_runtime(self, catalog: Catalog) -> Runtime | None:
        """Return the runtime of a start that names none: the tier's mark, else the first it may
        use."""
        if self.tier.default_runtime:
            return catalog.runtime(self.tier.default_runtime)
        return next((r for r in catalog.runtimes if self.tier.allows_runtime(r)), None)


def resolve(facts: Facts, tiers: Mapping[str, Tier], rules: TierRules) -> Allowance:
    """Return the allowance these facts give. A tier no longer configured is passed over.

    Never fails: that the default tier exists is checked where the rules are configured.
    """
    tier, given_by = _tier(facts, tiers, rules)
    return Allowance(
        tier=tier,
        given_by=given_by,
        groups=facts.groups,
        payment_method=facts.payment_method,
        approvals=facts.approvals,
    )


def _tier(facts: Facts, tiers: Mapping[str, Tier], rules: TierRules) -> tuple[Tier, str]:
    if facts.person_tier is not None and facts.person_tier in tiers:
        return tiers[facts.person_tier], facts.person_tier_by or "an administrator"
    by_group = [
        (tiers[name], f"group {group}")
        for group, name in sorted(rules.by_group.items())
        if group in facts.groups and name in tiers
    ]
    by_claim = [
        (tiers[rule.tier], f"claim {rule.claim}")
        for rule in rules.by_claim
        if rule.tier in tiers and rule.matches(facts.claims)
    ]
    for matching in (by_group, by_claim):
        if matching:
            return max(matching, key=lambda pair: pair[0].order)
    return tiers[rules.default], "default"


def refuse_notebook(count: int, allowance: Allowance) -> Refused | None:
    """Return why somebody with `count` named notebooks may not have one more, or None."""
    tier = allowance.tier
    if tier.max_notebooks is None or count < tier.max_notebooks:
        return None
    return Refused(
        "too_many_notebooks",
        f"There are {count} named notebooks already, and tier {tier.title} (from"
        f" {allowance.given_by}) has {tier.max_notebooks}.",
        "Delete one that is not needed any more; its files are kept for a while. Stopped ones"
        " count, too.",
    )


def cheapest_with(instance_type: InstanceType, tiers: Iterable[Tier]) -> Tier | None:
    """Return the lowest tier that may rent the type, for "Needs tier G2"."""
    return min(
        (tier for tier in tiers if tier.allows_type(instance_type)),
        key=lambda tier: tier.order,
        default=None,
    )
