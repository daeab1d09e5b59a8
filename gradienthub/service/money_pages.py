"""The money's pages: Usage and statements for everybody, Accounts for who runs the money."""

import secrets
from collections.abc import Awaitable
from datetime import datetime
from urllib.parse import quote, urlencode

from ..ledger import Transaction, accounts, audit, credits, limits, requests, statements, usage
from ..ledger.accounts import Account
from ..ledger.requests import ApprovalRequest
from ..rules.duration import format_duration
from ..rules.entry import Kind, month_start, next_month
from ..rules.money import format_amount, format_price, format_rounded, plain_amount
from ..rules.refusal import Refused
from ..rules.statement import Statement
from ..views.audit_words import put_into_words
from ..views.month import month_use
from ..views.statement import as_csv, as_json_text
from ..views.tier import statement_text
from . import money_operations, treasury
from .api import Keyed, parsed
from .money_operations import AskBody, person
from .operations import account_of, views
from .pages import PageHandler

#: Runs on the Usage page.
RUNS = 20
ON_A_PAGE = 50


class MoneyPage(PageHandler):
    """A page with amounts."""

    def money_page(self, template: str, **values: object) -> str:
        """Return the page; its template has `money` (exact), `about` (cents), `units` (for an
        input), `price` and `span`."""
        currency = self.published.catalog.currency
        return self.page(
            template,
            money=lambda micros: format_amount(micros, currency),
            about=lambda micros: format_rounded(micros, currency),
            units=plain_amount,
            price=lambda micros: format_price(micros, currency),
            span=format_duration,
            titles=self.titles,
            currency=currency,
            **values,
        )

    def sent(self, *names: str) -> dict[str, str]:
        """Return the fields of the form that are not empty."""
        fields = {name: self.get_body_argument(name, "").strip() for name in names}
        return {name: value for name, value in fields.items() if value}

    async def tried(self, act: Awaitable[None]) -> Refused | None:
        """Return why an act of a form was refused, to be said on its page; faults are raised on."""
        try:
            await act
        except Refused as refused:
            if refused.status >= 500:
                raise
            self.set_status(refused.status)
            return refused
        return None

    def outcome(self) -> str:
        """Return the sentence on the act that led to this page."""
        return OUTCOMES.get(self.get_query_argument("said", ""), "")

    @property
    def key(self) -> str:
        """The form's own key: sent twice, it is done once."""
        return parsed(Keyed, self.sent("key"), "bad_body").key

    def sent_back(self, refused: Refused | None) -> dict[str, str]:
        """Return what a refused form sent, to be mended there; nothing where none was refused."""
        names = self.request.body_arguments if refused else ()
        return {name: self.get_body_argument(name)[:400] for name in names}


class UsageHandler(MoneyPage):
    """What one's account has, what a month was used and cost, and machines to be asked for."""

    async def get(self) -> None:
        """Render the page. `month` names another month than this one, as "2026-11"."""
        await self._show()

    async def post(self) -> None:
        """Ask for a machine that needs an approval, and come back."""
        if refused := await self.tried(self._ask()):
            await self._show(refused)
            return
        self.redirect(f"{self.context.prefix}usage?said=asked", status=303)

    async def _ask(self) -> None:
        body = parsed(AskBody, self.sent("instance_type", "reason"), "bad_body")
        await money_operations.ask(self, body)

    async def _show(self, refused: Refused | None = None) -> None:
        now = self.context.clock()
        wanted = self.get_query_argument("month", "")
        month = money_operations.begun_month(wanted, now) if wanted else month_start(now)
        account = await money_operations.own(self)
        if account is None:
            self.finish(self.money_page("service/usage.html", here="usage", purse=None))
            return
        rows = await self.read(_usage_rows, self, account, month, now)
        self.finish(
            self.money_page(
                "service/usage.html",
                here="usage",
                month=month,
                resets=next_month(now),
                past=month < month_start(now),
                refused=refused,
                sent=self.sent_back(refused),
                asked=self.get_query_argument("said", "") == "asked",
                runs=await views(self, account_id=account.id, limit=RUNS),
                **rows,
            )
        )


def _usage_rows(
    tx: Transaction, page: MoneyPage, account: Account, month: datetime, now: datetime
) -> dict[str, object]:
    hub_id, published = page.context.hub_id, page.published
    currency = published.catalog.currency
    period = usage.Period(hub_id, currency, month.date(), next_month(month).date())
    used = usage.by_day(tx, period, usage.account_scope(account.id))
    newest: dict[str, ApprovalRequest] = {}
    for request in requests.list_requests(tx, account.id):
        newest.setdefault(request.instance_type, request)
    return {
        "purse": money_operations.purse_of(tx, hub_id, account, published, now),
        "use": month_use(used, month, page.titles, currency),
        "months": statements.list_months(tx, account_id=account.id, currency=currency),
        "on_request": [
            (machine, newest.get(machine.name))
            for machine in published.catalog.instance_types
            if machine.needs_approval
        ],
    }


class StatementHandler(MoneyPage):
    """A month of an account: to read and print, or as a file."""

    async def get(self, month: str) -> None:
        """Render the page. With `format` csv or json it is a file."""
        user = self.get_query_argument("user", "")[:255]
        statement = await money_operations.statement_of(self, month, user)
        form = self.get_query_argument("format", "")
        if form in ("csv", "json"):
            self.set_header(
                "Content-Type", "text/csv; charset=utf-8" if form == "csv" else "application/json"
            )
            self.set_header(
                "Content-Disposition", f'attachment; filename="statement-{month}.{form}"'
            )
            self.finish(as_csv(statement) if form == "csv" else as_json_text(statement))
            return
        in_out = statement.total(Kind.CREDIT, Kind.TAKEN, Kind.EXPIRY)
        self.finish(
            self.money_page(
                "service/statement.html",
                here="usage",
                statement=statement,
                given=in_out,
                charged=statement.total(Kind.CHARGE),
                tier_text="" if statement.over else await self._tier_text(statement, user),
                whose=user,
            )
        )

    async def _tier_text(self, statement: Statement, user: str) -> str:
        """Return what the account's tier costs beside the statement; "" for a closed account."""
        account = await account_of(self, user or self.visitor.name)
        if account is None or account.id != statement.account_id:
            return ""
        allowance = await self.read(
            accounts.allowance_of,
            account,
            tiers=self.published.tiers,
            rules=self.published.tier_rules,
            now=self.context.clock(),
        )
        return statement_text(allowance.tier, statement.currency)


class AccountsHandler(MoneyPage):
    """Every account, and requests that wait."""

    async def get(self) -> None:
        """Render the page."""
        await self._show()

    async def post(self) -> None:
        """Set a group's budget, and come back."""
        self.need(self.visitor.runs_money, "set budgets")
        if refused := await self.tried(self._set()):
            await self._show(refused)
            return
        self.redirect(f"{self.context.prefix}accounts?said=budget", status=303)

    async def _set(self) -> None:
        body = parsed(treasury.GroupLimitsBody, self.sent("group", "soft", "hard"), "bad_body")
        await treasury.set_budget(self, usage.group_scope(body.group), body)

    async def _show(self, refused: Refused | None = None) -> None:
        self.need(self.visitor.runs_money, "see everybody's accounts")
        context = self.context
        after = self.get_query_argument("after", "")[:255]
        page, more = await self.read(
            money_operations.purses,
            context.hub_id,
            self.published,
            context.clock(),
            after=after,
            limit=ON_A_PAGE,
        )
        waiting = await self.read(requests.list_waiting, hub_id=context.hub_id)
        budgets = await self.read(
            limits.list_budgets,
            hub_id=context.hub_id,
            now=context.clock(),
            currency=self.published.catalog.currency,
        )
        older = urlencode({"after": page[-1].name}) if more else ""
        self.finish(
            self.money_page(
                "service/accounts.html",
                here="accounts",
                purses=page,
                waiting=waiting,
                next=older,
                refused=refused,
                groups=[budget for budget in budgets if budget.group is not None],
                said=self.outcome(),
                sent=self.sent_back(refused),
            )
        )


class AccountHandler(MoneyPage):
    """One account: its credits, budget, approvals, tier, and who did what to it."""

    async def get(self, name: str) -> None:
        """Render the page."""
        await self._show(name)

    async def post(self, name: str) -> None:
        """Do one thing, and come back."""
        self.need(self.visitor.runs_money, "change accounts")
        account = await person(self, name)
        action = self.get_body_argument("action", "")
        if refused := await self.tried(self._act(action, account)):
            await self._show(name, refused)
            return
        where = f"{self.context.prefix}accounts/{quote(name, safe='')}"
        self.redirect(f"{where}?{urlencode({'said': action})}", status=303)

    async def _act(self, action: str, account: Account) -> None:
        act = ACTS.get(action)
        if act is None:
            raise Refused("bad_body", "There is no such action.", f"Known: {', '.join(ACTS)}.")
        await act(self, account)

    async def _show(self, name: str, refused: Refused | None = None) -> None:
        self.need(self.visitor.runs_money, "see another's account")
        account = await person(self, name)
        rows = await self.read(_account_rows, self, account)
        self.finish(
            self.money_page(
                "service/account.html",
                here="accounts",
                account=account,
                refused=refused,
                said=self.outcome(),
                sent=self.sent_back(refused),
                key=secrets.token_hex(8),
                tiers=self.published.tiers,
                to_approve=[
                    machine
                    for machine in self.published.catalog.instance_types
                    if machine.needs_approval
                ],
                **rows,
            )
        )


def _account_rows(tx: Transaction, page: MoneyPage, account: Account) -> dict[str, object]:
    hub_id, now = page.context.hub_id, page.context.clock()
    return {
        "purse": money_operations.purse_of(tx, hub_id, account, page.published, now),
        "credits": credits.list_credits(tx, account.id),
        "requests": requests.list_requests(tx, account.id)[:20],
        "approvals": accounts.list_approvals(tx, account),
        "months": statements.list_months(
            tx, account_id=account.id, currency=page.published.catalog.currency
        ),
        "audit": [
            put_into_words(row)
            for row in audit.list_rows(tx, hub_id=hub_id, account_id=account.id, limit=20)
        ],
    }


async def _credit(page: AccountHandler, account: Account) -> None:
    body = parsed(treasury.CreditBody, page.sent("amount", "reason", "expires"), "bad_body")
    await treasury.give_credit(page, account, body, page.key)


async def _take(page: AccountHandler, account: Account) -> None:
    body = parsed(treasury.TakeBody, page.sent("amount", "reason"), "bad_body")
    await treasury.take_credit(page, account, body, page.key)


async def _budget(page: AccountHandler, account: Account) -> None:
    body = parsed(treasury.LimitsBody, page.sent("soft", "hard"), "bad_body")
    await treasury.set_budget(page, usage.account_scope(account.id), body)


async def _decide(page: AccountHandler, account: Account) -> None:
    granted = page.get_body_argument("grant", "") == "yes"
    fields = {**page.sent("instance_type", "answer", "expires"), "grant": granted}
    await treasury.decide(page, account, parsed(treasury.DecideBody, fields, "bad_body"))


async def _withdraw(page: AccountHandler, account: Account) -> None:
    await treasury.withdraw(page, account, page.get_body_argument("instance_type", ""))


async def _tier(page: AccountHandler, account: Account) -> None:
    await treasury.set_tier(page, account, page.get_body_argument("tier", "") or None)


async def _payment(page: AccountHandler, account: Account) -> None:
    there = page.get_body_argument("there", "") == "yes"
    await treasury.set_payment_method(page, account, there)


ACTS = {
    "credit": _credit,
    "take": _take,
    "budget": _budget,
    "decide": _decide,
    "withdraw": _withdraw,
    "tier": _tier,
    "payment": _payment,
}
OUTCOMES = {
    "credit": "The credit is given.",
    "take": "The money is taken back.",
    "budget": "The budget is set.",
    "decide": "The answer is given.",
    "withdraw": "The approval is withdrawn.",
    "tier": "The tier is set; it counts from the next start.",
    "payment": "The payment method is recorded.",
}


def page_routes(prefix: str) -> list[tuple[str, type]]:
    """Return the pages."""
    return [
        (rf"{prefix}usage", UsageHandler),
        (rf"{prefix}statements/(?P<month>[^/]+)", StatementHandler),
        (rf"{prefix}accounts", AccountsHandler),
        (rf"{prefix}accounts/(?P<name>[^/]+)", AccountHandler),
    ]
