"""The demo's login: one password, and each person with the tier they stand for."""

import json
import os

from jupyterhub.authenticators.shared import SharedPasswordAuthenticator
from jupyterhub.user import User

from ...ledger import By, accounts, grants
from ...ledger.grants import Decision
from ...spawners.context import HubContext, hub_user
from .tables import people


class DemoAuthenticator(SharedPasswordAuthenticator):
    """Seeds an account when the hub meets its user; what somebody changed since stays."""

    def add_user(self, user: User) -> object:
        """Add a user. The hub calls this for each user while it starts; then it may block."""
        result = super().add_user(user)
        preset = json.loads(os.environ["GRADIENTHUB_DEMO"])["preset"]
        person = next((p for p in people(preset) if p.name == user.name), None)
        if person is None:
            return result
        context = HubContext.of(self.config)
        ledger, hub_id, now = context.ledger, context.settings.hub_id, context.clock()
        ledger.upgrade()
        account = ledger.write(accounts.account_of, hub_id=hub_id, user=hub_user(user), now=now)
        if account.tier is None:
            by, house = By(hub_id, "the demo", now), context.settings.house
            ledger.write(grants.set_tier, by, account, person.tier, house)
            ledger.write(grants.set_payment_method, by, account, person.pays)
            for name in person.approved:
                decision = Decision(name, grant=True, reason="the demo")
                ledger.write(grants.decide, by, account, decision, house)
        return result
