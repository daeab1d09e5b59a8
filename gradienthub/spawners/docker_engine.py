"""A Docker engine: lanes of threads with a client each, and one listing for all polls."""

import asyncio
import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker import APIClient
from docker.errors import APIError, DockerException, NotFound
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env
from requests.exceptions import RequestException
from traitlets.config import Config, Configurable

from ..rules.drift import OwnObject
from ..rules.folders_seen import FolderTrial, Outcome
from ..rules.outside import Outside, read_container
from ..rules.ownership import Labelled, name_fault
from .adopted import folder_age, parse_age
from .docker_types import ListedContainer
from .effort import container_cpu
from .engine import CensusObject, Corpse, Engine, EngineAway, Stranger
from .folders_tried import try_folder
from .labels import HUB_LABEL, LEASE_LABEL, SLOT_LABEL
from .networks import make_network
from .sections import configured
from .trials import remove_left_behind

log = logging.getLogger("gradienthub")

#: Threads of each lane. Starts and stops wait for the engine, so that a slow stop must not be
#: what a start, a download or the listing waits behind.
LANES = {
    "look": 2,
    "start": 4,
    "stop": 16,
    "pull": 2,
    "warm": 2,
    "claim": 4,
    "stats": 4,
    "trial": 4,
}
LANE_OF = {
    "stop": "stop",
    "remove_container": "stop",
    "kill": "stop",
    "pull": "pull",
    "create_container": "start",
    "start": "start",
}
#: One listing answers every poll that comes within this many seconds.
LISTING_AGE = 1.0
STOP_SECONDS = 10
#: Seconds for which a folder that containers could not use is not tried again.
TRY_AGAIN = 10.0
LOG_LINES = 40

T = TypeVar("T")


class DockerEngine(Engine):
    """One Docker engine: lanes of threads with a client each, and the shared listing."""

    def __init__(self, hub_id: str, client_options: Mapping[str, object]) -> None:
        super().__init__()
        self.hub_id = hub_id
        self._options = dict(client_options)
        self._lanes = {
            lane: ThreadPoolExecutor(count, thread_name_prefix=f"docker-{lane}")
            for lane, count in LANES.items()
        }
        self._local = threading.local()
        self._clients: list[APIClient] = []
        self._listing: list[CensusObject] = []
        self._strangers: list[Stranger] = []
        self._listed_at = -LISTING_AGE
        #: When the last listing began, and when we last changed something: seconds of `monotonic`.
        self._listing_begun = self._changed_at = float("-inf")
        self._listing_task: asyncio.Task[list[CensusObject]] | None = None
        self._cores: int | None = None
        #: What containers could do with the hub's folder, and until when that is believed.
        self._trials: dict[tuple[str, str, int, str | None], tuple[FolderTrial, float]] = {}
        self._trying: defaultdict[object, asyncio.Lock] = defaultdict(asyncio.Lock)
        #: Containers without our label, by id; None: no notebook.
        self._outside: dict[str, Outside | None] = {}
        self._image_variables: dict[str, tuple[str, ...]] = {}
        #: Why the notebooks' own network cannot be made; empty where it is there.
        self.network_fault = ""

    @property
    def address(self) -> str:
        """Where it is asked."""
        return str(self._options.get("base_url") or "unix:///var/run/docker.sock")

    def submit(self, method: str, *args: object, **kwargs: object) -> "Future[Any]":
        """Call a method of docker's APIClient in the lane it belongs to."""
        lane = LANE_OF.get(method, "look")
        return self.submit_to(lane, lambda client: getattr(client, method)(*args, **kwargs))

    def submit_to(self, lane: str, call: Callable[[APIClient], T]) -> "Future[T]":
        """Run `call(client)` in a lane."""
        return self._lanes[lane].submit(lambda: call(self.client))

    @property
    def client(self) -> APIClient:
        """This thread's client: docker-py's sessions are not made for many threads."""
        if not hasattr(self._local, "client"):
            self._local.client = docker.APIClient(**{"version": "auto", **self._options})
            self._clients.append(self._local.client)
        return self._local.client

    @property
    def known_client(self) -> APIClient:
        """A client for what docker-py says without asking the engine.

        Making one asks it for its version, so that one of a lane's is returned where there is one.
        """
        return self._clients[0] if self._clients else self.client

    async def ask(self, method: str, *args: object, **kwargs: object) -> Any:
        """Run a call like `submit` and await it. Raises NotFound and EngineAway."""
        return await self._answer(self.submit(method, *args, **kwargs))

    async def _answer(self, call: "Future[T]") -> T:
        """Await a call. Raises NotFound, and EngineAway for what goes wrong on the way."""
        try:
            return await asyncio.wrap_future(call)
        except NotFound:
            raise
        except (DockerException, RequestException, OSError) as error:
            raise EngineAway(str(error)) from error

    async def census(self) -> list[CensusObject]:
        """List every container labeled with this hub, from a listing at most a second old."""
        if time.monotonic() - self._listed_at < LISTING_AGE:
            return self._listing
        if self._listing_task is None:
            self._listing_task = asyncio.ensure_future(self._list())
        # Shielded: one caller's cancellation must not fail all others who wait for the listing.
        return await asyncio.shield(self._listing_task)

    async def _list(self) -> list[CensusObject]:
        begun = time.monotonic()
        try:
            rows = await self.ask(
                "containers", all=True, filters={"label": f"{HUB_LABEL}={self.hub_id}"}
            )
            self._separate_strangers(rows)
            self._listing_begun = begun
            # What changed while it was made may not be in it.
            self._listed_at = time.monotonic() if begun >= self._changed_at else -LISTING_AGE
            return self._listing
        finally:
            self._listing_task = None

    def _separate_strangers(self, rows: Iterable[ListedContainer]) -> None:
        """Tell ours from strangers with our labels, by what is known here: names and ids."""
        self._listing, self._strangers = [], []
        for row in rows:
            seen = _census_object(row, self.claimed)
            known = self.object_ids.get(seen.lease_id or seen.slot)
            if known is None:
                own_lease = seen.labels.get(LEASE_LABEL, "")
                labelled = Labelled(seen.object_id, seen.name, own_lease, seen.slot)
                why = name_fault(labelled, self.claimed)
            else:
                # Somebody may have renamed what is ours; an id is one container's for ever.
                why = "" if known == seen.object_id else "the ledger knows another container of it"
            if why:
                self._strangers.append(Stranger(seen.object_id, seen.name, why, seen.lease_id))
            else:
                self._listing.append(seen)

    def strangers(self) -> list[Stranger]:
        """List the containers that the last listing left out."""
        return list(self._strangers)

    async def look(self, lease_id: str) -> CensusObject | None:
        """Return the lease's container, by its label.

        "Gone" is said only by a listing that began after it was asked: one that was on its way may
        be older than the container.
        """
        asked = time.monotonic()
        seen = await super().look(lease_id)
        while seen is None and self._listing_begun < asked:
            self.forget_listing()
            seen = await super().look(lease_id)
        return seen

    async def outside(self) -> list[Outside]:
        """List notebooks without our label.

        Each container is inspected once, because what it has is fixed.
        """
        rows: list[ListedContainer] = await self.ask("containers")
        read = {}
        for object_id in [row["Id"] for row in rows if HUB_LABEL not in (row.get("Labels") or {})]:
            try:
                read[object_id] = (
                    self._outside[object_id]
                    if object_id in self._outside
                    else read_container(await self.ask("inspect_container", object_id))
                )
            except NotFound:
                continue  # it ended meanwhile
        self._outside = read
        return [notebook for notebook in read.values() if notebook is not None]

    def forget_listing(self) -> None:
        """Forget the listing, because we changed something: the next look asks the engine."""
        self._changed_at = time.monotonic()
        self._listed_at = -LISTING_AGE

    async def image_id(self, object_id: str) -> str:
        """Return the id of the image that a container was made from."""
        return str((await self.ask("inspect_container", object_id))["Image"])

    async def image_variables(self, image: str, *, again: bool = False) -> tuple[str, ...]:
        """Return the names of the variables that an image sets; `again` where it may be another.

        Raises NotFound and EngineAway.
        """
        if again or image not in self._image_variables:
            config = (await self.ask("inspect_image", image)).get("Config") or {}
            names = [str(row).partition("=")[0] for row in config.get("Env") or ()]
            self._image_variables[image] = tuple(names)
        return self._image_variables[image]

    async def volume_age(self, source: str) -> datetime | None:
        """Return when a volume, or a folder of this machine, was made; None where nobody can tell.

        Raises FileNotFoundError where there is none, and EngineAway.
        """
        if source.startswith("/"):
            return await folder_age(source)
        try:
            volume = await self.ask("inspect_volume", source)
        except NotFound:
            raise FileNotFoundError(source) from None
        return parse_age(volume.get("CreatedAt"))

    async def have_network(self) -> str:
        """Make the notebooks' own network where there is none; return why it cannot be made.

        Raises EngineAway.
        """
        try:
            await asyncio.wrap_future(self.submit_to("start", make_network))
            self.network_fault = ""
        except APIError as error:
            self.network_fault = str(error.explanation or error)
        except (DockerException, RequestException, OSError) as error:
            raise EngineAway(str(error)) from error
        return self.network_fault

    async def remove(self, object_id: str) -> None:
        """Kill and remove one container by its id."""
        try:
            await self.ask("remove_container", object_id, v=True, force=True)
        except NotFound:
            pass
        finally:
            self.forget_listing()

    async def remove_left_behind(self) -> None:
        """Remove throw-away containers of somebody who was killed. Raises EngineAway."""
        for name in await self._answer(self.submit_to("look", remove_left_behind)):
            log.info("Removed %s, which a trial that was killed left behind", name)

    async def try_folder(self, root: Path, image: str, owner: int, user: str | None) -> FolderTrial:
        """Let a throw-away container read and write a file below `root`, once for each image.

        What went wrong is tried again at the next start after a while. Never raises. Nobody waits
        for the trial of another image: one of somebody's own may make it last a minute.
        """
        key = (str(root), image, owner, user)
        async with self._trying[key]:
            known = self._trials.get(key)
            if known is None or time.monotonic() > known[1]:
                trial = await asyncio.wrap_future(
                    self.submit_to(
                        "trial",
                        lambda client: try_folder(
                            client, root, image=image, owner=owner, user=user
                        ),
                    )
                )
                keep = float("inf") if trial.seen is Outcome.KEPT else TRY_AGAIN
                known = self._trials[key] = (trial, time.monotonic() + keep)
        return known[0]

    async def bury(self, found: CensusObject) -> Corpse:
        """Stop, read exit code, memory kill and last lines, remove."""
        try:
            return await self._answer(
                self.submit_to("stop", lambda client: _stop_and_remove(client, found.object_id))
            )
        finally:
            self.forget_listing()

    async def destroy(self, found: CensusObject) -> None:
        """Kill and remove it."""
        await self.remove(found.object_id)

    async def cpu_seconds(self, found: OwnObject) -> float | None:
        """Return the CPU time of a container, read in a lane of its own."""
        return await asyncio.wrap_future(
            self.submit_to("stats", lambda client: container_cpu(client, found.object_id))
        )

    async def cores(self) -> int | None:
        """Return the CPUs of the engine's machine, asked once."""
        if self._cores is None:
            self._cores = int((await self.ask("info")).get("NCPU") or 0) or None
        return self._cores

    async def close(self) -> None:
        """End the lanes; what runs in them is not waited for."""
        self.readings.close()
        for lane in self._lanes.values():
            lane.shutdown(wait=False, cancel_futures=True)
        for client in self._clients:
            client.close()


def client_options(config: Config, cls: type[Configurable]) -> dict[str, Any]:
    """Collect how a spawner class reaches its engine: DockerSpawner's traits and the variables,
    then ours.

    Sections of parent classes count. Raises DockerException where the variables do not fit.
    """
    tls = configured(config, cls, "tls_config")
    return {
        "timeout": 60,
        **({"tls": TLSConfig(**tls)} if tls else {}),
        **kwargs_from_env(),
        **(configured(config, cls, "client_kwargs") or {}),
        **(configured(config, cls, "engine_options") or {}),
    }


def _census_object(row: ListedContainer, claimed: Mapping[str, str]) -> CensusObject:
    labels = row.get("Labels") or {}
    state = row.get("State", "")
    slot = labels.get(SLOT_LABEL, "")
    return CensusObject(
        object_id=row["Id"],
        lease_id=labels.get(LEASE_LABEL, "") or claimed.get(slot, ""),
        slot=slot,
        # "created" is on its way, "paused" and "restarting" still hold the device.
        alive=state not in ("exited", "dead", "removing"),
        name=(row.get("Names") or ["/"])[0].lstrip("/"),
        exit_code=_exit_code(row.get("Status", "")),
        detail=f"{state}: {row.get('Status', '')}",
        labels=labels,
        where=_where(row),
    )


def _where(row: ListedContainer) -> str:
    """Describe its addresses in the networks and its published ports as one text that is never
    empty."""
    networks = (row.get("NetworkSettings") or {}).get("Networks") or {}
    inside = sorted((name, (point or {}).get("IPAddress", "")) for name, point in networks.items())
    ports = sorted(
        (port.get("PrivatePort", 0), port.get("IP", ""), port.get("PublicPort", 0))
        for port in row.get("Ports") or ()
    )
    return json.dumps([inside, ports])


def _exit_code(status: str) -> int | None:
    # "Exited (137) 2 seconds ago"
    words = status.removeprefix("Exited (").split(")", 1)
    return int(words[0]) if status.startswith("Exited (") and words[0].isdigit() else None


def _stop_and_remove(client: APIClient, object_id: str) -> Corpse:
    try:
        # What is paused hears no signal: neither the gentle one nor, with some kernels, the other.
        if client.inspect_container(object_id)["State"].get("Paused"):
            client.unpause(object_id)
        client.stop(object_id, timeout=STOP_SECONDS)
        state = client.inspect_container(object_id)["State"]
        corpse = Corpse(
            exit_code=state.get("ExitCode"),
            out_of_memory=bool(state.get("OOMKilled")),
            last_words=last_lines(client, object_id),
        )
    except NotFound:
        return Corpse()
    try:
        client.remove_container(object_id, v=True, force=True)
    except NotFound:
        pass
    except APIError as error:
        # 409: somebody else is removing it; gone is what we want, and look() will say so.
        if error.status_code != 409:
            raise
    return corpse


def last_lines(client: APIClient, object_id: str) -> str:
    """Return the end of a container's log. Raises NotFound and what else the engine answers."""
    try:
        lines = client.logs(object_id, tail=LOG_LINES, stdout=True, stderr=True)
    except APIError as error:
        # 409: somebody else is removing it at this moment, and has read them.
        if error.status_code != 409:
            raise
        return ""
    return lines.decode("utf-8", "replace") if isinstance(lines, bytes) else ""
