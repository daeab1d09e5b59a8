"""The one order of a stop, and of asking whether a server runs."""

import asyncio

from jupyterhub.utils import maybe_future

from ..rules.idleness import Reason
from . import server_token
from .address import follow
from .contract import EngineSpawner
from .engine import PolledObject
from .run import StopCause

BURY_TRIES = 3
#: How long a server of another kind of spawner has to take a connection.
LISTEN_SECONDS = 2.0


class StopOrder(EngineSpawner):
    """A stop ends the bill at once, and frees devices when the engine says gone."""

    async def poll(self) -> int | None:
        """Return None while it runs, else its exit status.

        Never raises: an error does not prove that it is gone.
        """
        if not self.lease_id:
            return await self._poll_outside()
        if self.run.starting:
            return None
        try:
            found = await self.context.engine.look_at(self.lease_id, self)
        except Exception as error:  # the hub takes a raising poll for a death
            self.log.warning("%s: cannot ask the engine: %s", self._log_name, error)
            return None
        if found is None:
            return 0
        if not found.alive:
            return found.exit_code or 0
        await follow(self, found)
        return None

    async def _poll_outside(self) -> int | None:
        """Ask for a server that began before this hub was adopted: it has no lease, and runs on."""
        if not self._began_outside:
            return 0
        known = self._outside_object
        try:
            status: int | None = await super().poll()
        except Exception as error:  # as above
            self.log.warning("%s: cannot ask for what runs outside: %s", self._log_name, error)
            return None
        # Another kind of spawner may have started it, of which this one knows nothing.
        if status is not None and not known and await self._listens():
            self._began_outside = True
            return None
        return status

    async def _listens(self) -> bool:
        """Return whether something takes connections where the hub says that this server is."""
        if self.server is None:
            return False
        try:
            opening = asyncio.open_connection(self.server.ip or "127.0.0.1", self.server.port)
            _reader, writer = await asyncio.wait_for(opening, LISTEN_SECONDS)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    async def stop(self, now: bool = False) -> None:
        """End the billing and stop the server.

        Devices are freed once the engine says that it is gone.
        """
        self.run.starting = False
        lease_id = self.lease_id
        if not lease_id:
            await self._stop_outside(now)
            return
        reason, actor, note = self.run.stop_cause or StopCause(Reason.HUB, "hub")
        await self.context.stop_asked(lease_id, reason, actor, note)
        await self._finish(lease_id, reason, alive_too=True)

    async def _stop_outside(self, now: bool) -> None:
        """Stop a server without a lease, as far as this spawner knows it."""
        stranger = self._began_outside and not self._outside_object
        if stranger and await self._listens() and await super().poll() is not None:
            self.log.error(
                "%s: another kind of spawner started it, and only that could stop it. The hub"
                " forgets it now; end it on its machine",
                self._log_name,
            )
            return
        await super().stop(now)

    async def run_post_stop_hook(self) -> None:
        """Run the deployer's hook, then tidy up.

        May be called twice, or for a server that never started.
        """
        try:
            await maybe_future(super().run_post_stop_hook())
        finally:
            self.run.starting = False
            self.leave_stage()
            server_token.revoke(self)
            if lease_id := self.lease_id:
                reason = self.run.stop_cause.reason if self.run.stop_cause else Reason.CRASHED
                if self.run.stop_cause:
                    await self.context.stop_asked(lease_id, *self.run.stop_cause)
                await self._finish(lease_id, reason, alive_too=reason is not Reason.CRASHED)

    def leave_stage(self) -> None:
        """Let the next start have this one's turn. Safe to call twice."""
        if self.lease is not None and self.run.width is not None:
            self.context.stage.leave(self.lease.host, self.lease.id, self.run.width)

    async def _finish(self, lease_id: str, reason: Reason, *, alive_too: bool) -> None:
        """Remove the object and end the lease, on the engine's word. Never raises.

        A stop that raises is forgotten by the hub, and nobody would free the device. Where the
        engine will not say gone, the lease stays open and the reconciler goes on with it.
        """
        context = self.context
        corpse = self.run.corpse
        for attempt in range(BURY_TRIES):
            try:
                await self.settled_calls()
                found = await context.engine.look_at(lease_id, self)
                # What runs on is in the reconciler's list, where there is one.
                listed = not isinstance(found, PolledObject)
                if found is not None and found.alive and not alive_too and listed:
                    break
                if found is not None:
                    corpse = await context.bury(found, f"its lease ends: {reason.value}")
                await context.ended(lease_id, reason, corpse)
                return
            except Exception as error:
                self.log.warning("%s: cannot end it: %s", self._log_name, error)
                if attempt + 1 < BURY_TRIES:
                    await asyncio.sleep(0.2 * 2**attempt)
        context.moving.discard(lease_id)
        self.log.error("%s: lease %s is left to the reconciler", self._log_name, lease_id)
