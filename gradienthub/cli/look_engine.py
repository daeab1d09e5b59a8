"""Asking the engine that a configuration names, for `gradienthub check`."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlparse

from docker.errors import DockerException, NotFound

from ..rules.folders_seen import FolderTrial
from ..spawners.docker import GradientDockerSpawner, user_of
from ..spawners.docker_engine import DockerEngine, client_options
from ..spawners.engine import Engine, EngineAway
from ..spawners.labels import HUB_LABEL
from ..spawners.networks import NETWORK, neighbors_reach
from .check_scene import EngineSeen, Wiring
from .config import HubConfig
from .look_folders import exists, folder

#: An engine that takes longer for one answer is not one to start notebooks on.
ENGINE_SECONDS = 10
GPU_HOOK = "nvidia-container-runtime-hook"


def engine_seen(hub: HubConfig, wiring: Wiring) -> EngineSeen:
    """Ask the engine that the configuration names."""
    if wiring.engine == "docker":
        return asyncio.run(_docker_seen(hub, wiring))
    if wiring.engine == "local":
        return asyncio.run(_local_seen(hub))
    return EngineSeen()


async def _docker_seen(hub: HubConfig, wiring: Wiring) -> EngineSeen:
    assert wiring.spawner is not None  # its engine is docker
    assert issubclass(wiring.spawner, GradientDockerSpawner)
    try:
        options = client_options(hub.config, wiring.spawner)
        options["timeout"] = min(options["timeout"], ENGINE_SECONDS)
    except DockerException as error:
        return EngineSeen(away=f"DOCKER_HOST and its TLS variables do not fit: {error}")
    remote = _is_remote(str(options.get("base_url") or ""))
    engine = DockerEngine(hub.settings.hub_id, options)
    try:
        asked = datetime.now(UTC)
        info = await engine.ask("info")
        answered = datetime.now(UTC)
        census = tuple(await engine.census())
        everybody = await engine.ask("containers", all=True, filters={"label": HUB_LABEL})
        images = {image: await _has_image(engine, image) for image in images_of(hub)}
        network = await _network(engine, str(hub.value(wiring.spawner, "network_name")))
        return EngineSeen(
            remote=remote,
            info=info,
            images=images,
            network=network,
            neighbors_reach=await _neighbors_reach(engine, images, network),
            trials=await _trials(hub, wiring.spawner, engine, images),
            census=census,
            strangers=len(everybody) - len(census) - len(engine.strangers()),
            copies=tuple(engine.strangers()),
            gpu_hook=None if remote else shutil.which(GPU_HOOK),
            skew=_skew(info.get("SystemTime"), asked, answered),
        )
    except EngineAway as away:
        return EngineSeen(away=str(away) or "it does not answer", remote=remote)
    except TypeError as error:  # docker-py's word for an option it does not have
        return EngineSeen(away=f"engine_options do not fit: {error}", remote=remote)
    finally:
        await engine.close()


async def _network(engine: DockerEngine, name: str) -> Mapping[str, object] | None:
    try:
        row: Mapping[str, object] = await engine.ask("inspect_network", name)
    except NotFound:
        return None
    return row


async def _neighbors_reach(
    engine: DockerEngine, images: Mapping[str, bool], network: Mapping[str, object] | None
) -> bool | None:
    """Try it where the network is the notebooks' own, with an image that is here."""
    image = next((image for image, there in images.items() if there), None)
    if image is None or network is None or network.get("Name") != NETWORK:
        return None
    return await asyncio.wrap_future(
        engine.submit_to("warm", lambda client: neighbors_reach(client, image, NETWORK))
    )


async def _trials(
    hub: HubConfig,
    spawner: type[GradientDockerSpawner],
    engine: DockerEngine,
    images: Mapping[str, bool],
) -> tuple[FolderTrial, ...]:
    """Let a container of each image that is there use the folder of people's files, as it is.

    Where the hub has not made it yet, the folder above stands for it. None are tried by a user
    who could not give folders away: that is a finding of its own.
    """
    owner = hub.value(spawner, "folder_owner")
    place = folder(hub.settings.storage_root)
    if not place.writable or os.geteuid() not in (0, owner):
        return ()
    there = next(p for p in (place.path, *place.path.parents) if exists(p))
    extra = hub.value(spawner, "extra_create_kwargs")
    user = None if callable(extra) else user_of(extra)
    return tuple(
        [
            await engine.try_folder(there, image, owner, user)
            for image, is_there in images.items()
            if is_there
        ]
    )


async def _has_image(engine: DockerEngine, image: str) -> bool:
    try:
        await engine.ask("inspect_image", image)
    except NotFound:
        return False
    return True


def images_of(hub: HubConfig) -> list[str]:
    """Return the images of all runtimes, each once."""
    runtimes = hub.settings.house.catalog.runtimes
    return list(dict.fromkeys(runtime.image for runtime in runtimes if runtime.image))


def _is_remote(address: str) -> bool:
    parsed = urlparse(address)
    if parsed.scheme in ("tcp", "http", "https", "ssh"):
        return parsed.hostname not in ("localhost", "127.0.0.1", "::1")
    return False


def _skew(moment: str | None, asked: datetime, answered: datetime) -> timedelta | None:
    """Return how far the other clock is ahead of ours, which read `asked` before and `answered`
    after."""
    try:
        theirs = datetime.fromisoformat(moment or "")
    except ValueError:
        return None
    if theirs.tzinfo is None:
        return None
    return theirs - (asked + (answered - asked) / 2)


async def _local_seen(hub: HubConfig) -> EngineSeen:
    from ..spawners.local import LocalEngine  # noqa: PLC0415 - needs psutil

    engine: Engine = LocalEngine(hub.settings.hub_id, hub.settings.data_dir / "logs")
    return EngineSeen(census=tuple(await engine.census() or ()))
