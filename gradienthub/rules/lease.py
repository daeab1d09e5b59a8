"""A lease: one run of one notebook on one instance type, as one value."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from .idleness import Deadlines, Reason
from .metering import Gap, Times
from .notebook import title_of
from .phase import LeaseState, Phase
from .use import Use


def state_of(
    answered_at: datetime | None, stop_requested_at: datetime | None, ended_at: datetime | None
) -> LeaseState:
    """Return where a lease is in its life, in one of four words."""
    if ended_at is not None:
        return LeaseState.ENDED
    if stop_requested_at is not None:
        return LeaseState.STOPPING
    return LeaseState.STARTING if answered_at is None else LeaseState.RUNNING


def first_of(moments: Iterable[datetime | None]) -> datetime | None:
    """Return the first of these moments, or None where there is none."""
    return min((moment for moment in moments if moment is not None), default=None)


@dataclass(frozen=True)
class Claim:
    """The warm server that a start claims: its container, where it will answer, what it is made of,
    and since when it waits.
    """

    slot_id: str
    object_id: str
    address: str
    digest: str
    waits_since: datetime


@dataclass(frozen=True, kw_only=True)
class Lease:
    """One run of one notebook on a machine. Money is micro-units, `price` an hour's; memory is GB.

    `forgiven` is what was not charged of its bill, where that is known.
    """

    id: str
    hub_id: str
    account_id: str
    account_name: str
    notebook_id: str
    server_name: str
    display_name: str
    instance_type: str
    price: int
    currency: str
    tier: str
    tier_given_by: str
    #: Whose budgets it counts for, as they were at its start; None before there was a bill.
    groups: tuple[str, ...] | None
    runtime: str | None
    image: str | None
    custom_image: bool
    interface: str
    host: str
    #: Where its CPUs and memory are counted: the host of one hub, or one that hubs share.
    host_key: str
    devices: tuple[str, ...] = ()
    cpus: float
    memory: float

    shutdown_after: timedelta | None
    stop_at: datetime | None = None
    session_ends_at: datetime | None = None
    keep_until: datetime | None = None
    #: How often programs extended it since a person did.
    program_extensions: int = 0

    phase: Phase
    phase_at: datetime
    admitted_at: datetime
    turn_at: datetime | None = None
    started_at: datetime | None = None
    answered_at: datetime | None = None
    confirmed_at: datetime | None = None
    #: When it was last known to be alive: one that is found dead is billed until then.
    seen_at: datetime | None = None
    #: When its own server last answered the keeper: what is not reachable later begins there.
    reached_at: datetime | None = None
    stop_requested_at: datetime | None = None
    ended_at: datetime | None = None
    #: When nobody could reach it, which costs nothing.
    gaps: tuple[Gap, ...] = ()
    forgiven: int = 0

    reason: Reason | None = None
    stopped_by: str | None = None
    #: What the one who stopped it wrote to its owner.
    stop_note: str | None = None
    used_at: datetime | None = None
    used_by: Use | None = None
    exit_code: int | None = None
    out_of_memory: bool | None = None
    last_words: str | None = None

    object_name: str | None = None
    object_id: str | None = None
    #: The warm server that it claimed; None where it starts cold.
    warm_slot: str | None = None
    #: The same for who starts it, and the warm servers that make way for it.
    claim: Claim | None = None
    evicts: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Return what people call its notebook."""
        return title_of(self.display_name, self.server_name)

    @property
    def state(self) -> LeaseState:
        """Return where it is in its life, in one of four words."""
        return state_of(self.answered_at, self.stop_requested_at, self.ended_at)

    @property
    def deadlines(self) -> Deadlines:
        """Return what ends it, without what only the keeper knows."""
        return Deadlines(
            shutdown_after=self.shutdown_after,
            stop_at=self.stop_at,
            session_ends_at=self.session_ends_at,
            keep_until=self.keep_until,
        )

    @property
    def hard_end(self) -> datetime | None:
        """Return when it ends however it is used, or None."""
        return first_of((self.stop_at, self.session_ends_at))

    @property
    def times(self) -> Times:
        """Return what its bill is made of."""
        return Times(
            price=self.price,
            custom_image=self.custom_image,
            started_at=self.started_at,
            answered_at=self.answered_at,
            seen_at=self.seen_at,
            stop_requested_at=self.stop_requested_at,
            ended_at=self.ended_at,
            gaps=self.gaps,
        )
