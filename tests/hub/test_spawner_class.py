"""A spawner's class by which leases would not reach the engine stops the hub with the lines."""

import pytest
from dockerspawner import DockerSpawner, SwarmSpawner, SystemUserSpawner
from jupyterhub.spawner import LocalProcessSpawner
from test_wiring import app
from traitlets.config import Config

from gradienthub.hub.wiring import wiring_faults
from gradienthub.spawners.base import GradientSpawner
from gradienthub.spawners.docker import GradientDockerSpawner
from gradienthub.spawners.local import GradientLocalSpawner
from gradienthub.testing import GradientFakeSpawner


class Custom(DockerSpawner):
    """What a deployer has."""

    async def start(self):
        """Do something, and start."""
        return await super().start()


def fault_of(cls):
    (fault,) = wiring_faults(app(spawner_class=cls))
    assert ";" in fault
    return fault


def test_a_class_of_dockerspawners_without_ours_is_refused_with_the_lines_to_write():
    class Ours(GradientSpawner, Custom):
        """The cure that an older version printed."""

    fault = fault_of(Ours)
    assert "no image, folders, limits or devices" in fault
    assert "class Ours(GradientDockerSpawner, Custom):" in fault
    written: dict[str, object] = {"Custom": Custom}
    exec("\n".join(line[4:] for line in fault.split(" write\n")[1].splitlines()), written)
    assert wiring_faults(app(spawner_class=written["Ours"])) == []


def test_so_is_one_that_sets_limits_but_no_devices():
    class Ours(GradientSpawner, DockerSpawner):
        async def apply_lease(self, lease):
            self.mem_limit = lease.memory

    assert "class Ours(GradientDockerSpawner):" in fault_of(Ours)


def test_a_class_that_does_not_say_what_a_lease_means_is_refused_with_the_lines_to_write():
    class Ours(GradientSpawner, LocalProcessSpawner):
        """Admitted and billed, without its machine."""

    fault = fault_of(Ours)
    assert "class Ours(GradientSpawner, LocalProcessSpawner):" in fault
    assert "async def apply_lease(self, lease):" in fault
    written = {"GradientSpawner": GradientSpawner, "LocalProcessSpawner": LocalProcessSpawner}
    exec("\n".join(line[4:] for line in fault.split(".md)\n")[1].splitlines()), written)
    assert wiring_faults(app(spawner_class=written["Ours"])) == []


def test_a_kubespawner_with_nothing_but_our_name_is_refused():
    kube = type("KubeSpawner", (LocalProcessSpawner,), {})
    theirs = type("TheirKubeSpawner", (kube,), {})
    fault = fault_of(type("Ours", (GradientSpawner, theirs), {}))
    assert "class Ours(GradientSpawner, TheirKubeSpawner):" in fault


def test_a_class_whose_start_comes_before_ours_is_told_to_stand_last():
    class Ours(Custom, GradientDockerSpawner):
        """The wrong way round."""

    fault = fault_of(Ours)
    assert "its start comes before ours" in fault
    assert "write Custom last" in fault


def test_a_swarm_is_refused():
    class Ours(GradientDockerSpawner, SwarmSpawner):
        """Services are not containers."""

    assert "Swarm" in fault_of(Ours)


def test_what_admits_nothing_is_refused_as_before():
    assert "admits nothing" in fault_of(DockerSpawner)


def test_our_classes_and_those_that_stand_right_of_them_are_fine():
    class Right(GradientDockerSpawner, Custom):
        """Custom stands right of ours."""

    class WithHome(GradientDockerSpawner, SystemUserSpawner):
        """One of DockerSpawner's own."""

    class Child(GradientDockerSpawner):
        async def start(self):
            return await super().start()

    for cls in (
        GradientDockerSpawner,
        GradientLocalSpawner,
        GradientFakeSpawner,
        Right,
        Child,
        WithHome,
    ):
        assert wiring_faults(app(spawner_class=cls)) == []


@pytest.mark.parametrize(
    ("section", "name", "value", "says"),
    [
        ("Spawner", "cmd", [], "c.Spawner has a wrong value: The 'cmd' trait"),
        ("Spawner", "http_timeout", "soon", "'soon'"),
        ("GradientDockerSpawner", "capabilities", ["ALL"], "opens every device"),
        ("Ours", "pids_limit", -1, "c.Ours has a wrong value"),
        ("DockerSpawner", "pull_policy", "sometimes", "'sometimes'"),
    ],
)
def test_a_value_that_the_spawner_refuses_stops_the_hubs_start_by_name(section, name, value, says):
    class Ours(GradientDockerSpawner):
        """As many have one."""

    c = Config()
    c[section][name] = value
    (fault,) = wiring_faults(app(spawner_class=Ours, config=c))
    assert says in fault and fault.endswith("; correct that line")
    assert wiring_faults(app(spawner_class=Ours)) == []
