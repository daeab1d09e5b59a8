"""The last word before the engine: what a container is asked for is judged, and what was made."""

import asyncio
import inspect
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlparse

import docker
from docker.errors import NotFound
from traitlets import Bool, Enum, Float, Integer, List, TraitError, Unicode, default, validate
from traitlets.utils.bunch import Bunch

from ..rules.container import (
    CAPABILITIES,
    NEVER_CAPABILITIES,
    Grant,
    Policy,
    differences,
    judge,
)
from ..rules.host_config import capability
from ..rules.ownership import slot_name
from ..rules.refusal import Refused
from .docker_adapter import DockerAdapter
from .docker_types import CreateArguments, InspectedContainer
from .labels import (
    DEVICES_LABEL,
    HUB_LABEL,
    LABELS,
    LEASE_LABEL,
    NOTEBOOK_LABEL,
    SLOT_LABEL,
    TYPE_LABEL,
)
from .networks import FALLBACK, NETWORK
from .unrented import refusal_of_excess, source_of

#: Docker and Podman leave one of these in a container.
IN_CONTAINER = ("/.dockerenv", "/run/.containerenv")

_CREATE = inspect.signature(docker.APIClient.create_container)


class JudgedContainers(DockerAdapter):
    """Containers get what their lease gives, whatever asked for more."""

    network_name = Unicode(
        NETWORK,
        help=f"""Network of the engine that containers are on.

        Default {NETWORK!r}: a bridge that the hub makes, shared by all hubs of the engine, on which
        no container reaches another. Hub, proxy and the world are reached as on Docker's default
        bridge. Another network is yours: it is used as it is, `gradienthub check` says whether
        notebooks reach each other on it, and containers are asked at their own addresses there
        (see use_internal_ip).""",
    ).tag(config=True)

    capabilities = List(
        Unicode(),
        default_value=list(CAPABILITIES),
        help="""Capabilities of the kernel that a container keeps; all others are dropped.

        Default: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID and SETUID, which an image needs
        that starts as root, prepares folders and then becomes its user. Without NET_RAW no
        notebook can pretend to be its neighbor. Fewer are safer where images start as their user,
        and then [] does. Names are as in capabilities(7), without CAP_. ALL, SYS_MODULE and
        SYS_RAWIO are refused, because they open the machine's devices. ["engine"] keeps the
        engine's own set.""",
    ).tag(config=True)

    no_new_privileges = Bool(
        True,
        help="""Whether no program in a container can become more than its user.

        Default True: a set-uid program of an image, sudo among them, gives nobody root. False for
        images whose people need sudo.""",
    ).tag(config=True)

    pids_limit = Integer(
        4096,
        min=0,
        help="""Most processes and threads of one container.

        Default 4096: more than training with many workers uses, and few enough that a fork bomb
        ends in its own container. 0: no limit.""",
    ).tag(config=True)

    shm_share = Float(
        0.5,
        min=0,
        max=1,
        help="""Share of the machine's memory that /dev/shm may have.

        Default 0.5, as on a machine of one's own; data loaders with workers need it. What is in it
        counts as memory of the notebook. 0: the engine's own size, 64 MB for Docker.""",
    ).tag(config=True)

    unrented = Enum(
        ("refuse", "drop"),
        default_value="refuse",
        help="""What happens to a start whose configuration or hook asks the engine for more than
        its lease gives: devices, privileges, folders of the machine, namespaces.

        Default "refuse": the start is refused with what to change. "drop": the notebook starts
        without it, and the hub's log says so. `gradienthub check` names what it can see before.""",
    ).tag(config=True)

    allowed_host_settings = List(
        Unicode(),
        help="""Settings that are asked of the engine on purpose, though no lease gives them:
        "ipc_mode=host", "cap_add=SYS_PTRACE", "devices=/dev/fuse", "volumes=/dev/shm". A pattern
        may stand after =; a name alone allows every value of it.

        Default []: none. What would give devices that the ledger rents (device requests,
        privileged, device files of GPUs, the engine's socket) is never allowed.""",
    ).tag(config=True)

    @default("use_internal_ip")
    def _published_where_it_was(self) -> bool:
        # On the notebooks' own network the hub reaches them at published ports, as on the default
        # one: it may be on another machine, or on one that does not route to containers.
        return self.network_name not in ("bridge", "host", NETWORK)

    async def have_network(self) -> None:
        """See that the notebooks' own network is there; another one is the administrator's.

        Where the engine cannot make it, the default network has to do, and the log says so.
        """
        if not self._on_own_network():
            return
        if self._hub_is_on_default():
            if self.context.tell_once(("network", "hub")):
                self.log.warning(
                    "The hub is a container that asks notebooks at their own addresses"
                    " (use_internal_ip), so that they are on the network %r, where they reach each"
                    " other's ports; set network_name to the hub's own network",
                    FALLBACK,
                )
        elif (fault := await self.engine.have_network()) and self.context.tell_once(
            ("network", fault)
        ):
            self.log.error(
                "The network %s cannot be made (%s): notebooks are on the network %r, where they"
                " reach each other's ports. Make it by hand, or set network_name",
                NETWORK,
                fault,
                FALLBACK,
            )
        self.choose_network()

    def choose_network(self) -> None:
        """Be on the network that this engine's notebooks have, without asking the engine."""
        if self._on_own_network():
            self._fell_back = bool(self.engine.network_fault) or self._hub_is_on_default()
            self.network_name = FALLBACK if self._fell_back else NETWORK

    def _hub_is_on_default(self) -> bool:
        """Return whether the hub, by its configuration, reaches containers of the default network.

        A container reaches the addresses of its own networks only.
        """
        return bool(self.use_internal_ip) and any(map(os.path.exists, IN_CONTAINER))

    def _on_own_network(self) -> bool:
        return bool(self.network_name == NETWORK or self._fell_back)

    @validate("capabilities")
    def _no_capability_opens_the_machine(self, proposal: Bunch) -> list[str]:
        words = [capability(word) for word in proposal.value]
        if bad := sorted(NEVER_CAPABILITIES.intersection(words)):
            raise TraitError(
                f"capabilities has {bad[0]}, which opens every device of the machine; remove it"
            )
        return words

    #: What the engine was asked to create last, and the container that was compared with it.
    _asked: CreateArguments | None = None
    _compared_id: str = ""
    #: The warm server that is being filled, and its folders; empty in everybody's start.
    _slot_id: str = ""
    _places: tuple[Path, ...] = ()
    _fell_back = False

    def docker(self, method: str, *args: object, **kwargs: object) -> "asyncio.Future[Any]":
        """Make a call of DockerSpawner to the engine.

        What is to be made is judged here, after all hooks, and compared before it is started.
        """
        if method == "create_container":
            return asyncio.ensure_future(self._create(args, kwargs))
        if method == "start":
            return asyncio.ensure_future(self._start_created(args, kwargs))
        return self._submit(method, *args, **kwargs)

    # -- before it is made ------------------------------------------------------------------

    async def _create(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> Mapping[str, object]:
        arguments = await self._judged(args, kwargs)
        if self._captured_create is not None:
            self._captured_create.update(arguments)
            return {}
        self._asked = arguments
        created: Mapping[str, object] = await self._submit("create_container", **arguments)
        return created

    async def _judged(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> CreateArguments:
        """Return what may be sent to `create_container`. Raises Refused in words."""
        # The first parameter is the client itself.
        asked = dict(_CREATE.bind_partial(None, *args, **kwargs).arguments)
        del asked["self"]
        outcome = judge(
            asked,
            self._grant(),
            self._policy(),
            image_environment=await self._image_environment(),
            real=await asyncio.to_thread(_behind_links, asked),
        )
        for excess in outcome.excess:
            self.log.warning(
                "%s: not given: %s; %s; it stands in %s",
                self._log_name,
                excess.name,
                excess.why,
                source_of(self, excess),
            )
        if outcome.excess and self.unrented == "refuse":
            raise refusal_of_excess(self, outcome.excess[0])
        return cast(CreateArguments, outcome.arguments)

    def _policy(self) -> Policy:
        """Return what the traits say of all containers."""
        lease = self.lease
        settings = self.context.settings
        kept = None if "ENGINE" in self.capabilities else tuple(self.capabilities)
        return Policy(
            capabilities=kept,
            no_new_privileges=self.no_new_privileges,
            pids=self.pids_limit,
            shm=int(lease.memory * 10**9 * self.shm_share) if lease is not None else 0,
            allowed=tuple(self.allowed_host_settings),
            closed=(
                str(settings.data_dir),
                str(settings.storage_root),
                *_socket_of(self.engine.address),
            ),
        )

    def _grant(self) -> Grant:
        lease = self.lease
        if lease is None:
            raise Refused(
                "start_failed",
                "A container was asked for without a lease.",
                "Nothing was charged. A spawner class must not override run_pre_spawn_hook without"
                " super().",
            )
        warm = self._slot_id
        places = self._places if warm else self.folders(lease)
        own = {
            HUB_LABEL: self.context.settings.hub_id,
            LEASE_LABEL: "" if warm else lease.id,
            SLOT_LABEL: warm,
            DEVICES_LABEL: json.dumps(lease.devices),
            NOTEBOOK_LABEL: lease.notebook_id,
            TYPE_LABEL: lease.instance_type,
        }
        limited = self.enforce_limits
        return Grant(
            image=lease.image or "",
            name=slot_name(warm) if warm else self.object_label,
            labels=dict.fromkeys(LABELS, "") | own,
            devices=tuple(lease.devices),
            device_requests=_device_requests(self.device_driver, lease.devices),
            folders=frozenset(map(str, places)),
            adopted=frozenset(old.source for old in self._shown if old.is_path),
            memory=int(lease.memory * 10**9) if limited else None,
            cpus=float(lease.cpus) if limited else None,
        )

    async def _image_environment(self) -> tuple[str, ...]:
        try:
            return await self.engine.image_variables(self.lease.image or "")
        except NotFound:
            return ()  # the engine says so itself when it is to make the container

    # -- after it is made -------------------------------------------------------------------

    async def compare(self, object_id: str) -> None:
        """See that the container is the one that was asked for; one that is not is removed.

        It is removed only if it is known to be of this start: by its name, by its labels, or by
        this server's own token. Raises Refused in words.
        """
        if self._compared_id == object_id:
            return
        made: InspectedContainer = await self.engine.ask("inspect_container", object_id)
        faults = (
            ["it was made past self.docker"]
            if self._asked is None
            else differences(self._asked, made)
        )
        if not faults:
            self._compared_id = object_id
            return
        ours = self._is_of_this_start(made)
        self.log.error(
            "%s: container %s (%s) is %s: %s",
            self._log_name,
            object_id,
            _name_of(made),
            "removed" if ours else "not known to be of this start and stays",
            "; ".join(faults),
        )
        if ours:
            await self.engine.remove(object_id)
        self.object_id = ""
        raise Refused(
            "start_failed",
            f"The container that was made is not the one that was asked for: {faults[0]}.",
            f"Nothing was charged. Your administrator: {type(self).__name__}.create_object must"
            " call super().create_object(), or self.docker('create_container', ...).",
        )

    async def _start_created(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        await self.compare(str(args[0] if args else kwargs["container"]))
        await self._submit("start", *args, **kwargs)

    def _is_of_this_start(self, made: InspectedContainer) -> bool:
        asked = self._asked["name"] if self._asked else ""
        if _name_of(made) in (self.object_label, asked):
            return True
        config = made.get("Config") or {}
        labels = config.get("Labels") or {}
        own = (self.context.settings.hub_id, self.lease_id)
        if (labels.get(HUB_LABEL), labels.get(LEASE_LABEL)) == own:
            return True
        token = self.api_token
        return bool(token) and f"JUPYTERHUB_API_TOKEN={token}" in (config.get("Env") or ())


def _name_of(made: InspectedContainer) -> str:
    return str(made.get("Name") or "").lstrip("/")


def _device_requests(driver: str, devices: Sequence[str]) -> tuple[Mapping[str, object], ...]:
    if not devices or driver == "environment":
        return ()
    if driver == "cdi":
        return ({"Driver": "cdi", "DeviceIDs": [*devices]},)
    return (
        {
            "Driver": "",
            "Count": 0,
            "DeviceIDs": [*devices],
            "Capabilities": [["gpu"]],
            "Options": {},
        },
    )


def _behind_links(asked: Mapping[str, Any]) -> dict[str, str]:
    """Return the folder behind each mounted one, where this machine is the engine's."""
    host = asked.get("host_config") or {}
    sources = [str(bind).partition(":")[0] for bind in host.get("Binds") or ()]
    sources += [str(mount.get("Source") or "") for mount in host.get("Mounts") or ()]
    return {source: os.path.realpath(source) for source in sources if source.startswith("/")}


def _socket_of(address: str) -> tuple[str, ...]:
    """Return the engine's socket, where it has one on this machine."""
    parsed = urlparse(address)
    if parsed.scheme in ("unix", "http+unix") and parsed.path:
        return (parsed.path,)
    return ()
