"""Judge the spawner's class: a lease must reach the engine, and a start must come through us."""

from collections.abc import Iterator

from dockerspawner import DockerSpawner, SwarmSpawner
from traitlets import TraitError
from traitlets.config import Config, Configurable

from ..spawners.base import GradientSpawner
from ..spawners.docker import GradientDockerSpawner

#: The order of a start and a stop is in these; who stands left of us has to call us.
OURS = (
    "run_pre_spawn_hook",
    "start",
    "stop",
    "poll",
    "run_post_stop_hook",
    "get_state",
    "load_state",
    "clear_state",
    "delete_forever",
    "progress",
)
HOWTO = "see docs/howto/another-spawner.md"


def class_faults(cls: type) -> Iterator[str]:
    """Say why notebooks of this class would be admitted and billed without what they rent.

    Each sentence ends with its cure, after a semicolon.
    """
    if not issubclass(cls, GradientSpawner):
        yield (
            f"c.JupyterHub.spawner_class is {cls.__name__}, which admits nothing; set"
            ' it to "gradient-docker", "gradient-local" or a class with GradientSpawner on its left'
        )
        return
    if fault := _find_wrong_engine(cls):
        yield fault
        return
    yield from _faults_of_order(cls)
    if cls.apply_lease is GradientSpawner.apply_lease:
        engine = _engine_of(cls)
        yield (
            f"{cls.__name__} does not say what a lease means for {engine}: notebooks would be"
            f" admitted and billed without their machine; write ({HOWTO})\n"
            f"    class {cls.__name__}(GradientSpawner, {engine}):\n"
            "        async def apply_lease(self, lease):\n"
            "            self.mem_limit, self.cpu_limit = int(lease.memory * 1e9), lease.cpus\n"
            "            # and lease.image, lease.devices, self.folders(lease)"
        )


def _find_wrong_engine(cls: type[GradientSpawner]) -> str:
    """Say why leases cannot reach the engine that the class stands over; "" if they can."""
    if issubclass(cls, SwarmSpawner):
        return (
            f"c.JupyterHub.spawner_class is {cls.__name__}, and services of a Swarm are not"
            ' supported; set it to "gradient-docker", on one engine'
        )
    if issubclass(cls, DockerSpawner) and not issubclass(cls, GradientDockerSpawner):
        custom = _find_custom(cls, DockerSpawner)
        base = f"GradientDockerSpawner, {custom}" if custom else "GradientDockerSpawner"
        return (
            f"c.JupyterHub.spawner_class is {cls.__name__}, which stands over DockerSpawner without"
            " GradientDockerSpawner, so that leases give it no image, folders, limits or devices;"
            " write\n"
            "    from gradienthub.spawners.docker import GradientDockerSpawner\n"
            f"    class {cls.__name__}({base}):\n"
            "        pass"
        )
    return ""


def _faults_of_order(cls: type[GradientSpawner]) -> Iterator[str]:
    """Say which class left of ours takes a step of the order for itself."""
    for parent in cls.__mro__[: cls.__mro__.index(GradientSpawner)]:
        names = [name for name in OURS if name in vars(parent)]
        if names and not issubclass(parent, GradientSpawner):
            yield (
                f"{cls.__name__} has {parent.__name__} left of GradientSpawner, and its"
                f" {names[0]} comes before ours; write {parent.__name__} last among the bases of"
                f" {cls.__name__}"
            )


def value_faults(cls: type[Configurable], config: Config) -> Iterator[str]:
    """Say which value of the configuration the class refuses: each page would be an error 500.

    A class that needs more than its configuration is left to its first start.
    """
    try:
        cls(config=config)
    except TraitError as error:
        sections = [f"c.{name}" for name in cls.section_names() if name in config]
        says = str(error).replace(";", ",")
        yield f"{' or '.join(sections)} has a wrong value: {says}; correct that line"
    except Exception:
        return


def _find_custom(cls: type, base: type) -> str:
    """Name the class between ours and the engine's own, which somebody else wrote."""
    for parent in cls.__mro__[1:]:
        if issubclass(parent, base) and parent is not base:
            return parent.__name__
    return ""


def _engine_of(cls: type) -> str:
    """Name the spawner that GradientSpawner stands over; bases of our own are none."""
    after = (parent for parent in cls.__mro__ if not issubclass(GradientSpawner, parent))
    engines = (parent for parent in after if not issubclass(parent, GradientSpawner))
    return next((parent.__name__ for parent in engines), "SpawnerOfYourEngine")
