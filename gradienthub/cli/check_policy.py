"""What a configuration asks of the engine, judged before any start by the rule that judges each."""

from collections.abc import Mapping

from docker.errors import DockerException
from docker.types import HostConfig, Mount

from ..rules.container import Excess, Grant, Policy, judge
from ..rules.untrusted import as_list, as_mapping
from .config import HubConfig

#: A version of the engine's interface in which docker-py takes every setting that it knows.
ENGINE_VERSION = "1.47"
#: Traits whose value a program may give at each start.
ASKING = (
    "extra_host_config",
    "extra_create_kwargs",
    "volumes",
    "read_only_volumes",
    "mounts",
    "environment",
    "pre_spawn_hook",
    "auth_state_hook",
    "group_overrides",
)


class Unreadable(Exception):
    """The configuration cannot be what docker-py takes; the words say why."""


def configured_excess(hub: HubConfig, spawner: type) -> tuple[Excess, ...]:
    """List what the configuration asks of the engine beside what a lease gives.

    Raises Unreadable.
    """
    create = _plain(hub, spawner, "extra_create_kwargs")
    image, name = "the lease's", "the lease's"
    asked = {
        **create,
        "environment": {**_plain(hub, spawner, "environment"), **_environment(create)},
        "host_config": {**_host_config(hub, spawner), **as_mapping(create.get("host_config"))},
    }
    grant = Grant(str(create.get("image") or image), str(create.get("name") or name), {})
    return judge(asked, grant, policy_of(hub, spawner)).excess


def unjudged(hub: HubConfig, spawner: type) -> list[str]:
    """Name the traits that only a start can show: callables, and entries that are callables."""
    traits = []
    for name in ASKING:
        value = hub.value(spawner, name)
        if callable(value) or (
            isinstance(value, Mapping) and any(callable(entry) for entry in value.values())
        ):
            traits.append(name)
    return traits


def _plain(hub: HubConfig, spawner: type, name: str) -> dict[str, object]:
    value = as_mapping(hub.value(spawner, name))
    # A callable in the environment is asked at each start.
    return {str(key): entry for key, entry in value.items() if not callable(entry)}


def _environment(create: Mapping[str, object]) -> dict[str, object]:
    value = create.get("environment")
    if isinstance(value, Mapping):
        return dict(value)
    return {name: rest for name, _, rest in (str(row).partition("=") for row in as_list(value))}


def _host_config(hub: HubConfig, spawner: type) -> dict[str, object]:
    extras = _plain(hub, spawner, "extra_host_config")
    binds: dict[str, object] = {}
    for trait in ("volumes", "read_only_volumes"):
        for source, bind in _plain(hub, spawner, trait).items():
            binds[source] = bind if isinstance(bind, Mapping) else {"bind": str(bind)}
    mounts = [Mount(**dict(mount)) for mount in hub.value(spawner, "mounts") or ()]
    usual = {"binds": binds, "mounts": mounts, "network_mode": hub.value(spawner, "network_name")}
    try:
        return dict(HostConfig(version=ENGINE_VERSION, **{**usual, **extras}))
    except (DockerException, TypeError, ValueError) as error:
        raise Unreadable(f"extra_host_config cannot be sent to the engine: {error}") from error


def policy_of(hub: HubConfig, spawner: type) -> Policy:
    """Return what the configuration says of all containers."""
    kept = [str(word).upper() for word in hub.value(spawner, "capabilities")]
    return Policy(
        capabilities=None if "ENGINE" in kept else tuple(kept),
        no_new_privileges=hub.value(spawner, "no_new_privileges"),
        pids=hub.value(spawner, "pids_limit"),
        allowed=tuple(hub.value(spawner, "allowed_host_settings")),
        closed=(str(hub.settings.data_dir), str(hub.settings.storage_root)),
    )
