"""An engine without a census has each spawner's own word, and nothing beyond it."""

import logging
from types import SimpleNamespace

import pytest

from gradienthub.rules.idleness import Reason
from gradienthub.spawners.engine import EngineAway, PollEngine
from gradienthub.spawners.stop_order import StopOrder


class Server:
    """Stands for the spawner of one lease."""

    def __init__(self, status: int | Exception | None, obeys: bool = True) -> None:
        self.status, self.obeys = status, obeys

    async def poll_itself(self) -> int | None:
        if isinstance(self.status, Exception):
            raise self.status
        return self.status

    async def stop_itself(self) -> None:
        if self.obeys:
            self.status = 0


@pytest.mark.parametrize(("status", "alive"), [(None, True), (3, False), (OSError("?"), True)])
async def test_a_server_is_dead_only_by_its_spawners_own_word(status, alive):
    seen = await PollEngine().look_at("lease", Server(status))
    assert (seen.lease_id, seen.alive) == ("lease", alive)
    assert seen.exit_code == (None if alive else status)


async def test_a_server_that_runs_on_is_never_called_ended():
    engine, server = PollEngine(), Server(None, obeys=False)
    with pytest.raises(EngineAway):
        await engine.bury(await engine.look_at("lease", server))
    server.obeys = True
    await engine.bury(await engine.look_at("lease", server))
    assert not (await engine.look_at("lease", server)).alive


async def test_it_has_no_list_by_which_a_lease_of_an_unloaded_spawner_could_look_gone():
    assert await PollEngine().census() is None


async def test_one_that_is_called_dead_and_then_alive_is_stopped_before_its_lease_ends():
    """Nobody has a list in which the reconciler would find it later."""
    server, ended = Server(None), []

    async def bury(seen, _why):
        return await engine.bury(seen)

    async def end(lease_id, reason, _corpse):
        ended.append((lease_id, reason, server.status))

    async def settle():
        pass

    engine = PollEngine()
    server.context = SimpleNamespace(engine=engine, bury=bury, ended=end, moving=set())
    server.run = SimpleNamespace(corpse=None)
    server.settled_calls = settle
    server.log, server._log_name = logging.getLogger("test"), "anna"
    await StopOrder._finish(server, "lease", Reason.CRASHED, alive_too=False)
    assert ended == [("lease", Reason.CRASHED, 0)]
