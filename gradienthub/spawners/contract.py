"""The contract of an engine's spawner: what it overrides, and what it holds of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from jupyterhub.objects import Server
from jupyterhub.spawner import Spawner
from traitlets import default
from traitlets.config import Config

from ..ledger import accounts, notebooks
from ..rules.folders_seen import FolderTrial
from ..rules.idleness import Reason
from ..rules.lease import Claim, Lease
from ..rules.ownership import lease_name
from . import server_token
from .address import wait_up
from .context import HubContext, hub_user
from .engine import CensusObject, Engine, PollEngine, Waiting
from .others import GuardedSpawner
from .run import Run, SavedState, StopCause


class EngineSpawner(GuardedSpawner):
    """What every engine's spawner has, and what it overrides. It decides nothing.

    An engine's spawner overrides `apply_lease` (the lease as this engine's traits) and
    `make_engine` (its census), and may override `prepare` (what needs no turn, like a download),
    `start_engine`, and, to have warm servers, `warm_digest`, `fill` and `claim`.
    """

    run: Run

    def __init__(self, *args: object, **kwargs: object) -> None:
        # First: another spawner's own __init__ may load a state.
        self.run = Run()
        super().__init__(*args, **kwargs)

    #: Whether the hub's saved state is of a server without a lease: another spawner started it.
    _began_outside = False
    #: By what this engine knows that server; empty where another kind of spawner started it.
    _outside_object = ""
    #: The token and what it is sealed as, which would be another text each time.
    _sealed: tuple[str, str | None] | None = None

    # -- what an engine's spawner overrides -------------------------------------------------

    @classmethod
    def make_engine(cls, context: HubContext, config: Config) -> Engine:
        """Return the engine, which has a census; without one, poll() is the only word."""
        return PollEngine()

    @classmethod
    async def try_folders(cls, context: HubContext, config: Config) -> list[FolderTrial]:
        """Try whether notebooks of this engine can keep files; nothing where that is certain."""
        return []

    async def apply_lease(self, lease: Lease) -> None:
        """Set this engine's traits (image, limits, devices, folders, labels) from the lease."""

    async def prepare(self, lease: Lease) -> None:
        """Prepare what a start needs before its turn, without a time limit. May be cancelled."""

    async def start_engine(self) -> str | tuple[str, int]:
        """Start it and return its address: the engine spawner's own start()."""
        return await super().start()  # type: ignore[no-any-return]

    async def find_address(self, found: CensusObject) -> str:
        """Return where the object is reached now; empty where it is not."""
        return ""

    async def see_made(self) -> None:
        """See that what was made is what was asked for. Raises Refused where it is not."""

    @property
    def made_id(self) -> str | None:
        """The engine's id of what was made for this lease; None where the engine has none."""
        return None

    async def settled_calls(self) -> None:
        """Wait for engine calls of a cancelled start, which go on in their threads."""

    # -- what it overrides to have warm servers ----------------------------------------------

    async def warm_digest(self) -> str:
        """Return what a warm server of this machine and runtime is made of: image, options, our
        code.

        Raises ValueError in words where the configuration allows none.
        """
        raise ValueError(f"{type(self).__name__} has no warm servers")

    async def fill(self, slot_id: str) -> Waiting:
        """Start a warm server, and return once it waits."""
        raise NotImplementedError

    async def claim(self, lease: Lease, claim: Claim) -> tuple[str, int]:
        """Make the warm server this lease's; its address. Whatever it raises means a cold start."""
        raise NotImplementedError

    # -- what it holds -----------------------------------------------------------------------

    @property
    def lease_id(self) -> str:
        """The open lease of this server; empty where there is none."""
        return self.run.lease_id

    @property
    def lease(self) -> Lease | None:
        """The lease of this server as it was admitted; None after a restart of the hub."""
        return self.run.lease

    @property
    def located(self) -> str:
        """Where the engine showed its object when the hub's address of it was read."""
        return self.run.located

    @property
    def context(self) -> HubContext:
        """What all spawners of this process share. Cheap after the first call."""
        return self.context_of(self.config)

    @classmethod
    def context_of(cls, config: Config) -> HubContext:
        """Return the process's context, with this spawner's engine in it."""
        context = HubContext.of(config)
        # As every process begins; a subclass of it is somebody's own, made once.
        if type(context.engine) is PollEngine:
            context.engine = cls.make_engine(context, config)
        return context

    @property
    def server(self) -> Server | None:
        """The hub's address of it, which a restarted hub does not give up while it is alive."""
        server: Server | None = Spawner.server.fget(self)
        if server is not None and "wait_up" not in vars(server):
            server.wait_up = partial(wait_up, self, server)
        return server

    @server.setter
    def server(self, server: Server | None) -> None:
        Spawner.server.fset(self, server)

    @default("options_form")
    def _has_a_form(self) -> str:
        # The hub's pages ask only whether there is one; get_options_form renders it.
        return "gradient"

    def get_env(self) -> dict[str, str]:
        """Return the hub's environment, with activity reported often enough for short intervals."""
        env: dict[str, str] = super().get_env()
        env.setdefault("JUPYTERHUB_ACTIVITY_INTERVAL", "60")
        return env

    @property
    def object_label(self) -> str:
        """The name under which the engine knows this lease's object."""
        return lease_name(self.lease_id)

    @property
    def outside_id(self) -> str:
        """Return by what the engine knows a server that runs outside; empty where none does."""
        if self.lease_id or not self._began_outside:
            return ""
        return self._outside_object or str(self._log_name)

    def folders(self, lease: Lease) -> tuple[Path, Path]:
        """Return (the notebook's workspace, its account's storage), named by our ids."""
        root = self.context.settings.storage_root
        return (
            root / "notebooks" / lease.notebook_id,
            root / "accounts" / lease.account_id,
        )

    async def find_account(self) -> accounts.Account | None:
        """Return the account of this server's user, None before there is one. Raises LedgerAway."""
        context = self.context
        return await context.ledger.aread(
            accounts.look_up, hub_id=context.settings.hub_id, user=hub_user(self.user)
        )

    async def find_notebook(self, server_name: str) -> notebooks.Notebook | None:
        """Return the notebook of that server name; None where it never ran. Raises LedgerAway."""
        account = await self.find_account()
        if account is None:
            return None
        return await self.context.ledger.aread(
            notebooks.find, account_id=account.id, server_name=server_name
        )

    def actor(self) -> str:
        """Return who asks, as the audit names them."""
        who = getattr(self.handler, "current_user", None)
        name = getattr(who, "name", None)
        if name is None:
            return "hub"
        return f"service {name}" if getattr(who, "kind", "user") == "service" else str(name)

    def expect_stop(self, reason: Reason, actor: str, note: str = "") -> None:
        """Say why the stop that comes next is asked for; the first reason counts.

        A start that fails meanwhile has its failure for a reason. `note` is what its owner reads:
        the words of whoever stops it, or the sentence that the keeper decided by.
        """
        self.run.stop_cause = self.run.stop_cause or StopCause(reason, actor, note)

    async def poll_itself(self) -> int | None:
        """Ask the engine's own spawner, where there is no census."""
        with self.run_kept():
            status: int | None = await super().poll()
            return status

    async def stop_itself(self) -> None:
        """Let the engine's own spawner stop it, where there is no census."""
        with self.run_kept():
            await super().stop()

    @contextmanager
    def run_kept(self) -> Iterator[None]:
        """Keep the run while LocalProcessSpawner clears its state, as it does for a dead process.

        The lease is open until it is ended; without its id nobody would end it.
        """
        run = self.run
        try:
            yield
        finally:
            self.run = run

    # -- the hub's state of it ---------------------------------------------------------------

    def get_state(self) -> dict[str, object]:
        """Return what the hub keeps: the lease, its deadlines for a culler that reads states, its
        token.

        The server is asked about its use with the token, which is kept encrypted or not at all.
        """
        state: dict[str, object] = super().get_state()
        if self.lease_id:
            state["lease_id"] = self.lease_id
            if self._sealed is None or self._sealed[0] != self.api_token:
                self._sealed = (self.api_token, server_token.seal(self.api_token))
            if sealed := self._sealed[1]:
                state[server_token.SEALED] = sealed
            if self.lease is not None:
                deadlines = self.lease.deadlines
                state["deadlines"] = {
                    "shutdown_after": deadlines.shutdown_after
                    and deadlines.shutdown_after.total_seconds(),
                    "stop_at": deadlines.stop_at and deadlines.stop_at.isoformat(),
                    "session_ends_at": deadlines.session_ends_at
                    and deadlines.session_ends_at.isoformat(),
                }
            elif self.run.deadlines:
                state["deadlines"] = self.run.deadlines
        return state

    def load_state(self, state: SavedState) -> None:
        """Restore the lease after a restart of the hub. A stopped server has none."""
        super().load_state(state)
        self.run = Run(lease_id=state.get("lease_id", ""), deadlines=state.get("deadlines"))
        self.api_token = server_token.unseal(state)
        self._began_outside = bool(state) and not self.lease_id
        self._outside_object = str(getattr(self, "object_id", "") or getattr(self, "pid", "") or "")

    def clear_state(self) -> None:
        """Clear the state, before each start and after each stop."""
        super().clear_state()
        # What an earlier start left must not be told of the next one.
        self.run = Run()
        self._began_outside = False
