"""Operations on what runs: catalog, me, leases, extend, devices, findings, audit, state."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..ledger import By, accounts, audit, findings, fleet, keepers, watches
from ..rules.admission import lock
from ..rules.health import health, trouble_of
from ..rules.refusal import Refused, shown
from ..rules.tiers import Allowance, Facts, resolve
from ..settings import Published
from ..views.lease_view import LeaseView, Refusal, watched_view
from .api import (
    ApiHandler,
    Nothing,
    Operation,
    Page,
    Paging,
    decode_number_cursor,
    decode_time_cursor,
    encode_cursor,
    is_id,
)
from .visitor import KeeperHandler

ANYBODY = "anybody who may visit the service"
SEES_ALL = "`read:servers` for all"


class TypeView(BaseModel):
    """A machine for rent. `price` is micro-units an hour; memory is GB; `locked`: why not you."""

    name: str
    title: str
    description: str
    gpu_model: str | None
    gpus: int
    gpu_memory: float | None
    cpus: float
    memory: float
    price: int
    needs_approval: bool
    locked: Refusal | None


class RuntimeView(BaseModel):
    """An image with a name; `allowed` in the visitor's tier. Local processes have no image."""

    name: str
    title: str
    description: str
    image: str | None
    allowed: bool


class CatalogView(BaseModel):
    """What is for rent, as the visitor may."""

    currency: str
    instance_types: list[TypeView]
    runtimes: list[RuntimeView]


class MeView(BaseModel):
    """The visitor: their account, tier and who gave it, and what runs of theirs."""

    name: str
    account: str | None
    tier: str
    tier_title: str
    given_by: str
    max_running: int
    max_notebooks: int | None
    session_limit: int | None
    free_session_limit: int | None
    payment_method: bool
    running: list[LeaseView]
    sees_all: bool


class LeasesQuery(Paging):
    """`user` and `all` are for those who may see everybody's."""

    user: str = ""
    all: bool = False
    state: Literal["", "open", "ended"] = ""


class DeviceView(BaseModel):
    """A device: `holder` is null where it is free, or the lease or warm server that has it."""

    uuid: str
    host: str
    model: str
    out_of_service: bool
    holder: str | None
    holder_kind: str | None
    since: datetime | None


class FindingView(BaseModel):
    """Something that is wrong, or was: `mended_at` says since when it is not any more."""

    id: int
    kind: str
    why: str
    repair: str
    lease: str | None
    times: int
    first_at: datetime
    last_at: datetime
    mended_at: datetime | None


class TroubleView(BaseModel):
    """Why nobody can tell what is wrong now, since when, and what to do."""

    model_config = ConfigDict(from_attributes=True)

    kind: str
    why: str
    cure: str
    since: datetime | None


class FindingsView(Page[FindingView]):
    """Findings behind one sentence: `trouble` is not null while the keeper looks at nothing, and
    then an empty list does not say that nothing is wrong."""

    headline: str
    trouble: TroubleView | None


class AuditQuery(Paging):
    """`user` and `all` are for those who may see everybody's; `day` is one of UTC."""

    user: str = ""
    all: bool = False
    action: str = ""
    day: date | None = None


class AuditView(BaseModel):
    """Who did what to whom."""

    id: int
    at: datetime
    actor: str
    user: str | None
    action: str
    detail: dict[str, object]


class StateView(BaseModel):
    """The keeper: whether it acts, its last pass, and what keeps it from deciding."""

    acting: bool
    trouble: str
    holder: str | None
    passed_at: datetime | None
    pass_seconds: float | None
    dry_run: bool | None
    #: Since when it decides nothing, and what to say and do then.
    trouble_since: datetime | None = None
    why: str = ""
    cure: str = ""


class FindingsQuery(Nothing):
    """`mended`: also what is not wrong any more."""

    mended: bool = False


async def account_of(handler: KeeperHandler, name: str) -> accounts.Account | None:
    """Return the open account of that name, or None before the first start."""
    try:
        return await handler.read(accounts.find, hub_id=handler.context.hub_id, name=name)
    except accounts.NoSuchAccount:
        return None


async def own_account(handler: KeeperHandler) -> accounts.Account | None:
    """Return the visitor's account; None before their first start, and for a service."""
    who = handler.visitor
    return await account_of(handler, who.name) if who.is_user(who.name) else None


async def allowance_of(handler: ApiHandler, account: accounts.Account | None) -> Allowance:
    """Return what the visitor may do, by what the hub and their provider say of them."""
    published, groups = handler.published, handler.visitor.groups
    if account is None:
        return resolve(Facts(groups=groups), published.tiers, published.tier_rules)
    return await handler.read(
        accounts.allowance_of,
        account,
        groups=groups,
        tiers=published.tiers,
        rules=published.tier_rules,
        now=handler.context.clock(),
    )


async def catalog(handler: ApiHandler, query: Nothing) -> CatalogView:
    """Return what is for rent."""
    published = handler.published
    allowance = await allowance_of(handler, await own_account(handler))
    table = published.catalog
    types = []
    for machine in table.instance_types:
        why = lock(machine, allowance, published.tiers, table.currency)
        types.append(
            TypeView(
                **machine.model_dump(include=set(TypeView.model_fields) - {"price", "locked"}),
                price=machine.price,
                locked=Refusal(code=why.code, message=why.message, hint=why.hint) if why else None,
            )
        )
    runtimes = [
        RuntimeView(
            name=runtime.name,
            title=runtime.title,
            description=runtime.description,
            image=runtime.image,
            allowed=allowance.tier.allows_runtime(runtime),
        )
        for runtime in table.runtimes
    ]
    return CatalogView(currency=table.currency, instance_types=types, runtimes=runtimes)


async def me(handler: ApiHandler, query: Nothing) -> MeView:
    """Return who you are here."""
    who = handler.visitor
    account = await own_account(handler)
    allowance = await allowance_of(handler, account)
    tier = allowance.tier
    limit, free_limit = tier.session_limit, tier.free_session_limit
    running = await views(handler, account_id=account.id, state="open") if account else []
    return MeView(
        name=who.name,
        account=account.id if account else None,
        tier=tier.name,
        tier_title=tier.title,
        given_by=allowance.given_by,
        max_running=tier.max_running,
        max_notebooks=tier.max_notebooks,
        session_limit=None if limit is None else round(limit.total_seconds()),
        free_session_limit=None if free_limit is None else round(free_limit.total_seconds()),
        payment_method=bool(account and account.payment_method),
        running=running,
        sees_all=who.sees_all,
    )


async def whose(handler: ApiHandler, user: str, everybody: bool) -> str | None:
    """Return the account that a list is about, the visitor's own for "", or None for everybody's.

    Refuses who may not see it.
    """
    who = handler.visitor
    if everybody or (user and not who.is_user(user)):
        handler.need(who.sees_all, "see what is another's")
    if everybody:
        return None
    account = await (account_of(handler, user) if user else own_account(handler))
    if account is None and user:
        raise Refused(
            "not_found",
            f"There is no account of {shown(user)}.",
            "It is made at their first login, or by `gradienthub account prepare`.",
        )
    # Nobody's: a service or somebody who never came has an empty list.
    return account.id if account else "-"


async def views(
    handler: KeeperHandler,
    *,
    account_id: str | None,
    state: str = "",
    before: tuple[datetime, str] | None = None,
    limit: int = 200,
) -> list[LeaseView]:
    """List leases as people and programs see them, the newest first."""
    published, now = handler.published, handler.context.clock()
    leases = await handler.read(
        watches.list_watched,
        handler.context.hub_id,
        account_id=account_id,
        state=state,
        before=before,
        limit=limit,
    )
    return [lease_as_view(watched, published, now) for watched in leases]


def lease_as_view(watched: watches.Watched, published: Published, now: datetime) -> LeaseView:
    """Return a lease with what keeps or ends it."""
    return watched_view(watched, published.catalog, published.tiers, published.policy.grace, now)


async def list_leases(handler: ApiHandler, query: LeasesQuery) -> Page[LeaseView]:
    """List leases, the newest first."""
    account_id = await whose(handler, query.user, query.all)
    items = await views(
        handler,
        account_id=account_id,
        state=query.state,
        before=decode_time_cursor(query.after),
        limit=query.limit,
    )
    full = len(items) == query.limit
    last = encode_cursor(items[-1].admitted_at, items[-1].lease) if full else None
    return Page(items=items, next=last)


async def one_lease(handler: ApiHandler, query: Nothing, lease: str) -> LeaseView:
    """Return one lease."""
    watched, _ = await visible(handler, lease)
    return lease_as_view(watched, handler.published, handler.context.clock())


async def visible(handler: ApiHandler, lease: str) -> tuple[watches.Watched, bool]:
    """Return a lease that the visitor may see, and whether it is theirs; else it does not exist."""
    watched = (
        await handler.read(watches.find_any_lease, handler.context.hub_id, lease)
        if is_id(lease)
        else None
    )
    # By the account: a name may have belonged to somebody else before.
    account = await own_account(handler) if watched else None
    own = bool(watched and account and account.id == watched.lease.account_id)
    if watched is None or not (own or handler.visitor.sees_all):
        raise Refused(
            "not_found",
            f"There is no lease {shown(lease)} of yours.",
            "GET leases lists them.",
            field="lease",
        )
    return watched, own


async def extend(handler: ApiHandler, query: Nothing, lease: str) -> LeaseView:
    """Keep a notebook for one more interval."""
    _, own = await visible(handler, lease)
    published, now = handler.published, handler.context.clock()
    handler.need(own or handler.visitor.extends_all, "extend another's notebook")
    extended = await handler.record(
        watches.extend_lease,
        lease,
        By(handler.context.hub_id, handler.visitor.actor, now),
        tiers=published.tiers,
        grace=published.policy.grace,
        program=handler.by_token,
    )
    if isinstance(extended, Refused):
        raise extended
    return watched_view(extended, published.catalog, published.tiers, published.policy.grace, now)


async def devices(handler: ApiHandler, query: Nothing) -> Page[DeviceView]:
    """List every device and who has it."""
    handler.need(handler.visitor.sees_all, "see the fleet")
    rows = await handler.read(fleet.list_devices, handler.context.hub_id)
    return Page(
        items=[
            DeviceView(
                uuid=row["uuid"],
                host=row["host"],
                model=row["model"],
                out_of_service=row["out_of_service"],
                holder=row["holder_id"],
                holder_kind=row["holder_kind"],
                since=row["since"],
            )
            for row in rows
        ]
    )


async def list_findings(handler: ApiHandler, query: FindingsQuery) -> FindingsView:
    """Return what is wrong, or why nobody can tell."""
    handler.need(handler.visitor.sees_all, "see findings")
    context = handler.context
    rows = await handler.read(findings.list_findings, context.hub_id, standing=not query.mended)
    keeper = await handler.read(keepers.find_keeper, context.hub_id) or {}
    standing = sum(row["mended_at"] is None for row in rows)
    judged = health(context.facts(keeper.get("passed_at")), standing, context.clock())
    return FindingsView(
        headline=judged.headline,
        trouble=judged.trouble and TroubleView.model_validate(judged.trouble),
        items=[FindingView.model_validate({**row, "lease": row["lease_id"]}) for row in rows],
    )


def within(day: date | None) -> audit.Between:
    """Return the moments that bound a day of UTC; none of None."""
    # There is no day after the last one of all time.
    if day is None or day == date.max:
        return audit.ALWAYS
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


async def list_audit(handler: ApiHandler, query: AuditQuery) -> Page[AuditView]:
    """Return who did what: what touched you, or for those who may everything."""
    account_id = await whose(handler, query.user, query.all)
    rows = await handler.read(
        audit.list_rows,
        hub_id=handler.context.hub_id,
        account_id=account_id,
        action=query.action or None,
        before=decode_number_cursor(query.after),
        limit=query.limit,
        between=within(query.day),
    )
    items = [
        AuditView(
            user=row["account_name"],
            **{k: row[k] for k in ("id", "at", "actor", "action", "detail")},
        )
        for row in rows
    ]
    return Page(
        items=items, next=encode_cursor(items[-1].id) if len(items) == query.limit else None
    )


async def state(handler: ApiHandler, query: Nothing) -> StateView:
    """Return the keeper itself."""
    context = handler.context
    try:
        row, trouble = (
            await handler.read(keepers.find_keeper, context.hub_id) or {},
            context.trouble,
        )
    except Refused as away:
        # The one call that also answers then: it is what a monitor asks.
        row, trouble = {}, away.code
    facts = replace(context.facts(row.get("passed_at")), trouble=trouble)
    why = trouble_of(facts, context.clock())
    return StateView(
        trouble_since=why.since if why else None,
        why=why.why if why else "",
        cure=why.cure if why else "",
        acting=context.acting,
        trouble=trouble,
        holder=row.get("holder"),
        passed_at=row.get("passed_at"),
        pass_seconds=row.get("pass_seconds"),
        dry_run=context.published.policy.dry_run if context.published else None,
    )


OPERATIONS = (
    Operation("GET", "catalog", catalog, CatalogView, "What is for rent, as you may", ANYBODY),
    Operation("GET", "me", me, MeView, "Your account, tier and what runs", ANYBODY),
    Operation(
        "GET",
        "leases",
        list_leases,
        Page[LeaseView],
        "Leases, the newest first",
        f"own: {ANYBODY}; others: {SEES_ALL}",
        LeasesQuery,
    ),
    Operation(
        "GET",
        "leases/{lease}",
        one_lease,
        LeaseView,
        "One lease",
        f"own: {ANYBODY}; others: {SEES_ALL}",
    ),
    Operation(
        "POST",
        "leases/{lease}/extend",
        extend,
        LeaseView,
        "Keep a notebook for one more interval",
        f"own: {ANYBODY}; others: `start:servers` for all",
    ),
    Operation("GET", "devices", devices, Page[DeviceView], "Every device and who has it", SEES_ALL),
    Operation(
        "GET", "findings", list_findings, FindingsView, "What is wrong", SEES_ALL, FindingsQuery
    ),
    Operation(
        "GET",
        "audit",
        list_audit,
        Page[AuditView],
        "Who did what to whom",
        f"what touched you: {ANYBODY}; everything: {SEES_ALL}",
        AuditQuery,
    ),
    Operation(
        "GET", "state", state, StateView, "Whether the keeper decides, and its last pass", ANYBODY
    ),
)
