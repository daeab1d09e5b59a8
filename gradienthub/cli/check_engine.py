"""What `gradienthub check` finds of the engine: whether it answers, and has what starts need."""

from collections.abc import Iterator

from jupyterhub.app import JupyterHub

from ..places import EVERYWHERE, LOOPBACK
from .check_result import CheckResult, fault, ok, warn
from .check_scene import Scene


def engine(scene: Scene) -> Iterator[CheckResult]:
    """Check that the engine answers."""
    seen = scene.engine
    if scene.wiring.engine == "local":
        yield warn(
            "engine",
            "processes of this machine: everybody runs as the hub's user, nothing is enforced",
            "for people who need not trust each other, use gradient-docker",
        )
    elif scene.wiring.engine == "other":
        yield ok("engine", "not one of ours, so that only the hub itself can look at it")
    elif seen.away:
        yield fault(
            "engine",
            f"Docker does not answer {scene.user}: {seen.away}",
            "start it (systemctl start docker), add the hub's user to the group docker, or set"
            " DOCKER_HOST",
        )
    else:
        yield ok(
            "engine",
            f"Docker {seen.info.get('ServerVersion')} on {seen.info.get('Name')},"
            f" {seen.info.get('NCPU')} CPUs, {seen.info.get('MemTotal', 0) / 10**9:.0f} GB",
        )


def hub_address(scene: Scene) -> Iterator[CheckResult]:
    """Check that containers reach the hub: its address must not be loopback."""
    hub, spawner = scene.hub, scene.wiring.spawner
    if scene.wiring.engine != "docker" or spawner is None:
        return
    if hub.value(JupyterHub, "hub_bind_url") or hub.value(JupyterHub, "hub_connect_url"):
        return
    listens = hub.value(JupyterHub, "hub_ip")
    connect_ip = hub.value(JupyterHub, "hub_connect_ip")
    if (connect_ip or listens) in LOOPBACK and hub.value(spawner, "network_name") != "host":
        yield fault(
            "hub address",
            f"containers are told to reach the hub at {connect_ip or listens}, which is themselves",
            "set c.JupyterHub.hub_ip to the address of their bridge, for the default network"
            ' "172.17.0.1" (`ip address show docker0` says it)',
        )
    elif listens in EVERYWHERE and not connect_ip:
        yield warn(
            "hub address",
            "containers are told to reach the hub by this machine's name, which they may not know",
            "set c.JupyterHub.hub_connect_ip to an address that containers reach",
        )
    else:
        yield ok("hub address", f"containers reach the hub at {connect_ip or listens}")


def gpu_runtime(scene: Scene) -> Iterator[CheckResult]:
    """Check that the engine can hand a container its GPUs."""
    seen, spawner = scene.engine, scene.wiring.spawner
    if scene.wiring.engine != "docker" or spawner is None or seen.away:
        return
    driver = scene.hub.value(spawner, "device_driver")
    if not scene.declares_devices or driver == "environment":
        return
    toolkit = (
        "install the NVIDIA Container Toolkit, run `nvidia-ctk runtime configure"
        " --runtime=docker`, restart docker"
    )
    if driver == "cdi":
        if seen.info.get("CDISpecDirs"):
            yield ok("GPU runtime", f"CDI, from {', '.join(seen.info['CDISpecDirs'])}")
        else:
            yield fault(
                "GPU runtime",
                'device_driver is "cdi", and this engine has no CDI',
                "use Docker 25 or later with CDI on, and nvidia-ctk cdi generate; or set"
                ' device_driver to "nvidia"',
            )
    elif "nvidia" in seen.info.get("Runtimes", {}):
        yield ok("GPU runtime", "nvidia")
    elif seen.gpu_hook:
        # The runtime need not be registered: the engine itself calls this program if it has it.
        yield ok("GPU runtime", seen.gpu_hook)
    else:
        yield fault(
            "GPU runtime",
            "devices are declared, and the engine has no way to give GPUs to a container",
            toolkit,
        )


def images(scene: Scene) -> Iterator[CheckResult]:
    """Check that runtimes have images, and that the engine has them already."""
    if scene.wiring.engine != "docker":
        return
    imageless = [r.name for r in scene.hub.settings.house.catalog.runtimes if not r.image]
    if imageless:
        yield fault(
            "images",
            f"runtimes without an image: {', '.join(imageless)}",
            'give each an "image" in c.GradientHub.runtimes, or remove it with None',
        )
    if scene.engine.away:
        return
    missing = [image for image, there in scene.engine.images.items() if not there]
    if missing:
        yield warn(
            "images",
            f"downloaded at first start, while somebody waits: {', '.join(missing)}",
            "\n".join(f"docker pull {image}" for image in missing),
        )
    elif scene.engine.images:
        yield ok("images", f"the engine has all {len(scene.engine.images)}")


def warm_servers(scene: Scene) -> Iterator[CheckResult]:
    """Check that folders can be mounted into a running container, where warm servers need it."""
    settings = scene.hub.settings
    waiting = sum(pool.count for pool in settings.pools)
    if not waiting:
        return
    name = "warm servers"
    if scene.wiring.engine == "other":
        yield warn(
            name,
            "c.GradientHub.warm is set, and this spawner has no warm servers",
            'use "gradient-docker" or "gradient-local", or remove c.GradientHub.warm',
        )
    elif scene.helper_fault:
        says, _, cure = scene.helper_fault.rpartition("; ")
        yield fault(name, says, cure)
    elif scene.wiring.engine == "docker" and scene.uid != 0 and settings.mount_helper is None:
        yield fault(
            name,
            f"{scene.user} cannot bind folders, so that every start is cold",
            "run `gradienthub mount-helper` as root and set c.GradientHub.mount_helper",
        )
    else:
        yield ok(name, f"{waiting} are to wait, in {settings.warm_memory:g} GB at most")
