"""Operations on money: quote, usage, statements, accounts, what one asks for."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from ..ledger import (
    Transaction,
    accounts,
    credits,
    grants,
    holds,
    limits,
    requests,
    statements,
    usage,
)
from ..ledger.accounts import Account
from ..rules.admission import entitle
from ..rules.entry import Kind, month_of, month_start, parse_month
from ..rules.funds import Funds, refusal
from ..rules.metering import quote
from ..rules.options import Interface, parse_options
from ..rules.refusal import Refused, shown
from ..rules.statement import Statement
from ..rules.tiers import Allowance
from ..settings import Published
from ..views.lease_view import Refusal
from ..views.statement import as_json
from .api import ApiHandler, Input, Nothing, Operation, Page, Paging, decode_cursor, encode_cursor
from .operations import ANYBODY, SEES_ALL, account_of, own_account, whose
from .visitor import KeeperHandler

RUNS_MONEY = "an admin who sees everybody's, or a service with `admin:users`"
OWN_MONEY = f"own: {ANYBODY}; others: {RUNS_MONEY}"
#: Days of one report of usage.
LONGEST_REPORT = 366


class QuoteBody(Input):
    """The options of a start."""

    instance_type: str = ""
    runtime: str | None = None
    image: str | None = None
    shutdown_after: StrictInt | str | None = None
    stop_at: str | None = None
    interface: Interface = "lab"


class QuoteView(BaseModel):
    """What a start would cost, in micro-units.

    `if_you_walk_away` is null where nothing stops it when idle, `at_most` where it has no end;
    `money_ends` is when the money would stop it; `left_after` what may still be spent after the
    start that is walked away from. `refused`: why it cannot be paid now.
    """

    model_config = ConfigDict(from_attributes=True)

    per_hour: int
    currency: str
    if_you_walk_away: int | None
    at_most: int | None
    idle_stop: datetime | None
    ends_by: datetime | None
    money_ends: datetime | None
    balance: int
    left_after: int | None
    refused: Refusal | None = None


class UsageQuery(Input):
    """Days are UTC, `last` included. `by` user and group are everybody's, and for those who may see
    it; `user` and `all` go with type and day."""

    by: Literal["day", "type", "user", "group"] = "day"
    first: date | None = Field(default=None, ge=date(2000, 1, 1), le=date(2999, 1, 1))
    last: date | None = Field(default=None, ge=date(2000, 1, 1), le=date(2999, 1, 1))
    user: str = ""
    all: bool = False


class UsedView(BaseModel):
    """What was used: `what` is a machine, person or group; `charged` is micro-units.

    `leases` counts those that ended.
    """

    day: date | None = None
    what: str
    leases: int
    seconds: float
    charged: int


class UsageView(BaseModel):
    """A report of these days. What runs now counts once it is stopped or its month is over."""

    first: date
    last: date
    by: str
    currency: str
    items: list[UsedView]


class StatementQuery(Input):
    """`user` is the name or id of an account, for those who may."""

    user: str = ""


class MonthView(BaseModel):
    """A month that has a statement; `over`: nothing is added to it."""

    month: str
    over: bool


class LineView(BaseModel):
    """An entry; money is micro-units, null where its kind has none."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    number: int
    recorded: datetime
    kind: Kind
    what: str
    instance_type: str | None
    price: int | None
    from_at: datetime | None = Field(alias="from")
    until: datetime | None
    not_observed_until: datetime | None
    billed: int | None
    overrun: int | None
    not_charged: int | None
    amount: int
    balance: int
    lease: str | None


class StatementView(BaseModel):
    """A month of an account: opening + credits + charges = closing, in micro-units.

    `head` is the hash of the last entry so far; `running` what open leases cost beyond the entries.
    """

    hub: str
    account: str
    name: str
    month: str
    over: bool
    as_of: datetime
    currency: str
    opening: int
    credits: int
    charges: int
    closing: int
    running: int
    entries: list[LineView]
    head: str


class BudgetView(BaseModel):
    """A limit of this month, micro-units: `soft` warns, `hard` stops; `group` is null for the
    person's own. `spent` is with what is held."""

    group: str | None
    soft: int | None
    hard: int | None
    spent: int


class PurseView(BaseModel):
    """What an account has, in micro-units.

    `held` is reserved for what runs, `running` what that has cost beyond the entries so far, and
    `available` what may still be spent (null: no limit). `tier_per_month` and `storage` (GB; null:
    not said) are what the tier costs and promises; GradientHub neither charges nor enforces them.
    """

    account: str
    name: str
    tier: str
    given_by: str
    tier_per_month: int
    storage: float | None
    payment_method: bool
    currency: str
    balance: int
    held: int
    running: int
    per_hour: int
    available: int | None
    budgets: list[BudgetView]
    approvals: list[str]


class CreditView(BaseModel):
    """Money given; `unspent` is what no charge has used up, micro-units."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    currency: str
    amount: int
    unspent: int
    reason: str
    given_by: str
    given_at: datetime
    expires_at: datetime | None


class RequestsQuery(Input):
    """`all`: everybody's that wait, for those who may answer."""

    all: bool = False


class RequestView(BaseModel):
    """Somebody asks to rent an instance type; `granted` is null until it is decided."""

    model_config = ConfigDict(from_attributes=True)

    account_name: str
    instance_type: str
    reason: str
    asked_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    granted: bool | None
    answer: str | None


class AskBody(Input):
    """A request for an instance type that needs an approval."""

    instance_type: str
    reason: str = Field(default="", max_length=requests.LONGEST_REASON)


async def own(handler: KeeperHandler) -> Account | None:
    """Return the visitor's account with the groups that hub and provider say of them; None: none
    yet."""
    account = await own_account(handler)
    return account and replace(account, hub_groups=handler.visitor.groups)


async def person(handler: KeeperHandler, name: str) -> Account:
    """Return the open account of that name; the visitor's own, or anybody's for who runs the money.

    The hub's groups of others are those that it told the ledger last.
    """
    if handler.visitor.is_user(name):
        account = await own(handler)
    else:
        handler.need(handler.visitor.runs_money, "see another's account")
        account = await account_of(handler, name)
    if account is None:
        raise Refused(
            "not_found",
            f"There is no account of {shown(name)}.",
            "It is made at their first login, or by `gradienthub account prepare`.",
        )
    return account


def allowed_funds(
    tx: Transaction, hub_id: str, account: Account, published: Published, now: datetime
) -> tuple[Allowance, Funds]:
    """Return what the account may do and spend."""
    allowance = accounts.allowance_of(
        tx,
        account,
        tiers=published.tiers,
        rules=published.tier_rules,
        now=now,
    )
    funds = holds.compute_funds(
        tx,
        hub_id=hub_id,
        account_id=account.id,
        groups=allowance.groups,
        tier=allowance.tier,
        currency=published.catalog.currency,
        now=now,
    )
    return allowance, funds


def purse_of(
    tx: Transaction, hub_id: str, account: Account, published: Published, now: datetime
) -> PurseView:
    """Return what the account has and may."""
    allowance, funds = allowed_funds(tx, hub_id, account, published, now)
    currency = published.catalog.currency
    has = statements.read_standing(tx, account_id=account.id, currency=currency, now=now)
    held = [
        hold
        for hold in holds.list_held(tx, hub_id=hub_id, now=now, account_id=account.id)
        if hold.lease.currency == currency
    ]
    scopes = usage.scopes_of(account.id, allowance.groups)
    budgets = limits.list_budgets(tx, hub_id=hub_id, now=now, currency=currency, scopes=scopes)
    spent = {purse.group: purse.spent for purse in (*funds.purses, *funds.soft) if purse.spent}
    return PurseView(
        account=account.id,
        name=account.name,
        tier=allowance.tier.name,
        given_by=allowance.given_by,
        tier_per_month=allowance.tier.price_per_month,
        storage=allowance.tier.storage,
        payment_method=account.payment_method,
        currency=currency,
        balance=funds.balance,
        held=sum(hold.amount for hold in held),
        running=has.running,
        per_hour=sum(hold.lease.price for hold in held if hold.lease.answered_at),
        available=funds.available,
        budgets=[_budget(budget, spent) for budget in budgets],
        approvals=sorted(allowance.approvals),
    )


def _budget(budget: limits.Budget, spent: dict[str, int]) -> BudgetView:
    return BudgetView(
        group=budget.group,
        soft=budget.soft,
        hard=budget.hard,
        spent=spent.get(budget.group or "", budget.charged),
    )


async def make_quote(handler: ApiHandler, query: Nothing, body: QuoteBody) -> QuoteView:
    """Quote what a start would cost."""
    options = parse_options(body.model_dump(exclude_unset=True))
    published, context = handler.published, handler.context
    now = context.clock()
    account = await person(handler, handler.visitor.name)
    allowance, funds = await handler.read(allowed_funds, context.hub_id, account, published, now)
    wanted = entitle(options, allowance, published.house, now)
    if isinstance(wanted, Refused):
        raise wanted
    machine = wanted.instance_type
    quoted = quote(
        machine.price,
        funds,
        now,
        shutdown_after=wanted.shutdown_after,
        session_limit=allowance.tier.session_limit_of(machine),
        stop_at=wanted.stop_at,
    )
    view = QuoteView.model_validate(quoted)
    if no := refusal(machine.price, machine.title, funds):
        view.refused = Refusal(code=no.code, message=no.message, hint=no.hint)
    return view


async def get_usage(handler: ApiHandler, query: UsageQuery) -> UsageView:
    """Report what was used and charged."""
    published, context = handler.published, handler.context
    now = context.clock()
    first, last = query.first or month_start(now).date(), query.last or now.date()
    if not timedelta(0) <= last - first < timedelta(days=LONGEST_REPORT):
        raise Refused(
            "bad_query",
            f"last: {last} is not within {LONGEST_REPORT} days after {first}.",
            "Choose a shorter range of days.",
            field="last",
        )
    currency = published.catalog.currency
    period = usage.Period(context.hub_id, currency, first, last + timedelta(days=1))
    items = await _used(handler, query, period)
    return UsageView(first=first, last=last, by=query.by, currency=currency, items=items)


async def _used(handler: ApiHandler, query: UsageQuery, period: usage.Period) -> list[UsedView]:
    if query.by in ("user", "group"):
        handler.need(handler.visitor.sees_all, "see what is another's")
        if query.user:
            raise Refused("bad_query", "user goes with by=day and by=type.", field="user")
        by = usage.by_user if query.by == "user" else usage.by_group
        return [UsedView(**vars(used)) for used in await handler.read(by, period)]
    account_id = await whose(handler, query.user, query.all)
    scope = usage.HUB if account_id is None else usage.account_scope(account_id)
    if query.by == "type":
        types = await handler.read(usage.by_type, period, scope)
        return [UsedView(**vars(used)) for used in types]
    return [
        UsedView(
            day=day.day,
            what=day.instance_type,
            leases=day.leases,
            seconds=day.seconds,
            charged=day.charged,
        )
        for day in await handler.read(usage.by_day, period, scope)
    ]


async def billed_account(handler: KeeperHandler, user: str) -> str:
    """Return the id of an account with statements: the visitor's, or any for who runs the money,
    also of a closed one."""
    if not user or handler.visitor.is_user(user):
        return (await person(handler, handler.visitor.name)).id
    handler.need(handler.visitor.runs_money, "see another's statements")
    ids = await handler.read(statements.account_ids, hub_id=handler.context.hub_id, name=user)
    if not ids:
        raise Refused("not_found", f"There is no account of {shown(user)}.")
    return ids[0]


def begun_month(month: str, now: datetime) -> datetime:
    """Parse "2026-11" into the first moment of that month. Refuses one that has not begun."""
    try:
        first = parse_month(month)
    except ValueError:
        first = None
    if first is None or first > now:
        raise Refused(
            "not_found",
            f"{shown(month)} is not a month that has begun.",
            "Write for example 2026-11.",
            field="month",
        )
    return first


async def statement_of(handler: KeeperHandler, month: str, user: str) -> Statement:
    """Return the statement of a month. Refuses what is no month that has begun."""
    now = handler.context.clock()
    currency = handler.published.catalog.currency
    begun_month(month, now)
    account_id = await billed_account(handler, user)
    return await handler.read(
        statements.read_statement, account_id=account_id, month=month, currency=currency, now=now
    )


async def list_statements(handler: ApiHandler, query: StatementQuery) -> Page[MonthView]:
    """Return the months that have entries, the newest first."""
    account_id = await billed_account(handler, query.user)
    currency, now = handler.published.catalog.currency, handler.context.clock()
    months = await handler.read(statements.list_months, account_id=account_id, currency=currency)
    return Page(items=[MonthView(month=month, over=month < month_of(now)) for month in months])


async def one_statement(handler: ApiHandler, query: StatementQuery, month: str) -> StatementView:
    """Return a month of an account."""
    return StatementView.model_validate(as_json(await statement_of(handler, month, query.user)))


async def list_accounts(handler: ApiHandler, query: Paging) -> Page[PurseView]:
    """List every open account by name."""
    handler.need(handler.visitor.runs_money, "see everybody's accounts")
    cursor = decode_cursor(query.after, 1)
    page, more = await handler.read(
        purses,
        handler.context.hub_id,
        handler.published,
        handler.context.clock(),
        after=cursor[0] if cursor else "",
        limit=query.limit,
    )
    return Page(items=page, next=encode_cursor(page[-1].name) if more else None)


def purses(
    tx: Transaction, hub_id: str, published: Published, now: datetime, *, after: str, limit: int
) -> tuple[list[PurseView], bool]:
    """Open accounts by name behind `after`, at most `limit`; and whether there are more."""
    rest = accounts.list_accounts(tx, hub_id=hub_id, after=after, limit=limit + 1)
    page = [purse_of(tx, hub_id, account, published, now) for account in rest[:limit]]
    return page, len(rest) > limit


async def one_account(handler: ApiHandler, query: Nothing, name: str) -> PurseView:
    """Return what an account has and may."""
    account = await person(handler, name)
    context = handler.context
    return await handler.read(purse_of, context.hub_id, account, handler.published, context.clock())


async def list_credits(handler: ApiHandler, query: Nothing, name: str) -> Page[CreditView]:
    """List every credit of an account, the newest first."""
    account = await person(handler, name)
    records = await handler.read(credits.list_credits, account.id)
    return Page(items=[CreditView.model_validate(credit) for credit in records])


async def list_requests(handler: ApiHandler, query: RequestsQuery) -> Page[RequestView]:
    """List requests for machines that need an approval."""
    if query.all:
        handler.need(handler.visitor.runs_money, "answer requests")
        asked = await handler.read(requests.list_waiting, hub_id=handler.context.hub_id)
    else:
        account = await person(handler, handler.visitor.name)
        asked = await handler.read(requests.list_requests, account.id)
    return Page(items=[RequestView.model_validate(request) for request in asked])


async def ask(handler: KeeperHandler, body: AskBody) -> None:
    """Ask for a machine that needs an approval, for oneself."""
    account = await person(handler, handler.visitor.name)
    grants.require_instance_type(body.instance_type, handler.published.house)
    await handler.record(requests.ask, handler.by, account, body.instance_type, body.reason)


async def ask_approval(handler: ApiHandler, query: Nothing, body: AskBody) -> Page[RequestView]:
    """Ask for a machine that needs an approval."""
    await ask(handler, body)
    return await list_requests(handler, RequestsQuery())


OPERATIONS = (
    Operation(
        "POST", "quote", make_quote, QuoteView, "What a start would cost", ANYBODY, body=QuoteBody
    ),
    Operation(
        "GET",
        "usage",
        get_usage,
        UsageView,
        "What was used and charged",
        f"own: {ANYBODY}; others: {SEES_ALL}",
        UsageQuery,
    ),
    Operation(
        "GET",
        "statements",
        list_statements,
        Page[MonthView],
        "Months with a statement",
        OWN_MONEY,
        StatementQuery,
    ),
    Operation(
        "GET",
        "statements/{month}",
        one_statement,
        StatementView,
        "A month of an account",
        OWN_MONEY,
        StatementQuery,
    ),
    Operation(
        "GET",
        "accounts",
        list_accounts,
        Page[PurseView],
        "Open accounts by name",
        RUNS_MONEY,
        Paging,
    ),
    Operation(
        "GET", "accounts/{name}", one_account, PurseView, "What an account has and may", OWN_MONEY
    ),
    Operation(
        "GET",
        "accounts/{name}/credits",
        list_credits,
        Page[CreditView],
        "Credits of an account, the newest first",
        OWN_MONEY,
    ),
    Operation(
        "GET",
        "approvals",
        list_requests,
        Page[RequestView],
        "Requests for machines that need an approval",
        f"own: {ANYBODY}; all that wait: {RUNS_MONEY}",
        RequestsQuery,
    ),
    Operation(
        "POST",
        "approvals",
        ask_approval,
        Page[RequestView],
        "Ask for a machine that needs an approval",
        ANYBODY,
        body=AskBody,
    ),
)
