"""/hub/api/gradient/users/{user}/servers/{server}: a notebook's lease in JSON, and Extend."""

import json

from jupyterhub import orm
from jupyterhub.scopes import needs_scope
from jupyterhub.user import User

from ..ledger import By, LedgerAway, Transaction, accounts
from ..ledger.runs import extend_run, find_newest_run
from ..ledger.watches import Watched
from ..rules.refusal import Refused, ledger_away, shown
from ..spawners.context import hub_user
from ..spawners.refused import StartRefused
from ..views.lease_view import view_of
from .server_row import active_at, title_of_row
from .stopping import who_asks
from .users_api import LONGEST_BODY, GradientAPIHandler


class OfServerHandler(GradientAPIHandler):
    """What both calls share: which server, and the answer."""

    def _find_server(self, user_name: str, server_name: str) -> tuple[User, orm.Spawner]:
        user = self.find_user(user_name)
        row = user and user.orm_spawners.get(server_name)
        if row is None:
            raise StartRefused(_no_lease(server_name))
        return user, row

    async def _answer(self, user: User, row: orm.Spawner, extend: str | None) -> None:
        """Answer with the lease, extended before if `extend` names it or is empty (any lease)."""
        context = self.context
        settings, now = context.settings, context.clock()
        by = By(settings.hub_id, who_asks(self.current_user), now)
        program = bool(getattr(self, "_token_authenticated", False))
        name, title = row.name, title_of_row(row)
        try:
            account = await context.ledger.aread(
                accounts.look_up, hub_id=settings.hub_id, user=hub_user(user)
            )

            def read_or_extend(tx: Transaction) -> Watched | Refused | None:
                if account is None:
                    return None
                run = find_newest_run(tx, account, name, title)
                if run is None or extend is None:
                    return run
                refused = extend_run(tx, run, extend, settings, by, program)
                return refused or find_newest_run(tx, account, name, title)

            ask = context.ledger.aread if extend is None else context.ledger.awrite
            run = await ask(read_or_extend)
        except LedgerAway as away:
            raise StartRefused(ledger_away("Nothing can be told of this notebook now")) from away
        if run is None:
            raise StartRefused(_no_lease(row.name))
        if isinstance(run, Refused):
            raise StartRefused(run)
        self.set_header("Content-Type", "application/json")
        self.write(view_of(run, active_at(row), settings, now, program).model_dump_json())


class LeaseHandler(OfServerHandler):
    """GET: the running or else the newest lease. A notebook's own token may read it."""

    @needs_scope("access:servers", "read:servers")
    async def get(self, user_name: str, server_name: str = "") -> None:
        """Answer with a `LeaseView`, or 404 if the notebook never ran."""
        user, row = self._find_server(user_name, server_name)
        await self._answer(user, row, extend=None)


class ExtendHandler(OfServerHandler):
    """POST: keep a running notebook for one more interval. A notebook's own token may."""

    @needs_scope("access:servers", "start:servers")
    async def post(self, user_name: str, server_name: str = "") -> None:
        """Extend and answer with the lease.

        `{"lease": id}` refuses if another one runs meanwhile.
        """
        user, row = self._find_server(user_name, server_name)
        await self._answer(user, row, extend=self._read_lease_id())

    def _read_lease_id(self) -> str:
        if not self.request.body:
            return ""
        try:
            if len(self.request.body) > LONGEST_BODY:
                raise ValueError
            body = json.loads(self.request.body)
            lease = body.get("lease", "") if isinstance(body, dict) else None
        except (ValueError, RecursionError):
            lease = None
        if not isinstance(lease, str) or set(body) - {"lease"}:
            raise self.refuse(
                "bad_body",
                "The body is not an object with the lease that is meant.",
                'Send nothing, or {"lease": "its id"}.',
                field="lease",
            )
        return lease


def _no_lease(server_name: str) -> Refused:
    which = f"the notebook {shown(server_name)}" if server_name else "this notebook"
    return Refused("not_found", f"There is no lease of {which}.", "It was never started.")


def handlers() -> list[tuple[str, type]]:
    """List the routes below /hub."""
    where = r"/api/gradient/users/([^/]+)/servers/([^/]*)"
    return [(where, LeaseHandler), (rf"{where}/extend", ExtendHandler)]
