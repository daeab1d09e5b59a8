"""What a start asks of the engine beside its lease: where that stands, and the refusal."""

from collections.abc import Mapping

from jupyterhub.spawner import Spawner

from ..rules.container import Excess
from ..rules.refusal import Refused
from .sections import section_of


def source_of(spawner: Spawner, excess: Excess) -> str:
    """Return where a setting stands, as far as it can be told."""
    for name, keys in (
        ("extra_host_config", (excess.setting, "binds")),
        ("extra_create_kwargs", (excess.setting, "host_config")),
        ("environment", (excess.value.partition("=")[0],)),
        ("volumes", (excess.value,)),
        ("read_only_volumes", (excess.value,)),
    ):
        value = getattr(spawner, name, None)
        if callable(value):
            continue
        if isinstance(value, Mapping) and any(key in value for key in keys):
            return _line_of(spawner, name, value)
    if excess.setting in ("network_mode", "mounts"):
        name = "network_name" if excess.setting == "network_mode" else "mounts"
        return _line_of(spawner, name, getattr(spawner, name))
    return "a hook, a callable or an override of the spawner"


def _line_of(spawner: Spawner, name: str, value: object) -> str:
    """Return the line of the configuration that says so, or that a hook does."""
    section = section_of(spawner.config, type(spawner), name)
    if name in spawner.config.get(section, {}) and spawner.config[section][name] == value:
        return f"c.{section}.{name}"
    return f"spawner.{name}, which a hook or an override sets"


def refusal_of_excess(spawner: Spawner, excess: Excess) -> Refused:
    """Say what the start asks for, and what an administrator can do about it."""
    allow = (
        "no setting allows it"
        if excess.never
        else f'or write "{excess.setting}" into c.{type(spawner).__name__}.allowed_host_settings'
    )
    return Refused(
        "start_failed",
        f"This hub asks the engine for {excess.setting} beside the machine that you rent:"
        f" {excess.why}.",
        f"Nothing was charged. Your administrator: remove {excess.setting} from"
        f" {source_of(spawner, excess)}; {allow}.",
    )
