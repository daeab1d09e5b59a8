"""DockerSpawner as our order of a start needs it."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from docker import APIClient
from docker.errors import InvalidArgument, InvalidVersion
from docker.types import Mount
from dockerspawner import DockerSpawner

from ..rules.refusal import Refused, shown
from .adopted import Shown
from .docker_engine import DockerEngine
from .docker_types import CreateArguments, InspectedContainer, InspectedImage
from .images import command_of
from .labels import HUB_LABEL, LEASE_LABEL
from .warm_container import ColdStart


class DockerAdapter(DockerSpawner):
    """DockerSpawner over our engine.

    It neither pulls nor chooses an image, because admission and `prepare` did, it removes no
    container that is not this lease's, and it can say what it would create.
    """

    # DockerSpawner declares these traits without types.
    extra_create_kwargs: object
    extra_host_config: object

    #: Old volumes that this start shows.
    _shown: tuple[Shown, ...] = ()
    #: Where not None, what the engine would be told to create is kept here and nothing is created.
    _captured_create: CreateArguments | None = None

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        #: Calls that make or start something, which a cancelled start leaves running.
        self._calls: set[Future[Any]] = set()

    @property
    def engine(self) -> DockerEngine:
        """The hub's engine, which this spawner's make_engine made."""
        engine = self.context.engine
        assert isinstance(engine, DockerEngine)
        return engine

    @property
    def client(self) -> APIClient:
        """The engine's client. DockerSpawner makes one on the hub's loop, past `engine_options`."""
        return self.engine.known_client

    def _submit(self, method: str, *args: object, **kwargs: object) -> "asyncio.Future[Any]":
        """Call the engine in our lanes instead of DockerSpawner's one thread."""
        call = self.engine.submit(method, *args, **kwargs)
        if method in ("create_container", "start"):
            # Its end must wait for that. A download is not waited for: it creates nothing of ours.
            self._keep_call(call)
        if method in ("create_container", "start", "stop", "remove_container"):
            call.add_done_callback(lambda _call: self.engine.forget_listing())
        return asyncio.wrap_future(call)

    def _keep_call(self, call: "Future[Any]") -> None:
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def pull_image(self, image: str) -> None:
        """Do nothing: `prepare` pulled the image before the turn."""

    async def check_allowed(self, image: str) -> str:
        """Allow the image: admission has decided already, and DockerSpawner would read user options
        again."""
        return str(self.image)

    def template_namespace(self) -> dict[str, object]:
        """Return DockerSpawner's names, and `lease` for the container's name."""
        return {**super().template_namespace(), "lease": self.lease_id or "none"}

    def _render_templates(self, obj: object, ns: Mapping[str, object] | None = None) -> object:
        """Render configuration with str.format, as DockerSpawner does.

        A stray brace is left as it is.
        """
        try:
            return super()._render_templates(obj, ns)
        except (IndexError, AttributeError):
            return obj

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

    @property
    def late_folders(self) -> tuple[str, ...]:
        """Where workspace and storage are in the container; a warm one gets them when claimed."""
        return tuple(filter(None, (self.container_home, self.container_storage)))

    @property
    def mount_binds(self) -> list[Mount]:
        """The admin's mounts, and the old volumes that this start shows."""
        return [
            *super().mount_binds,
            *(
                Mount(
                    f"{self.container_home}/{old.folder}",
                    old.source,
                    type="bind" if old.is_path else "volume",
                    read_only=old.read_only,
                )
                for old in self._shown
            ),
        ]

    async def get_command(self) -> list[str]:
        """Return the configured command, else the image's own, with the arguments.

        The image is looked up only where one is started.
        """
        if self.cmd or self._captured_create is not None:
            return [*(self.cmd or ()), *self.get_args()]
        image: InspectedImage = await self.docker("inspect_image", self.image)
        command = command_of(image.get("Config") or {}, self.image, type(self).__name__)
        return [*command, *self.get_args()]

    async def cold_start(self) -> ColdStart:
        """Return what a cold start would tell the engine."""
        self._captured_create = {}
        try:
            await self.create_object()
            return ColdStart(self._captured_create, self.late_folders)
        finally:
            self._captured_create = None

    async def create_object(self) -> Mapping[str, object]:
        """Create with an init and without auto_remove: the log of a dead one is read first.

        Devices, labels and what guards the machine are added where it is judged.
        """
        own_create, own_host = self.extra_create_kwargs, self.extra_host_config
        try:
            with _unsendable_as_refused():
                self.extra_create_kwargs = {
                    **await self._resolve(own_create),
                    "working_dir": self.container_home,
                }
                self.extra_host_config = {
                    "init": True,
                    **await self._resolve(own_host),
                    "auto_remove": False,
                }
                created: Mapping[str, object] = await super().create_object()
                return created
        finally:
            self.extra_create_kwargs, self.extra_host_config = own_create, own_host

    async def _resolve(self, extras: Any) -> dict[str, object]:
        """Return the admin's extras, which may be a dict or a callable of the spawner, async or
        not."""
        value = extras(self) if callable(extras) else extras
        if asyncio.iscoroutine(value):
            value = await value
        return dict(value or {})

    async def remove_object(self) -> None:
        """Remove what DockerSpawner finds in the way of a start, if it is this lease's."""
        if self.lease_id:
            row: InspectedContainer = await self.engine.ask("inspect_container", self.object_id)
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


@contextmanager
def _unsendable_as_refused() -> Iterator[None]:
    """Turn docker-py's errors for settings that it cannot send into a refusal: the engine was not
    asked."""
    try:
        yield
    except (InvalidArgument, InvalidVersion, TypeError) as error:
        raise Refused(
            "start_failed",
            f"The container's settings cannot be sent to the engine: {shown(str(error), 200)}.",
            "Nothing was charged. Your administrator: correct extra_host_config,"
            " extra_create_kwargs or network_name of the spawner; `gradienthub check` judges"
            " them.",
        ) from error
