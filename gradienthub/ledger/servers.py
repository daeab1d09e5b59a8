"""Servers: what the hub's own database knows of a running one, kept for a hub that loses it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from sqlalchemy import delete, exists, or_, select

from ..rules.identity import HubUser
from ..rules.idleness import Reason, hard_end
from ..rules.lease import Lease
from .database import Transaction
from .lease_rows import lease_from, lease_query
from .schema import accounts, identities, leases, server_records


class AddressRecord(TypedDict):
    """Where a server answers, as the hub keeps it."""

    proto: str
    ip: str
    port: int
    base_url: str
    cookie_name: str


class TokenRecord(TypedDict):
    """A notebook's own token, hashed as the hub keeps it."""

    prefix: str
    hashed: str
    scopes: list[str]


class ClientRecord(TypedDict):
    """A notebook's OAuth client."""

    identifier: str
    secret: str
    redirect_uri: str
    description: str
    allowed_scopes: list[str]


class ServerRecord(TypedDict):
    """What a hub needs to make the row of a running server again."""

    user: str
    server: str
    display_name: str
    state: dict[str, object]
    address: AddressRecord
    token: TokenRecord
    client: ClientRecord | None


@dataclass(frozen=True)
class LeaseWithoutServer:
    """A running lease without a server at the hub, and whose it is.

    `users` are its owner's users that the hub has now. `body` is what `keep` was given, None where
    the lease is from before that was kept.
    """

    lease: Lease
    users: tuple[HubUser, ...]
    body: ServerRecord | None

    def due(self, now: datetime) -> Reason | None:
        """Return why it has to end now; None where no hard end has passed."""
        end = hard_end(self.lease.deadlines)
        return end.reason if end and end.at <= now else None


def keep_record(
    tx: Transaction, *, hub_id: str, lease_id: str, body: ServerRecord, now: datetime
) -> None:
    """Keep what a hub needs to make the row of this lease's server again."""
    tx.execute(delete(server_records).where(server_records.c.lease_id == lease_id))
    # Those of leases that are over are of no use any more.
    over = select(leases.c.id).where(leases.c.hub_id == hub_id, leases.c.ended_at.is_not(None))
    tx.execute(
        delete(server_records).where(
            server_records.c.hub_id == hub_id, server_records.c.lease_id.in_(over)
        )
    )
    tx.execute(server_records.insert().values(lease_id=lease_id, hub_id=hub_id, body=body, at=now))


def list_surviving_leases(tx: Transaction, hub_id: str) -> frozenset[str]:
    """Return the answered open leases that go on although the hub has no server for them.

    Either the hub user who began one is not there any more, or what makes its server's row again
    is kept: the hub's database was lost or restored, and nobody has stopped these notebooks.
    """
    same_user = exists().where(
        identities.c.account_id == leases.c.account_id,
        identities.c.replaced_at.is_(None),
        identities.c.missing_since.is_(None),
        identities.c.bound_at <= leases.c.admitted_at,
    )
    recorded = exists().where(server_records.c.lease_id == leases.c.id)
    rows = tx.execute(
        select(leases.c.id)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .where(
            leases.c.hub_id == hub_id,
            leases.c.ended_at.is_(None),
            leases.c.stop_requested_at.is_(None),
            leases.c.answered_at.is_not(None),
            accounts.c.closed_at.is_(None),
            or_(~same_user, recorded),
        )
    )
    return frozenset(rows.scalars())


def find_lease_without_server(tx: Transaction, lease_id: str) -> LeaseWithoutServer | None:
    """Return what is kept of a running lease's server; None where it is over or stopping."""
    row = tx.execute(
        lease_query()
        .add_columns(server_records.c.body)
        .outerjoin(server_records, server_records.c.lease_id == leases.c.id)
        .where(
            leases.c.id == lease_id,
            leases.c.ended_at.is_(None),
            leases.c.stop_requested_at.is_(None),
        )
    ).first()
    if row is None:
        return None
    users = tx.execute(
        select(identities).where(
            identities.c.account_id == row.account_id,
            identities.c.replaced_at.is_(None),
            identities.c.missing_since.is_(None),
        )
    )
    return LeaseWithoutServer(
        lease=lease_from(row),
        users=tuple(HubUser(u.hub_user_id, u.user_created, u.name) for u in users),
        body=row.body,
    )
