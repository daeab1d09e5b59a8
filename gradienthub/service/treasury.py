"""What administrators change: credits, budgets, tiers, payment methods, approvals.

The pages and REST v1 do it through the same functions.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ..ledger import grants, limits, usage
from ..ledger.accounts import Account
from ..ledger.credits import LONGEST_REASON, CreditRecord
from ..ledger.grants import Decision, Transfer
from ..rules.duration import parse_duration
from ..rules.money import parse_amount
from ..rules.refusal import Refused
from .api import ApiHandler, Input, Nothing, Operation, Page
from .money_operations import RUNS_MONEY, CreditView, PurseView, one_account, person
from .visitor import KeeperHandler

T = TypeVar("T")
#: Amounts come as text, "12.50": a JSON number could not say every cent.
AMOUNT = Field(max_length=40)
EXPIRES = Field(default="", max_length=20)


class TakeBody(Input):
    """Money taken back: `amount` in the hub's currency as text, "12.50"."""

    amount: str = AMOUNT
    currency: str = Field(default="", max_length=10)
    reason: str = Field(min_length=1, max_length=LONGEST_REASON)


class CreditBody(TakeBody):
    """A credit: `amount` in the hub's currency as text, "12.50"; `expires` as a duration, "90d"."""

    expires: str = EXPIRES


class DecideBody(Input):
    """The answer: `expires` as a duration, "30d"; without one a grant lasts until withdrawn."""

    instance_type: str
    grant: bool
    answer: str = Field(default="", max_length=grants.LONGEST_REASON)
    expires: str = EXPIRES


class LimitsBody(Input):
    """A month's budget as text, "50": `soft` warns, `hard` stops. What is empty is removed."""

    soft: str | None = Field(default=None, max_length=40)
    hard: str | None = Field(default=None, max_length=40)


class GroupLimitsBody(LimitsBody):
    """A group's budget of a month."""

    group: str = Field(min_length=1, max_length=255)


class TierBody(Input):
    """A tier's name; null leaves it to groups and claims again."""

    tier: str | None = None


class PaymentBody(Input):
    """Whether the account has a payment method."""

    there: bool


class LimitView(BaseModel):
    """A budget of this month, micro-units; `user` or `group` is null. `charged` is without what is
    held for running notebooks."""

    model_config = ConfigDict(from_attributes=True)

    user: str | None
    group: str | None
    currency: str
    soft: int | None
    hard: int | None
    charged: int
    set_by: str
    set_at: datetime


# -- input --------------------------------------------------------------------------------------


def in_field(field: str, parse: Callable[[str], T], text: str) -> T:
    """Return what `parse` makes of the text, or a refusal that names the field."""
    try:
        return parse(text)
    except ValueError as fault:
        raise Refused("bad_body", f"{field}: {fault}."[:400], field=field) from None


def _duration(body: CreditBody | DecideBody) -> timedelta | None:
    """Return how long something lasts; None where nothing is said of it."""
    return in_field("expires", parse_duration, body.expires) if body.expires else None


def _amount(field: str, text: str | None) -> int | None:
    return in_field(field, parse_amount, text) if text else None


def _transfer(body: TakeBody, key: str, lasts: timedelta | None = None) -> Transfer:
    amount = in_field("amount", parse_amount, body.amount)
    return Transfer(amount, body.reason, body.currency, lasts, key)


# -- acts ---------------------------------------------------------------------------------------


async def give_credit(
    handler: KeeperHandler, account: Account, body: CreditBody, key: str = ""
) -> CreditRecord:
    """Give a credit, once for each key."""
    handler.need(handler.visitor.runs_money, "give or take credit")
    transfer, house = _transfer(body, key, _duration(body)), handler.published.house
    return await handler.record(grants.give_credit, handler.by, account.id, transfer, house)


async def take_credit(
    handler: KeeperHandler, account: Account, body: TakeBody, key: str = ""
) -> None:
    """Take money back, once for each key. May leave a debt."""
    handler.need(handler.visitor.runs_money, "give or take credit")
    transfer, house = _transfer(body, key), handler.published.house
    await handler.record(grants.take_credit, handler.by, account.id, transfer, house)


async def set_budget(handler: KeeperHandler, scope: str, body: LimitsBody) -> None:
    """Set the month's budget of `usage.account_scope` or `usage.group_scope`."""
    handler.need(handler.visitor.runs_money, "set budgets")
    soft, hard = _amount("soft", body.soft), _amount("hard", body.hard)
    house = handler.published.house
    await handler.record(grants.set_budget, handler.by, scope, soft, hard, house)


async def set_tier(handler: KeeperHandler, account: Account, tier: str | None) -> None:
    """Set a person's tier, or leave it to groups and claims (None)."""
    handler.need(handler.visitor.runs_money, "set tiers")
    await handler.record(grants.set_tier, handler.by, account, tier, handler.published.house)


async def set_payment_method(handler: KeeperHandler, account: Account, there: bool) -> None:
    """Record that the account has a payment method, or none."""
    handler.need(handler.visitor.runs_money, "record payment methods")
    await handler.record(grants.set_payment_method, handler.by, account, there)


async def decide(handler: KeeperHandler, account: Account, body: DecideBody) -> None:
    """Grant a machine, or refuse a request that waits."""
    handler.need(handler.visitor.runs_money, "answer requests")
    decision = Decision(body.instance_type, body.grant, body.answer, _duration(body))
    house = handler.published.house
    await handler.record(grants.decide, handler.by, account, decision, house)


async def withdraw(handler: KeeperHandler, account: Account, instance_type: str) -> None:
    """Take an approval back. What runs goes on."""
    handler.need(handler.visitor.runs_money, "withdraw approvals")
    await handler.record(grants.withdraw, handler.by, account, instance_type)


# -- REST v1 ------------------------------------------------------------------------------------


async def _of(handler: ApiHandler, name: str) -> Account:
    """Return an account, for a visitor who manages money. Nobody else may change even their own."""
    handler.need(handler.visitor.runs_money, "change accounts")
    return await person(handler, name)


async def post_credit(
    handler: ApiHandler, query: Nothing, body: CreditBody, name: str
) -> CreditView:
    """Give a credit, or record a payment."""
    account = await _of(handler, name)
    credit = await give_credit(handler, account, body, handler.idempotency_key)
    return CreditView.model_validate(credit)


async def post_taken(handler: ApiHandler, query: Nothing, body: TakeBody, name: str) -> PurseView:
    """Take back what was given by mistake."""
    await take_credit(handler, await _of(handler, name), body, handler.idempotency_key)
    return await one_account(handler, query, name)


async def post_decision(
    handler: ApiHandler, query: Nothing, body: DecideBody, name: str
) -> PurseView:
    """Grant a machine, or refuse a request."""
    await decide(handler, await _of(handler, name), body)
    return await one_account(handler, query, name)


async def delete_approval(
    handler: ApiHandler, query: Nothing, name: str, instance_type: str
) -> PurseView:
    """Withdraw an approval."""
    await withdraw(handler, await _of(handler, name), instance_type)
    return await one_account(handler, query, name)


async def put_tier(handler: ApiHandler, query: Nothing, body: TierBody, name: str) -> PurseView:
    """Set a tier."""
    await set_tier(handler, await _of(handler, name), body.tier)
    return await one_account(handler, query, name)


async def put_payment_method(
    handler: ApiHandler, query: Nothing, body: PaymentBody, name: str
) -> PurseView:
    """Record a payment method, or that there is none."""
    await set_payment_method(handler, await _of(handler, name), body.there)
    return await one_account(handler, query, name)


async def put_budget(handler: ApiHandler, query: Nothing, body: LimitsBody, name: str) -> PurseView:
    """Set a person's budget of a month."""
    account = await _of(handler, name)
    await set_budget(handler, usage.account_scope(account.id), body)
    return await one_account(handler, query, name)


async def list_budgets(handler: ApiHandler, query: Nothing) -> Page[LimitView]:
    """List every budget and what this month has cost."""
    handler.need(handler.visitor.runs_money, "see everybody's budgets")
    context = handler.context
    currency = handler.published.catalog.currency
    budgets = await handler.read(
        limits.list_budgets, hub_id=context.hub_id, now=context.clock(), currency=currency
    )
    return Page(items=[LimitView.model_validate(budget) for budget in budgets])


async def put_group_budget(
    handler: ApiHandler, query: Nothing, body: GroupLimitsBody
) -> Page[LimitView]:
    """Set a group's budget of a month."""
    await set_budget(handler, usage.group_scope(body.group), body)
    return await list_budgets(handler, query)


OPERATIONS = (
    Operation(
        "POST",
        "accounts/{name}/credits",
        post_credit,
        CreditView,
        "Give a credit, or record a payment",
        RUNS_MONEY,
        body=CreditBody,
        keyed=True,
    ),
    Operation(
        "POST",
        "accounts/{name}/credits/taken",
        post_taken,
        PurseView,
        "Take back what was given by mistake",
        RUNS_MONEY,
        body=TakeBody,
        keyed=True,
    ),
    Operation(
        "POST",
        "accounts/{name}/approvals",
        post_decision,
        PurseView,
        "Grant a machine, or refuse a request",
        RUNS_MONEY,
        body=DecideBody,
    ),
    Operation(
        "DELETE",
        "accounts/{name}/approvals/{instance_type}",
        delete_approval,
        PurseView,
        "Withdraw an approval",
        RUNS_MONEY,
    ),
    Operation(
        "PUT", "accounts/{name}/tier", put_tier, PurseView, "Set a tier", RUNS_MONEY, body=TierBody
    ),
    Operation(
        "PUT",
        "accounts/{name}/payment_method",
        put_payment_method,
        PurseView,
        "Record a payment method, or that there is none",
        RUNS_MONEY,
        body=PaymentBody,
    ),
    Operation(
        "PUT",
        "accounts/{name}/budget",
        put_budget,
        PurseView,
        "Set a person's budget of a month",
        RUNS_MONEY,
        body=LimitsBody,
    ),
    Operation(
        "GET",
        "budgets",
        list_budgets,
        Page[LimitView],
        "Every budget and what this month has cost",
        RUNS_MONEY,
    ),
    Operation(
        "PUT",
        "budgets",
        put_group_budget,
        Page[LimitView],
        "Set a group's budget of a month",
        RUNS_MONEY,
        body=GroupLimitsBody,
    ),
)
