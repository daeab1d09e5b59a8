"""Which engine the demo runs on: Docker where one answers and has an image, else processes."""

import socket
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import BuildError, ContainerError, DockerException
from docker.utils import kwargs_from_env

from ...spawners.bridge import default_bridge_address
from ...spawners.engine import Engine

IMAGE = "gradienthub/demo:dev"
#: How long a container may take to reach this computer; a firewall that drops says nothing.
REACH_SECONDS = 5


@dataclass(frozen=True)
class DemoEngine:
    """The engine chosen, what to tell about it, and how containers reach the hub."""

    name: str
    says: list[str] = field(default_factory=list)
    image: str | None = None
    hub_ip: str = "127.0.0.1"
    fault: str = ""


def choose(wanted: str) -> DemoEngine:
    """Choose the engine for `wanted` ("auto", "docker", "local").

    The first Docker run builds an image.
    """
    if wanted == "local":
        return _local("Notebooks run as processes of this computer.")
    try:
        client = docker.DockerClient(version="auto", **kwargs_from_env())
        client.ping()
    except (DockerException, OSError):
        return _without(wanted, "no Docker engine answers")
    with closing(client):
        address = default_bridge_address(client.api)
        if address is None:
            return _without(
                wanted, "this computer has no address on the default network of its containers"
            )
        fault = _image_fault(client) or _reach_fault(client, address)
        if fault:
            return _without(wanted, fault)
    return DemoEngine(
        "docker",
        ["Notebooks run in Docker containers. GPUs are declared, not real."],
        image=IMAGE,
        hub_ip=address,
    )


def _without(wanted: str, why: str) -> DemoEngine:
    if wanted == "docker":
        return DemoEngine("docker", fault=f"Docker cannot be used: {why}.")
    return _local(f"Docker is not used: {why}. Notebooks run as processes of this computer.")


def _local(first: str) -> DemoEngine:
    return DemoEngine(
        "local", [first, "GPUs, CPUs and memory are declared and shown, and nothing enforces them."]
    )


def _reach_fault(client: docker.DockerClient, address: str) -> str:
    """Let a container connect to `address`; return why it could not, or nothing.

    Firewalls often let nothing pass from containers to the computer itself, and the engine may be
    another computer's whose bridge has the same address as ours.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.socket(family)) as hub:
        hub.bind((address, 0))
        hub.listen()
        words = (address, hub.getsockname()[1], REACH_SECONDS)
        program = f"import socket; socket.create_connection({words[:2]!r}, {words[2]}).close()"
        try:
            client.containers.run(
                IMAGE, ["-c", program], entrypoint="python3", network="bridge", remove=True
            )
        except ContainerError:
            return (
                f"its containers cannot reach this computer at {address}; let your firewall accept"
                " what comes from its bridge"
            )
        except (DockerException, OSError) as error:
            return f"a container could not be started ({str(error)[:160]})"
    return ""


def _image_fault(client: docker.DockerClient) -> str:
    """Build the demo's image where it is missing; what went wrong, or nothing."""
    try:
        client.images.get(IMAGE)
        return ""
    except docker.errors.ImageNotFound:
        print("Building the demo's image once; this takes a minute or two …", flush=True)
    try:
        client.images.build(path=str(Path(__file__).parent), tag=IMAGE, rm=True)
        return ""
    except (BuildError, DockerException) as error:
        return f"its image could not be built ({str(error)[:160]})"


def engine_of(choice: DemoEngine, hub_id: str, data: Path) -> Engine:
    """Make the engine's census for sweeping up, outside the hub."""
    if choice.name == "docker":
        from ...spawners.docker_engine import DockerEngine  # noqa: PLC0415 - only where it is used

        return DockerEngine(hub_id, kwargs_from_env())
    from ...spawners.local import LocalEngine  # noqa: PLC0415 - needs psutil

    return LocalEngine(hub_id, data / "logs")
