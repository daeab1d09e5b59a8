"""What a Docker engine is asked to create and what it answers, as far as we write and read it."""

from collections.abc import Mapping
from typing import Required, TypedDict


class PublishedPort(TypedDict, total=False):
    """A port of a container, and where the machine has it."""

    PrivatePort: int
    IP: str
    PublicPort: int


class Endpoint(TypedDict, total=False):
    """Where a container is in one network."""

    IPAddress: str


class NetworkSettings(TypedDict, total=False):
    """The networks that a container is in."""

    Networks: dict[str, Endpoint | None] | None


class ListedContainer(TypedDict, total=False):
    """One row of the engine's list."""

    Id: Required[str]
    Names: list[str] | None
    Labels: dict[str, str] | None
    State: str
    Status: str
    Created: float
    NetworkSettings: NetworkSettings | None
    Ports: list[PublishedPort] | None


class ImageConfig(TypedDict, total=False):
    """What an image, or a container after it, runs with."""

    Env: list[str] | None
    Cmd: list[str] | None
    Entrypoint: list[str] | None
    Labels: dict[str, str] | None


class InspectedContainer(TypedDict, total=False):
    """The engine's detail of a container."""

    Id: Required[str]
    Name: str | None
    Image: str
    Config: ImageConfig | None


class InspectedImage(TypedDict, total=False):
    """The engine's detail of an image."""

    Id: Required[str]
    Config: ImageConfig | None


class InspectedNetwork(TypedDict, total=False):
    """The engine's detail of a network."""

    Id: Required[str]
    Name: Required[str]
    Created: str
    Labels: dict[str, str] | None


class HostConfig(TypedDict, total=False):
    """What a container has of its machine. There are many more settings, which are passed on."""

    Binds: list[str] | None
    Mounts: list[Mapping[str, object]] | None
    DeviceRequests: list[Mapping[str, object]] | None


class CreateArguments(TypedDict, total=False):
    """Keywords of docker-py's create_container, which may be more."""

    image: str
    name: str
    command: list[str]
    environment: dict[str, str]
    labels: dict[str, str]
    host_config: HostConfig
    stdin_open: bool
    detach: bool


class PullDetail(TypedDict, total=False):
    """Bytes of one layer."""

    current: int | None
    total: int | None


class PullLine(TypedDict, total=False):
    """One line of what the engine tells while it pulls an image."""

    id: str
    status: str
    progressDetail: PullDetail | None
    error: str
