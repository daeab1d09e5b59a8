"""Docker: devices by UUID, limits, folders, labels; lanes of its own; one listing for all polls."""

import asyncio
import inspect
import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import docker
from docker.errors import (
    APIError,
    DockerException,
    ImageNotFound,
    InvalidArgument,
    InvalidVersion,
    NotFound,
)
from docker.tls import TLSConfig
from docker.types import Mount
from docker.utils import kwargs_from_env, parse_repository_tag
from docker.utils.socket import frames_iter
from dockerspawner import DockerSpawner
from requests.exceptions import RequestException
from traitlets import Bool, Dict, Enum, Float, Integer, Unicode, default
from traitlets.config import Config

from ..rules.environment import VISIBLE
from ..rules.folders_seen import FolderTrial, Outcome
from ..rules.outside import Outside, read_container
from ..rules.ownership import Labelled, name_fault, slot_name
from ..rules.refusal import Refused, shown
from . import adopted, warm_program
from .answering import end_of_log
from .base import Claim, GradientSpawner, Lease, url_of
from .context import HubContext
from .download import Download
from .effort import container_cpu
from .engine import CensusObject, Corpse, Engine, EngineAway, Stranger, Waiting
from .folders import make_folder
from .folders_tried import try_folder
from .judged import JudgedContainers
from .labels import DEVICES_LABEL, HUB_LABEL, LEASE_LABEL, SLOT_LABEL
from .networks import make_network
from .sections import configured
from .trials import remove_left_behind
from .warm_pool import NOBODY, WarmPool

__all__ = [
    "DEVICES_LABEL",
    "HUB_LABEL",
    "LEASE_LABEL",
    "SLOT_LABEL",
    "DockerEngine",
    "GradientDockerSpawner",
]

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
#: A warm server that has not said by then that it was claimed is not worth waiting for.
CLAIM_SECONDS = 0.8
#: Variables that an administrator may set for all and that modules look at when they are imported.
READ_AT_IMPORT = ("HOME", "USER", "SHELL", "PATH", "XDG_", "JUPYTER_", "JUPYTERLAB_", "CONDA_")
PROGRAM = inspect.getsource(warm_program)
LOG_LINES = 40


class DockerEngine(Engine):
    """One Docker engine: lanes of threads with a client each, and the shared listing."""

    def __init__(self, hub_id: str, client_options: Mapping[str, Any]) -> None:
        super().__init__()
        self.hub_id = hub_id
        self._options = dict(client_options)
        self._lanes = {
            lane: ThreadPoolExecutor(count, thread_name_prefix=f"docker-{lane}")
            for lane, count in LANES.items()
        }
        self._local = threading.local()
        self._clients: list[Any] = []
        self._listing: list[CensusObject] = []
        self._strangers: list[Stranger] = []
        self._listed_at = -LISTING_AGE
        self._listing_task: asyncio.Task[list[CensusObject]] | None = None
        self._cores: int | None = None
        #: What containers could do with the hub's folder, and until when that is believed.
        self._trials: dict[tuple[str, str, int, str | None], tuple[FolderTrial, float]] = {}
        self._trying: defaultdict[Any, asyncio.Lock] = defaultdict(asyncio.Lock)
        #: Containers without our label, by id; None: no notebook.
        self._outside: dict[str, Outside | None] = {}
        self._image_variables: dict[str, tuple[str, ...]] = {}
        #: Why the notebooks' own network cannot be made; empty where it is there.
        self.network_fault = ""

    @property
    def address(self) -> str:
        """Where it is asked."""
        return str(self._options.get("base_url") or "unix:///var/run/docker.sock")

    def submit(self, method: str, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Call a method of docker's APIClient in the lane it belongs to."""
        lane = self._lanes[LANE_OF.get(method, "look")]
        return lane.submit(lambda: getattr(self.client, method)(*args, **kwargs))

    def submit_to(self, lane: str, call: Callable[[Any], Any]) -> "Future[Any]":
        """Run `call(client)` in a lane."""
        return self._lanes[lane].submit(lambda: call(self.client))

    @property
    def client(self) -> Any:
        """This thread's client: docker-py's sessions are not made for many threads."""
        if not hasattr(self._local, "client"):
            self._local.client = docker.APIClient(**{"version": "auto", **self._options})
            self._clients.append(self._local.client)
        return self._local.client

    @property
    def known_client(self) -> Any:
        """A client for what docker-py says without asking the engine.

        Making one asks it for its version, so that one of a lane's is returned where there is one.
        """
        return self._clients[0] if self._clients else self.client

    async def ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Run a call like `submit` and await it.

        Raises EngineAway for what goes wrong on the way to the engine.
        """
        try:
            return await asyncio.wrap_future(self.submit(method, *args, **kwargs))
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
        try:
            rows = await self.ask(
                "containers", all=True, filters={"label": f"{HUB_LABEL}={self.hub_id}"}
            )
            self._sort(rows)
            self._listed_at = time.monotonic()
            return self._listing
        finally:
            self._listing_task = None

    def _sort(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Tell ours from strangers with our labels, by what is known here: names and ids."""
        self._listing, self._strangers = [], []
        for row in rows:
            found = _found(row, self.claimed)
            own = Labelled(
                found.object_id, found.name, found.labels.get(LEASE_LABEL, ""), found.slot
            )
            known = self.object_ids.get(found.lease_id or found.slot)
            if known is None:
                why = name_fault(own, self.claimed)
            else:
                # Somebody may have renamed what is ours; an id is one container's for ever.
                same = known == found.object_id
                why = "" if same else "the ledger knows another container of it"
            if why:
                self._strangers.append(Stranger(found.object_id, found.name, why, found.lease_id))
            else:
                self._listing.append(found)

    def strangers(self) -> list[Stranger]:
        """List the containers that the last listing left out."""
        return list(self._strangers)

    async def look(self, lease_id: str) -> CensusObject | None:
        """Return the lease's container, by its label.

        "Gone" is said only by a listing that is fresh.
        """
        asked = time.monotonic()
        for found in await self.census():
            if found.lease_id == lease_id:
                return found
        if self._listed_at < asked:
            self._listed_at = -LISTING_AGE
            for found in await self.census():
                if found.lease_id == lease_id:
                    return found
        return None

    async def outside(self) -> list[Outside]:
        """List notebooks without our label.

        Each container is inspected once, because what it has is fixed.
        """
        rows = await self.ask("containers")
        strangers = [row["Id"] for row in rows if HUB_LABEL not in (row.get("Labels") or {})]
        found = {}
        for object_id in strangers:
            try:
                found[object_id] = (
                    self._outside[object_id]
                    if object_id in self._outside
                    else read_container(await self.ask("inspect_container", object_id))
                )
            except NotFound:
                continue  # it ended meanwhile
        self._outside = found
        return [one for one in found.values() if one is not None]

    def forget_listing(self) -> None:
        """Forget the listing, because we changed something: the next look asks the engine."""
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
        try:
            removed = await asyncio.wrap_future(self.submit_to("look", remove_left_behind))
        except (DockerException, RequestException, OSError) as error:
            raise EngineAway(str(error)) from error
        for name in removed:
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
            return await asyncio.wrap_future(
                self.submit_to("stop", lambda client: _bury(client, found.object_id))
            )
        except (DockerException, RequestException, OSError) as error:
            raise EngineAway(str(error)) from error
        finally:
            self.forget_listing()

    async def destroy(self, found: CensusObject) -> None:
        """Kill and remove it."""
        await self.remove(found.object_id)

    async def cpu_seconds(self, found: CensusObject) -> float | None:
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


def _found(row: Mapping[str, Any], claimed: Mapping[str, str]) -> CensusObject:
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


def _where(row: Mapping[str, Any]) -> str:
    """Describe its addresses in the networks and its published ports as one text that is never
    empty."""
    networks = (row.get("NetworkSettings") or {}).get("Networks") or {}
    inside = sorted((name, (one or {}).get("IPAddress", "")) for name, one in networks.items())
    ports = sorted(
        (port.get("PrivatePort", 0), port.get("IP", ""), port.get("PublicPort", 0))
        for port in row.get("Ports") or ()
    )
    return json.dumps([inside, ports])


def _exit_code(status: str) -> int | None:
    # "Exited (137) 2 seconds ago"
    words = status.removeprefix("Exited (").split(")", 1)
    return int(words[0]) if status.startswith("Exited (") and words[0].isdigit() else None


def _bury(client: Any, object_id: str) -> Corpse:
    try:
        # What is paused hears no signal: neither the gentle one nor, with some kernels, the other.
        if client.inspect_container(object_id)["State"].get("Paused"):
            client.unpause(object_id)
        client.stop(object_id, timeout=STOP_SECONDS)
        state = client.inspect_container(object_id)["State"]
        words = _last_lines(client, object_id)
        corpse = Corpse(
            exit_code=state.get("ExitCode"),
            out_of_memory=bool(state.get("OOMKilled")),
            last_words=words,
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


def _last_lines(client: Any, object_id: str) -> str:
    try:
        words = client.logs(object_id, tail=LOG_LINES, stdout=True, stderr=True)
    except APIError as error:
        # 409: somebody else is removing it at this moment, and has read them.
        if error.status_code != 409:
            raise
        return ""
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else ""


class GradientDockerSpawner(GradientSpawner, JudgedContainers):
    """Notebooks as containers, each on its own devices."""

    container_home = Unicode(
        "/notebooks",
        help="""Folder in the container that holds the notebook's own workspace.

        Default "/notebooks", as Gradient has it. It is the working folder of the server.""",
    ).tag(config=True)

    container_storage = Unicode(
        "/storage",
        help="""Folder in the container that holds the account's storage, which all its notebooks
        see.

        Default "/storage", as Gradient has it. "": none is mounted.""",
    ).tag(config=True)

    folder_owner = Integer(
        1000,
        help="""User id (and group id) in the container that owns new workspace and storage
        folders.

        Default 1000: the user of Jupyter's images. A hub that is not root cannot give folders
        away, and then images must run as the hub's own user id.""",
    ).tag(config=True)

    device_driver = Enum(
        ("nvidia", "cdi", "environment"),
        default_value="nvidia",
        help="""How a device is requested: "nvidia" by UUID through the NVIDIA runtime, "cdi" by
        CDI name (the device's uuid is then written like nvidia.com/gpu=GPU-...), "environment" by
        the variable NVIDIA_VISIBLE_DEVICES alone, which enforces nothing.

        Default "nvidia": works with every engine since 19.03. "cdi" needs engine 25 or later.
        "environment" is for a demo with devices that do not exist.""",
    ).tag(config=True)

    enforce_limits = Bool(
        True,
        help="""Whether a container gets the CPUs and memory of its instance type as limits.

        Default True: what is rented is what one gets. False suits a demo on a small machine.""",
    ).tag(config=True)

    pull_timeout = Float(
        1800,
        help="""Seconds that downloading an image may take before the start is given up.

        Default 1800: GPU images have several GB. Nothing is charged while it downloads.""",
    ).tag(config=True)

    engine_options = Dict(
        help="""More keywords for docker.APIClient, for example {"timeout": 30}.

        Default {}: DOCKER_HOST and its TLS variables, else DockerSpawner's client_kwargs and
        tls_config, else the local socket; 60 s a call.""",
    ).tag(config=True)

    adopted_volumes = adopted.volumes_trait(
        "Such a notebook starts cold, also where warm servers wait."
    )

    # DockerSpawner declares these traits without types.
    extra_create_kwargs: Any
    extra_host_config: Any

    _calls: "set[Future[Any]]"
    _shown: list[adopted.Shown]
    #: Where not None, what the engine would be told to create is kept here and nothing is created.
    _told: dict[str, Any] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._calls = set()
        self._shown = []

    def clear_state(self) -> None:
        """Clear the state, before each start and after each stop: DockerSpawner would keep the
        container's id."""
        super().clear_state()
        self.object_id = ""

    @default("name_template")
    def _name_by_lease(self) -> str:
        return "gradient-{lease}"

    @default("http_timeout")
    def _http_timeout(self) -> int:
        return 60

    @classmethod
    def make_engine(cls, context: HubContext, config: Config) -> DockerEngine:
        """Make an engine as this class's traits say."""
        adopted.adopted_of(config, cls)
        return DockerEngine(context.settings.hub_id, cls.client_options(config))

    @classmethod
    def client_options(cls, config: Config) -> dict[str, Any]:
        """Collect how the engine is reached: DockerSpawner's traits and the variables, then ours.

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

    @property
    def engine(self) -> DockerEngine:
        """The hub's engine, which this spawner's make_engine made."""
        found = self.context.engine
        assert isinstance(found, DockerEngine)
        return found

    @property
    def client(self) -> Any:
        """The engine's client. DockerSpawner makes one on the hub's loop, past `engine_options`."""
        return self.engine.known_client

    def docker(self, method: str, *args: Any, **kwargs: Any) -> "asyncio.Future[Any]":
        """Run a call of DockerSpawner to the engine in our lanes instead of its one thread.

        What is to be made is judged here, after all hooks, and seen again before it is started.
        """
        if method == "create_container":
            return asyncio.ensure_future(self._create(args, kwargs))
        if method == "start":
            return asyncio.ensure_future(self._start_made(args, kwargs))
        return self._submit(method, *args, **kwargs)

    async def _create(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        arguments = await self.judged(args, kwargs)
        if self._told is not None:
            self._told.update(arguments)
            return {}
        self._asked = arguments
        return await self._submit("create_container", **arguments)

    async def _start_made(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        await self.compare(str(args[0] if args else kwargs["container"]))
        return await self._submit("start", *args, **kwargs)

    def _submit(self, method: str, *args: Any, **kwargs: Any) -> "asyncio.Future[Any]":
        call = self.engine.submit(method, *args, **kwargs)
        if method in ("create_container", "start"):
            # A cancelled start leaves its call running; its end must wait for that
            # (settled_calls). A download is not waited for: it creates nothing of ours.
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        if method in ("create_container", "start", "stop", "remove_container"):
            call.add_done_callback(lambda _call: self.engine.forget_listing())
        return asyncio.wrap_future(call)

    async def see_made(self) -> None:
        """See that the container is the one that was asked for, also where it was made past us."""
        await self.compare(self.object_id)

    @property
    def made_id(self) -> str | None:
        """The container's id, once there is one."""
        return self.object_id or None

    async def remove_object(self) -> None:
        """Remove what DockerSpawner finds in the way of a start, if it is this lease's."""
        if self.lease_id:
            row = await self.engine.ask("inspect_container", self.object_id)
            labels = (row.get("Config") or {}).get("Labels") or {}
            own = (labels.get(HUB_LABEL), labels.get(LEASE_LABEL))
            if own != (self.context.settings.hub_id, self.lease_id):
                raise Refused(
                    "start_failed",
                    f"A container named {shown(self.object_name)} is in the way, and it is not"
                    " one of ours.",
                    "Nothing was charged. Your administrator: see whose it is, and rename or"
                    " remove it.",
                )
            self.log.warning(
                "%s: container %s (%s) is removed: it is in the way of a new start",
                self._log_name,
                self.object_id,
                self.object_name,
            )
        await super().remove_object()

    async def settled_calls(self) -> None:
        """Wait for engine calls that a cancelled start left behind, so that none creates later."""
        waiting = [asyncio.wrap_future(call) for call in list(self._calls) if not call.cancelled()]
        if waiting:
            await asyncio.wait(waiting, timeout=60)

    async def apply_lease(self, lease: Lease) -> None:
        """Apply the lease as settings of the container."""
        if lease.image is None:
            raise Refused(
                "start_failed",
                f"The runtime {shown(lease.runtime or '')} has no image.",
                "Ask your administrator to set one, or choose another runtime.",
            )
        self.image = lease.image
        # Never resumed: an old container would keep its old limits, image and token.
        self.remove = True
        self.object_name = self.object_label
        self.notebook_dir = self.container_home
        self.default_url = "/lab" if lease.interface == "lab" else "/tree"
        if self.enforce_limits:
            self.mem_limit = int(lease.memory * 10**9)
            self.cpu_limit = float(lease.cpus)
        self._shown = []
        self.choose_network()
        if not self._nobodys:
            await asyncio.to_thread(self._make_folders, lease)
            await self._show_adopted(lease)

    async def _show_adopted(self, lease: Lease) -> None:
        """Find the old volumes of this person, and make the places that show them."""
        if not self.adopted_volumes:
            return
        old = adopted.adopted_of(self.config, type(self))
        home = self.folders(lease)[0]
        for found in await adopted.find_shown(self, old, self._volume_name, self._volume_age):
            if await asyncio.to_thread(adopted.make_place, home, found.folder, self.folder_owner):
                self._shown.append(found)
            else:
                self.log.warning(
                    "%s: %s is not shown: %s in the workspace is not a folder",
                    self._log_name,
                    found.source,
                    found.folder,
                )

    def _volume_name(self, template: str) -> str:
        return str(self.format_volume_name(template, self))

    async def _volume_age(self, source: str) -> datetime | None:
        if source.startswith("/"):
            return await adopted.folder_age(source)
        try:
            volume = await self.engine.ask("inspect_volume", source)
        except NotFound:
            raise FileNotFoundError(source) from None
        # Not every volume driver tells it.
        return adopted.parse_age(volume.get("CreatedAt"))

    @property
    def mount_binds(self) -> list[Any]:
        """The admin's mounts, and the old volumes that this start shows."""
        return [
            *super().mount_binds,
            *(
                Mount(
                    f"{self.container_home}/{shown_.folder}",
                    shown_.source,
                    type="bind" if shown_.is_path else "volume",
                    read_only=shown_.read_only,
                )
                for shown_ in self._shown
            ),
        ]

    def _make_folders(self, lease: Lease) -> None:
        root = self.context.settings.storage_root
        for folder in self.folders(lease):
            make_folder(root, folder, self.folder_owner)

    @property
    def volume_binds(self) -> dict[str, dict[str, str]]:
        """The admin's volumes, and the two folders of this lease."""
        binds: dict[str, dict[str, str]] = dict(super().volume_binds)
        if self.lease is not None:
            home, storage = self.folders(self.lease)
            binds[str(home)] = {"bind": self.container_home, "mode": "rw"}
            if self.container_storage:
                binds[str(storage)] = {"bind": self.container_storage, "mode": "rw"}
        return binds

    def _render_templates(self, obj: Any, ns: Mapping[str, Any] | None = None) -> Any:
        """Render configuration with str.format, as DockerSpawner does.

        A stray brace is left as it is.
        """
        try:
            return super()._render_templates(obj, ns)
        except (IndexError, AttributeError):
            return obj

    def template_namespace(self) -> dict[str, Any]:
        """Return DockerSpawner's names, and `lease` for the container's name."""
        return {**super().template_namespace(), "lease": self.lease_id or "none"}

    async def check_allowed(self, image: str) -> str:
        """Allow the image: admission has decided already, and DockerSpawner would read user options
        again."""
        return self.image

    async def create_object(self) -> Any:
        """Create with an init and without auto_remove: a corpse is read first.

        Devices, labels and what guards the machine are added where it is judged.
        """
        own_create: Any = self.extra_create_kwargs
        own_host: Any = self.extra_host_config
        try:
            self.extra_create_kwargs = {
                **await self._own(own_create),
                "working_dir": self.container_home,
            }
            self.extra_host_config = {
                "init": True,
                **await self._own(own_host),
                "auto_remove": False,
            }
            return await super().create_object()
        except (InvalidArgument, InvalidVersion, TypeError) as error:
            # docker-py's words for settings that it cannot send; the engine was not asked.
            raise Refused(
                "start_failed",
                f"The container's settings cannot be sent to the engine: {shown(str(error), 200)}.",
                "Nothing was charged. Your administrator: correct extra_host_config,"
                " extra_create_kwargs or network_name of the spawner; `gradienthub check` judges"
                " them.",
            ) from error
        finally:
            self.extra_create_kwargs, self.extra_host_config = own_create, own_host

    async def _own(self, configured: Any) -> dict[str, Any]:
        """Return the admin's extras, which may be a dict or a callable of the spawner, async or
        not."""
        value = configured(self) if callable(configured) else configured
        if asyncio.iscoroutine(value):
            value = await value
        return dict(value or {})

    def get_env(self) -> dict[str, str]:
        """Return the hub's environment. Which devices are visible is said where it is judged."""
        if self._nobodys:
            env = {key: v for key, v in self.environment.items() if isinstance(v, str)}
            env["JUPYTER_IMAGE_SPEC"] = self.image
        else:
            env = super().get_env()
        if self.lease is not None:
            env["GRADIENT_INSTANCE_TYPE"] = self.lease.instance_type
        return env

    async def prepare(self, lease: Lease) -> None:
        """Download the image where it is missing: before the turn, so that nobody waits for it."""
        assert lease.image is not None
        await self.have_network()
        try:
            await asyncio.wait_for(self._download(lease.id, lease.image), self.pull_timeout)
        except TimeoutError:
            raise Refused(
                "start_failed",
                f"The image {shown(lease.image)} was not downloaded within"
                f" {self.pull_timeout / 60:.0f} min.",
                "Nothing was charged. Try again later, or choose another runtime.",
            ) from None
        except (ImageNotFound, NotFound) as error:
            raise Refused(
                "start_failed",
                f"There is no image {shown(lease.image)}.",
                "Nothing was charged. Check name and tag, or choose another runtime.",
            ) from error
        except APIError as error:
            self.log.warning("%s: pull failed: %s", self._log_name, error)
            raise Refused(
                "start_failed",
                f"The image {shown(lease.image)} could not be downloaded:"
                f" {shown(error.explanation or 'the registry gave no reason', 160)}.",
                "Nothing was charged. Check name and tag, or choose another runtime.",
            ) from error
        except (DockerException, RequestException, OSError) as error:
            raise EngineAway(str(error)) from error
        await self._refuse_lost_files(lease)

    async def _refuse_lost_files(self, lease: Lease) -> None:
        """Refuse a start whose files would be lost for certain; what is not known is let pass.

        An image of somebody's own may have no shell, or a user of its own: then only that the
        engine does not see the folder counts.
        """
        assert lease.image is not None
        user = user_of(self.extra_create_kwargs)
        root = self.context.settings.storage_root
        trial = await self.engine.try_folder(root, lease.image, self.folder_owner, user)
        unsure = callable(self.extra_create_kwargs) or lease.runtime is None
        if not trial.is_fault or (unsure and trial.seen is not Outcome.UNSEEN):
            return
        self.log.error("%s: %s; %s", self._log_name, trial.says, trial.cure)
        what = (
            "nobody's files would be kept" if trial.seen is Outcome.UNSEEN else "you could not save"
        )
        raise Refused(
            "start_failed",
            f"No notebook starts with this runtime now: {what}.",
            "Nothing was charged. Tell your administrator: `gradienthub check` says what to do.",
        )

    @classmethod
    async def try_folders(cls, context: HubContext, config: Config) -> list[FolderTrial]:
        """Let a throw-away container of each runtime that the engine has read and write a file."""
        engine = context.engine
        assert isinstance(engine, DockerEngine)
        runtimes = context.settings.house.catalog.runtimes
        owner = configured(config, cls, "folder_owner")
        user = user_of(configured(config, cls, "extra_create_kwargs"))
        root = context.settings.storage_root
        return [
            await engine.try_folder(root, image, owner, user)
            for image in dict.fromkeys(r.image for r in runtimes if r.image)
        ]

    async def _download(self, lease_id: str, image: str) -> None:
        """Pull by the admin's `pull_policy`, in a lane of its own, telling how far it is."""
        policy = self.pull_policy.lower()
        if policy == "skip":
            return
        if policy != "always":
            try:
                await self.engine.image_variables(image, again=True)
                return
            except NotFound:
                if policy == "never":
                    raise
        progress = self.context.downloads.setdefault(lease_id, Download())
        call = self.engine.submit_to("pull", lambda client: _pull(client, image, progress))
        try:
            await asyncio.wrap_future(call)
            await self.engine.image_variables(image, again=True)
        finally:
            self.context.downloads.pop(lease_id, None)

    async def pull_image(self, image: str) -> None:
        """Do nothing: `prepare` pulled the image before the turn."""

    async def start_engine(self) -> tuple[str, int]:
        """Start as DockerSpawner does, with the engine's errors in words."""
        try:
            ip, port = await DockerSpawner.start(self)
        except APIError as error:
            self.log.error("%s: %s", self._log_name, error)
            await self.note_device_fault(str(error.explanation or error))
            raise Refused(
                "start_failed",
                f"The engine refused the container: {shown(str(error.explanation or error), 200)}.",
                "Nothing was charged. Your administrator can see more in the hub's log.",
            ) from error
        except (DockerException, RequestException, OSError) as error:
            raise EngineAway(str(error)) from error
        except RuntimeError as error:
            # DockerSpawner's word for a container without a port: it is dead already.
            raise await self._died_at_once() from error
        if not ip:
            raise await self._died_at_once()
        return ip, port

    async def find_address(self, found: CensusObject) -> str:
        """Return where the container is reached now, by the engine's word."""
        self.object_id = found.object_id
        try:
            ip, port = await self.get_ip_and_port()
        except Exception:
            # DockerSpawner's ways to say that it has none now; a subclass may have others.
            return ""
        return url_of((ip, port)) if ip else ""

    async def _died_at_once(self) -> Refused:
        assert self.lease is not None
        return Refused(
            "start_failed",
            "The container died at once, before it had an address."
            + await end_of_log(self, self.lease),
            "Nothing was charged. A custom image needs jupyterhub-singleuser 6 inside.",
        )

    # -- warm servers -----------------------------------------------------------------------

    async def warm_digest(self) -> str:
        """Hash everything that a cold start would be given, the image's id, and our program."""
        assert self.lease is not None
        assert self.lease.image is not None
        pool = WarmPool.of(self.context)
        if not pool.may_mount:
            raise ValueError(
                "the hub is not root, and folders arrive late by mounting; set"
                " c.GradientHub.mount_helper"
            )
        await asyncio.to_thread(pool.mounts.prepare)
        await self.have_network()
        await self.apply_lease(self.lease)
        if NOBODY in json.dumps(kwargs := await self._cold(), default=str):
            raise ValueError(
                "volumes, mounts or extra settings of the containers name their user, who is not"
                " known yet"
            )
        await self.engine.image_variables(self.image, again=True)
        image = await self.engine.ask("inspect_image", self.image)
        return self._digest(kwargs, image["Id"])

    @property
    def _nobodys(self) -> bool:
        """Whether this is the spawner of a warm server, whose person is not known yet."""
        return bool(self.user.name == NOBODY)

    async def _cold(self) -> dict[str, Any]:
        """Return what a cold start would tell the engine."""
        self._told = {}
        try:
            await self.create_object()
            return self._told
        finally:
            self._told = None

    def _digest(self, cold: dict[str, Any], image_id: str) -> str:
        """Hash what is fixed when a container is made: two starts with one digest do not differ in
        it."""
        host = dict(cold["host_config"])
        host["Binds"] = sorted(self._fixed_binds(cold))
        host["DeviceRequests"] = bool(host.get("DeviceRequests"))
        own = {
            key: value
            for key, value in cold["labels"].items()
            if not key.startswith("gradienthub.")
        }
        fixed = {
            **{k: v for k, v in cold.items() if k not in ("name", "environment")},
            "host_config": host,
            "labels": own,
            "early": _early(cold["environment"]),
            "image": image_id,
            "program": PROGRAM,
        }
        return sha256(json.dumps(fixed, sort_keys=True, default=str).encode()).hexdigest()

    def _late_folders(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.container_home, self.container_storage)))

    def _fixed_binds(self, cold: dict[str, Any]) -> list[str]:
        """List the binds that do not depend on the person."""
        late = tuple(f":{folder}:rw" for folder in self._late_folders())
        return [b for b in cold["host_config"].get("Binds") or () if not b.endswith(late)]

    async def get_command(self) -> list[str]:
        """Return the configured command, else the image's own, with the arguments.

        The image is looked up only where one is started; one with an entry point needs no command.
        """
        if self.cmd or self._told is not None:
            return [*(self.cmd or ()), *self.get_args()]
        made = (await self.docker("inspect_image", self.image)).get("Config") or {}
        command = made.get("Cmd") or ()
        if not command and not made.get("Entrypoint"):
            raise Refused(
                "start_failed",
                f"The image {shown(self.image)} does not say what it starts: it has no CMD and no"
                " ENTRYPOINT.",
                "Nothing was charged. Add CMD to the image, or choose another runtime. Your"
                f" administrator may write c.{type(self).__name__}.cmd instead.",
            )
        return [*command, *self.get_args()]

    async def fill(self, slot_id: str) -> Waiting:
        """Create a container with two empty folders, whose command waits."""
        lease = self.lease
        assert lease is not None
        await self.apply_lease(lease)
        pool = WarmPool.of(self.context)
        cold = await self._cold()
        command = await self.get_command()
        places = await asyncio.to_thread(pool.mounts.make, slot_id)
        self._slot_id, self._places = slot_id, places
        binds = self._fixed_binds(cold) + [
            f"{place}:{folder}:rw,rslave"
            for place, folder in zip(places, self._late_folders(), strict=False)
        ]
        warm = {
            **cold,
            "name": slot_name(slot_id),
            "command": ["python3", "-c", warm_program.BOOT, *command],
            "stdin_open": True,
            # Otherwise the engine closes its input after the first line.
            "detach": True,
            # Nothing that an administrator put in for people: it may be a secret.
            "environment": _early(cold["environment"]) | {VISIBLE: cold["environment"][VISIBLE]},
            "host_config": {**cold["host_config"], "Binds": binds},
        }
        made = await self.docker("create_container", **warm)
        self.object_id = made["Id"]
        await self.compare(self.object_id)
        try:
            said = await asyncio.wrap_future(
                self.engine.submit_to(
                    "warm", lambda client: start_until_ready(client, self.object_id)
                )
            )
        except APIError as error:
            await self.note_device_fault(str(error.explanation or error))
            raise
        return Waiting(self.object_id, await self.get_ip_and_port(), int(said.get("memory") or 0))

    async def claim(self, lease: Lease, claim: Claim) -> tuple[str, int]:
        """Bind the folders, tell it who it is, give the container this lease's name."""
        # An administrator's hook may have made this start a different one.
        image_id = await self.engine.image_id(claim.object_id)
        cold = await self._cold()
        if self._digest(cold, image_id) != claim.digest:
            raise ValueError("this start differs from what the warm server was made for")
        self.object_id = claim.object_id
        told = {
            "env": cold["environment"],
            "drop": [],
            "argv": await self.get_command(),
            "cwd": self.container_home,
            "folders": {},
        }
        mounts = WarmPool.of(self.context).mounts
        folders = self.folders(lease)

        def take(client: Any) -> None:
            mounts.bind(claim.slot_id, lease.notebook_id, lease.account_id)
            told["folders"] = {
                inside: folder.stat().st_ino
                for folder, inside in zip(folders, self._late_folders(), strict=False)
            }
            tell(client, claim.object_id, told)

        renamed = self.engine.submit("rename", claim.object_id, self.object_label)
        taken = self.engine.submit_to("claim", take)
        for call in (taken, renamed):
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        # Asked again: a container that was restarted while it waited has another address by now,
        # and its old one may be somebody else's.
        address, *_ = await asyncio.gather(
            self.get_ip_and_port(), asyncio.wrap_future(taken), asyncio.wrap_future(renamed)
        )
        ip, port = address
        return ip, int(port)


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what is read before a program runs or while it imports; such a variable cannot come
    late.

    Nothing that may be a secret: an ownerless container has none.
    """
    return {
        key: value
        for key, value in environment.items()
        if key.startswith((*warm_program.EARLY, *READ_AT_IMPORT))
        and not any(word in key for word in ("TOKEN", "PASSWORD", "SECRET", "KEY"))
    }


def _lines(connection: Any) -> Iterator[dict[str, Any]]:
    """Yield what the waiting program says, line by line, until it ends. Other output is skipped."""
    rest = b""
    for _stream, data in frames_iter(connection, tty=False):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict) and ("warm" in said or "error" in said):
                yield said


def start_until_ready(client: Any, object_id: str) -> dict[str, Any]:
    """Start it, give it its program and wait until it waits.

    Raises RuntimeError with its last words where it died.

    It is listened to before it starts: of one that runs, what it says between the engine's reading
    of its log and joining its stream would be lost.
    """
    params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    with closing(client.attach_socket(object_id, params)) as connection:
        client.start(object_id)
        connection._sock.sendall(json.dumps(PROGRAM).encode() + b"\n")
        for said in _lines(connection):
            return said
    raise RuntimeError(_last_lines(client, object_id).strip()[-300:] or "it said nothing")


def tell(client: Any, object_id: str, told: Mapping[str, Any]) -> None:
    """Send it one line. It must answer at once that it was claimed."""
    with closing(client.attach_socket(object_id, {"stdin": 1, "stdout": 1, "stream": 1})) as raw:
        connection = raw._sock
        connection.settimeout(CLAIM_SECONDS)
        connection.sendall(json.dumps(told).encode() + b"\n")
        for said in _lines(connection):
            if said.get("warm") == "claimed":
                return
            raise RuntimeError(str(said.get("error")))
    raise RuntimeError("it ended")


def _pull(client: Any, image: str, progress: Download) -> None:
    """Pull to the end. Raises what the engine says in a line, which docker-py does not."""
    repository, tag = parse_repository_tag(image)
    for line in client.pull(repository, tag or "latest", stream=True, decode=True):
        if said := line.get("error"):
            raise APIError(said, explanation=said)
        progress.take(line)


def user_of(extra: Any) -> str | None:
    """Return as whom the admin's settings let containers run; None: as the image says."""
    user = extra.get("user") if isinstance(extra, Mapping) else None
    return None if user is None else str(user)
