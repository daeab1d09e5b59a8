"""Which engine the demo runs on: Docker where one answers and has an image, else processes."""

import socket
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import BuildError, DockerException
from docker.utils import kwargs_from_env

from ...spawners.engine import Engine

IMAGE = "gradienthub/demo:dev"


@dataclass(frozen=True)
class Choice:
    """The engine chosen, what to tell about it, and how containers reach the hub."""

    name: str
    says: list[str] = field(default_factory=list)
    image: str | None = None
    hub_ip: str = "127.0.0.1"
    fault: str = ""


def choose(wanted: str) -> Choice:
    """The engine for `wanted` ("auto", "docker", "local"); the first Docker run builds an image."""
    if wanted == "local":
        return _local("Notebooks run as processes of this computer.")
    try:
        client = docker.DockerClient(version="auto", **kwargs_from_env())
        client.ping()
    except (DockerException, OSError):
        return _without(wanted, "no Docker engine answers")
    with closing(client):
        gateway = _gateway(client)
        if gateway is None:
            return _without(wanted, "containers of this Docker engine cannot reach a hub here")
        fault = _image_fault(client)
        if fault:
            return _without(wanted, fault)
    return Choice(
        "docker",
        ["Notebooks run in Docker containers. GPUs are declared, not real."],
        image=IMAGE,
        hub_ip=gateway,
    )


def _without(wanted: str, why: str) -> Choice:
    if wanted == "docker":
        return Choice("docker", fault=f"Docker cannot be used: {why}.")
    return _local(f"Docker is not used: {why}. Notebooks run as processes of this computer.")


def _local(first: str) -> Choice:
    return Choice(
        "local", [first, "GPUs, CPUs and memory are declared and shown, and nothing enforces them."]
    )


def _gateway(client: docker.DockerClient) -> str | None:
    """The bridge's address on this computer: containers see it, the network does not."""
    pools = client.networks.get("bridge").attrs["IPAM"]["Config"] or []
    for pool in pools:
        address = pool.get("Gateway")
        with closing(socket.socket()) as probe:
            try:
                probe.bind((address or "", 0))
            except OSError:
                continue
            if address:
                return str(address)
    return None


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


def engine_of(choice: Choice, hub_id: str, data: Path) -> Engine:
    """The engine's census for sweeping up, outside the hub."""
    if choice.name == "docker":
        from ...spawners.docker import DockerEngine  # noqa: PLC0415 - only where it is used

        return DockerEngine(hub_id, kwargs_from_env())
    from ...spawners.local import LocalEngine  # noqa: PLC0415 - needs psutil

    return LocalEngine(hub_id, data / "logs")
