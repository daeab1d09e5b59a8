"""What `gradienthub check` finds of hosts and devices: declared, there, and for rent."""

from collections.abc import Iterator

from ..rules.placement import Host, Load, fits
from ..settings import this_machine
from . import nvml
from .check_result import CheckResult, fault, ok, warn
from .check_scene import Scene


def devices(scene: Scene) -> Iterator[CheckResult]:
    """Check that declared devices are here, and that those that are here are declared."""
    if scene.engine.remote:
        yield ok("devices", "the engine is on another machine; its GPUs cannot be seen from here")
        return
    for why in scene.gpus.skipped:
        yield warn("devices", why, "see nvidia-smi and the kernel's log")
    here, elsewhere = _hosts_here(scene)
    present = {gpu.uuid for gpu in scene.gpus.gpus}
    declared = {
        nvml.bare_uuid(device.uuid): (host.name, device.out_of_service)
        for host in here
        for device in host.devices
    }
    missing = sorted(uuid for uuid, (_, out) in declared.items() if uuid not in present and not out)
    unreal = scene.device_driver == "environment"
    if missing:
        says = f"{scene.gpus.away}; " if scene.gpus.away else ""
        says += f"declared, and not in this machine: {', '.join(missing)}"
        cure = (
            'correct c.GradientHub.hosts, or give such a device "out_of_service": True until it'
            " is back"
        )
        yield warn("devices", says, cure) if unreal else fault("devices", says, cure)
    elsewhere_declared = {nvml.bare_uuid(d.uuid) for host in elsewhere for d in host.devices}
    undeclared = [
        gpu for gpu in scene.gpus.gpus if gpu.uuid not in declared.keys() | elsewhere_declared
    ]
    if undeclared:
        yield warn(
            "devices",
            f"in this machine, and not declared: {', '.join(g.uuid for g in undeclared)}",
            "declare them, or nobody can rent them:\n" + _declaration(scene, here),
        )
    if not missing and not undeclared:
        yield ok("devices", _count_of(scene, len(declared)))


def _count_of(scene: Scene, declared: int) -> str:
    if not scene.gpus.gpus:
        return scene.gpus.away or "this machine has no NVIDIA GPU"
    return f"{len(scene.gpus.gpus)} in this machine, all declared" + (
        f" (and {declared - len(scene.gpus.gpus)} out of service)"
        if declared > len(scene.gpus.gpus)
        else ""
    )


def _hosts_here(scene: Scene) -> tuple[list[Host], list[Host]]:
    """Return the declared hosts that are this machine, and the others.

    A host is known by one of its devices, or by its name; a hub that declares one host means the
    machine it runs on.
    """
    hosts = scene.hub.settings.house.hosts
    present = {gpu.uuid for gpu in scene.gpus.gpus}
    here = [
        host
        for host in hosts
        if len(hosts) == 1
        or host.name in scene.host_names
        or any(nvml.bare_uuid(device.uuid) in present for device in host.devices)
    ]
    return here, [host for host in hosts if host not in here]


def _declaration(scene: Scene, here: list[Host]) -> str:
    hosts = scene.hub.settings.house.hosts
    models = [t.gpu_model for t in scene.hub.settings.house.catalog.instance_types if t.gpu_model]
    name, row = "local", this_machine()
    if here:
        name = here[0].name
        row = here[0].model_dump(mode="json", exclude={"name", "devices"}, exclude_defaults=True)
    return nvml.declaration(
        name,
        row,
        scene.gpus.gpus,
        models,
        cdi=scene.device_driver == "cdi",
        others=[host.name for host in hosts if host.name != name],
    )


def machines(scene: Scene) -> Iterator[CheckResult]:
    """Check that declared devices can be rented, and that something fits the hosts."""
    house = scene.hub.settings.house
    rented = {t.gpu_model for t in house.catalog.instance_types}
    models = {device.model for host in house.hosts for device in host.devices}
    for model in sorted(models - rented):
        yield warn(
            "machines",
            f"no instance type rents the declared model {model!r}",
            f'write "gpu_model": "{model}" in one of c.GradientHub.instance_types, or its word for'
            " this GPU in c.GradientHub.hosts",
        )
    fitting = [
        t.name
        for t in house.catalog.instance_types
        if any(fits(t, host, Load()) for host in house.hosts)
    ]
    if fitting:
        yield ok("machines", f"these fit the hosts: {', '.join(fitting)}")
    else:
        yield fault(
            "machines",
            "no instance type fits any host, so that nobody can start anything",
            "declare hosts with more CPUs or memory (or an overcommit factor), or smaller types",
        )
