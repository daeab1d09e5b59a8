"""Docker: devices by UUID, limits, folders and labels, in containers cold and warm."""

import asyncio
import json
from collections.abc import Mapping

from docker import APIClient
from docker.errors import APIError, DockerException
from dockerspawner import DockerSpawner
from requests.exceptions import RequestException
from traitlets import Bool, Dict, Enum, Float, Integer, Unicode, default
from traitlets.config import Config

from ..rules.folders_seen import FolderTrial
from ..rules.refusal import Refused, shown
from . import adopted
from .answering import died_at_once
from .base import Claim, GradientSpawner, Lease, url_of
from .context import HubContext
from .docker_engine import DockerEngine, client_options
from .docker_types import InspectedImage
from .engine import CensusObject, EngineAway, Waiting
from .folders import make_folder
from .folders_tried import lost_files
from .images import have_image, pull_refusals
from .judged import JudgedContainers
from .sections import configured
from .warm_container import start_until_ready, tell
from .warm_pool import NOBODY, WarmPool
from .warm_program import Identity


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
        return DockerEngine(context.settings.hub_id, client_options(config, cls))

    async def settled_calls(self) -> None:
        """Wait for engine calls that a cancelled start left behind, so that none creates later."""
        waiting = [asyncio.wrap_future(call) for call in list(self._calls) if not call.cancelled()]
        if waiting:
            await asyncio.wait(waiting, timeout=60)

    # -- a cold start -----------------------------------------------------------------------

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
        self._shown = ()
        self.choose_network()
        if not self._is_for_warm_slot:
            root = self.context.settings.storage_root
            for folder in self.folders(lease):
                await asyncio.to_thread(make_folder, root, folder, self.folder_owner)
            self._shown = await adopted.show_old(
                self,
                lambda template: str(self.format_volume_name(template, self)),
                self.engine.volume_age,
                lambda home, old: adopted.make_place(home, old.folder, self.folder_owner),
            )

    def get_env(self) -> dict[str, str]:
        """Return the hub's environment. Which devices are visible is said where it is judged."""
        if self._is_for_warm_slot:
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
        with pull_refusals(lease.image, self.pull_timeout, self.log):
            await asyncio.wait_for(
                have_image(
                    self.engine,
                    lease.image,
                    policy=self.pull_policy.lower(),
                    downloads=self.context.downloads,
                    lease_id=lease.id,
                ),
                self.pull_timeout,
            )
        user = user_of(self.extra_create_kwargs)
        root = self.context.settings.storage_root
        trial = await self.engine.try_folder(root, lease.image, self.folder_owner, user)
        # An image of somebody's own may have no shell, or a user of its own.
        unsure = callable(self.extra_create_kwargs) or lease.runtime is None
        if refused := lost_files(trial, unsure=unsure):
            self.log.error("%s: %s; %s", self._log_name, trial.says, trial.cure)
            raise refused

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
            raise await died_at_once(self) from error
        if not ip:
            raise await died_at_once(self)
        return ip, port

    async def see_made(self) -> None:
        """See that the container is the one that was asked for, also where it was made past us."""
        await self.compare(self.object_id)

    @property
    def made_id(self) -> str | None:
        """The container's id, once there is one."""
        return self.object_id or None

    async def find_address(self, found: CensusObject) -> str:
        """Return where the container is reached now, by the engine's word."""
        self.object_id = found.object_id
        try:
            ip, port = await self.get_ip_and_port()
        except Exception:
            # DockerSpawner's ways to say that it has none now; a subclass may have others.
            return ""
        return url_of((ip, port)) if ip else ""

    # -- warm servers -----------------------------------------------------------------------

    @property
    def _is_for_warm_slot(self) -> bool:
        """Whether this is the spawner of a warm server, whose person is not known yet."""
        return bool(self.user.name == NOBODY)

    async def warm_digest(self) -> str:
        """Hash everything that a cold start would be given, the image's id, and our program."""
        assert self.lease is not None
        pool = WarmPool.of(self.context)
        if not pool.may_mount:
            raise ValueError(
                "the hub is not root, and folders arrive late by mounting; set"
                " c.GradientHub.mount_helper"
            )
        await asyncio.to_thread(pool.mounts.prepare)
        await self.have_network()
        await self.apply_lease(self.lease)
        cold = await self.cold_start()
        if NOBODY in json.dumps(cold.arguments, default=str):
            raise ValueError(
                "volumes, mounts or extra settings of the containers name their user, who is not"
                " known yet"
            )
        await self.engine.image_variables(self.image, again=True)
        image: InspectedImage = await self.engine.ask("inspect_image", self.image)
        return cold.digest(image["Id"])

    async def fill(self, slot_id: str) -> Waiting:
        """Create a container with two empty folders, whose command waits."""
        assert self.lease is not None
        await self.apply_lease(self.lease)
        cold = await self.cold_start()
        command = await self.get_command()
        mounts = WarmPool.of(self.context).mounts
        self._slot_id, self._places = slot_id, await asyncio.to_thread(mounts.make, slot_id)
        made = await self.docker("create_container", **cold.waiting(slot_id, command, self._places))
        self.object_id = made["Id"]
        await self.compare(self.object_id)
        try:
            ready = await asyncio.wrap_future(
                self.engine.submit_to(
                    "warm", lambda client: start_until_ready(client, self.object_id)
                )
            )
        except APIError as error:
            await self.note_device_fault(str(error.explanation or error))
            raise
        return Waiting(self.object_id, await self.get_ip_and_port(), int(ready.get("memory") or 0))

    async def claim(self, lease: Lease, claim: Claim) -> tuple[str, int]:
        """Bind the folders, tell it who it is, give the container this lease's name."""
        # An administrator's hook may have made this start a different one.
        image_id = await self.engine.image_id(claim.object_id)
        cold = await self.cold_start()
        if cold.digest(image_id) != claim.digest:
            raise ValueError("this start differs from what the warm server was made for")
        self.object_id = claim.object_id
        identity: Identity = {
            "env": cold.arguments["environment"],
            "drop": [],
            "argv": await self.get_command(),
            "cwd": self.container_home,
            "folders": {},
        }
        mounts = WarmPool.of(self.context).mounts
        places = dict(zip(cold.late_folders, self.folders(lease), strict=False))

        def take(client: APIClient) -> None:
            mounts.bind(claim.slot_id, lease.notebook_id, lease.account_id)
            identity["folders"] = {place: path.stat().st_ino for place, path in places.items()}
            tell(client, claim.object_id, identity)

        renamed = self.engine.submit("rename", claim.object_id, self.object_label)
        taken = self.engine.submit_to("claim", take)
        for call in (taken, renamed):
            self._keep_call(call)
        # Asked again: a container that was restarted while it waited has another address by now,
        # and its old one may be somebody else's.
        address, *_ = await asyncio.gather(
            self.get_ip_and_port(), asyncio.wrap_future(taken), asyncio.wrap_future(renamed)
        )
        ip, port = address
        return ip, int(port)


def user_of(extras: object) -> str | None:
    """Return as whom the admin's settings let containers run; None: as the image says."""
    user = extras.get("user") if isinstance(extras, Mapping) else None
    return None if user is None else str(user)
