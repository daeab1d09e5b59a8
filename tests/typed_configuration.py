"""A configuration as a type checker reads it: `test_imports.py` runs mypy on it, nobody runs it."""

from typing import assert_type

from traitlets.config import Config

from gradienthub import configure, with_tiers
from gradienthub.settings import Settings
from gradienthub.spawners import GradientSpawner, Lease


class YourAuthenticator:
    """An authenticator of a deployer."""

    your_server = "ldap.example.org"


class YourSpawner:
    """A spawner of a deployer."""

    mem_limit: int


class GradientYourSpawner(GradientSpawner, YourSpawner):
    """It, with admission before."""

    async def apply_lease(self, lease: Lease) -> None:
        """Give it the memory of its lease."""
        assert_type(lease.devices, tuple[str, ...])
        self.mem_limit = int(lease.memory * 1e9)


c = Config()
made = with_tiers(YourAuthenticator)
assert_type(made, type[YourAuthenticator])
assert_type(made.your_server, str)
c.JupyterHub.authenticator_class = made
c.JupyterHub.spawner_class = GradientYourSpawner
assert_type(configure(c), Settings)
configure(c, keeper=False, adopt=True)
configure(c, small_mode=True)  # type: ignore[call-arg]
