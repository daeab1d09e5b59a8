"""gradienthub check: each finding on plain values, then the looking itself."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from traitlets.config import Config
from values import make_lease

from gradienthub.cli import check_configuration, check_devices, check_engine
from gradienthub.cli.check_result import CheckResult, Severity
from gradienthub.cli.check_scene import (
    EngineSeen,
    Folder,
    LedgerSeen,
    Program,
    Scene,
    wiring_of,
)
from gradienthub.cli.checks import CHECKS, judge, page, summary
from gradienthub.cli.config import read_unwired
from gradienthub.cli.look import ledger_seen, look, proxy_program
from gradienthub.cli.look_folders import (
    file_system_of,
    folder,
    mount_options_of,
    storage_folder,
)
from gradienthub.cli.nvml import Gpu, Inventory
from gradienthub.ledger.clock import database_time
from gradienthub.service.notify import FileSeen
from gradienthub.settings import GradientHub
from gradienthub.spawners.engine import CensusObject, Stranger
from gradienthub.spawners.labels import HUB_LABEL, LEASE_LABEL

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
INFO = {
    "ServerVersion": "28.0.1",
    "Name": "rack",
    "NCPU": 8,
    "MemTotal": 32 * 10**9,
    "Runtimes": {"runc": {}, "nvidia": {}},
}
GPU_1 = Gpu("GPU-1", "Tesla T4", 16)
GPU_9 = Gpu("GPU-9", "Tesla T4", 16)
PROXY = Program("configurable-http-proxy", "/usr/bin/configurable-http-proxy", None)


@pytest.fixture
def well(hub):
    """A scene in which everything is well, of this configuration; keywords change parts of it."""

    def make(more: str = "", after: str = "", **parts) -> Scene:
        hub.write(more, after)
        loaded = hub.load()
        scene = Scene(
            hub=loaded,
            written=read_unwired(loaded.path),
            wiring=wiring_of(loaded),
            engine=EngineSeen(
                info=INFO, images={"acme/python:1": True}, census=(), skew=timedelta(0)
            ),
            ledger=LedgerSeen("/data/ledger.sqlite", revision="0001", head="0001"),
            gpus=Inventory((GPU_1,)),
            data_dir=Folder(Path("/data"), True, True, 10**11),
            storage_root=Folder(
                Path("/data/storage"),
                True,
                True,
                10**11,
                mount_options=frozenset({"rw", "nosuid"}),
            ),
            proxy_program=PROXY,
            host_names=frozenset({"local", "here"}),
            uid=0,
            user="root",
            now=NOW,
        )
        return replace(scene, **parts)

    return make


def bad(scene: Scene, name: str) -> list[CheckResult]:
    """Findings of that name that are not well, each of which has a cure."""
    found = [f for f in judge(scene) if f.name == name and f.state is not Severity.OK]
    assert all(finding.cure for finding in found)
    return found


def only(scene: Scene, name: str) -> CheckResult:
    (finding,) = bad(scene, name)
    return finding


def test_where_all_is_well_nothing_else_is_said(well):
    found = judge(well())
    assert [f for f in found if f.state is not Severity.OK] == []
    assert {f.name for f in found} == {
        "configuration",
        "wiring",
        "traits",
        "hub_id",
        "database",
        "folders",
        "engine",
        "hub address",
        "network",
        "storage",
        "GPU runtime",
        "devices",
        "machines",
        "images",
        "orphans",
        "clocks",
        "proxy",
    }


def test_the_page_has_every_cure_and_counts_at_its_end():
    shown = page(
        [
            CheckResult("engine", Severity.OK, "it answers"),
            CheckResult(
                "images", Severity.WARN, "one is missing", "docker pull one\ndocker pull two"
            ),
            CheckResult("proxy", Severity.FAULT, "there is none", "install one"),
        ]
    )
    assert shown.splitlines() == [
        "ok    engine          it answers",
        "warn  images          one is missing",
        "                      docker pull one",
        "                      docker pull two",
        "FAULT proxy           there is none",
        "                      install one",
        "",
        "1 ok, 1 warning, 1 fault",
    ]
    assert summary([]) == "0 ok, 0 warnings, 0 faults"


def test_every_check_says_what_it_is_for():
    assert all(check.__doc__ for check in CHECKS)


# -- configuration ----------------------------------------------------------------------------


def test_a_hub_that_never_started_has_no_hub_id_yet(well):
    (finding,) = check_configuration.hub_id(well())
    assert "at its first start" in finding.says


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ("c.JupyterHub.spawner_class = 'simple'", "spawner_class is SimpleLocalProcessSpawner"),
        ("c.JupyterHub.spawner_class = 'gradient-cloud'", "'gradient-cloud' cannot be loaded"),
        ("c.JupyterHub.authenticator_class = 'dummy'", "DummyAuthenticator without tiers"),
        ("c.JupyterHub.allow_named_servers = False", "allow_named_servers is False"),
        ("c.JupyterHub.template_paths = ['/own']", "lacks GradientHub's templates"),
        (
            "c.JupyterHub.services.append({'name': 'cull', 'command':"
            " ['python3', '-m', 'jupyterhub_idle_culler']})",
            "'cull' is a stock idle culler",
        ),
    ],
)
def test_what_another_line_undid_is_a_fault(well, after, says):
    scene = well(after=after)
    scene = replace(scene, wiring=wiring_of(scene.hub))
    finding = only(scene, "wiring")
    assert finding.state is Severity.FAULT
    assert says in finding.says


def test_an_authenticator_that_hands_logins_past_us_is_a_fault(well):
    scene = well()
    multi = type("MultiAuthenticator", (scene.wiring.authenticator,), {})
    scene = replace(scene, wiring=replace(scene.wiring, authenticator=multi))
    assert "wrap each part" in only(scene, "wiring").cure


@pytest.mark.parametrize(
    ("more", "name", "state"),
    [
        ("c.JupyterHub.cleanup_servers = True", "restarts", Severity.WARN),
        ("c.GradientDockerSpawner.enforce_limits = False", "limits", Severity.WARN),
        ("c.GradientDockerSpawner.device_driver = 'environment'", "limits", Severity.WARN),
        ("c.DockerSpawner.extra_host_config = {'privileged': True}", "limits", Severity.FAULT),
        (
            "c.DockerSpawner.extra_host_config = {'device_requests': [{'count': -1}]}",
            "limits",
            Severity.FAULT,
        ),
    ],
)
def test_settings_that_weaken_the_hub_are_found(well, more, name, state):
    assert only(well(more), name).state is state


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("extra_create_kwargs = {'host_config': {'privileged': True}}", "privileged"),
        ("extra_create_kwargs = {'environment': ['NVIDIA_VISIBLE_DEVICES=all']}", "environment"),
        ("environment = {'NVIDIA_VISIBLE_DEVICES': 'all'}", "NVIDIA_VISIBLE_DEVICES=all"),
        ("volumes = {'/var/run/docker.sock': '/var/run/docker.sock'}", "docker.sock"),
        ("volumes = {'/dev': {'bind': '/dev', 'mode': 'rw'}}", "volumes=/dev"),
        ("mounts = [{'type': 'bind', 'source': '/', 'target': '/x'}]", "mounts=/"),
        ("network_name = 'host'", "network_mode=host"),
        ("extra_host_config = {'runtime': 'nvidia'}", "runtime=nvidia"),
        ("extra_host_config = {'no_such_setting': 1}", "cannot be sent"),
    ],
)
def test_check_names_what_would_refuse_every_start(well, more, says):
    finding = only(well(f"c.DockerSpawner.{more}"), "limits")
    assert finding.state is Severity.FAULT
    assert says in finding.says


def test_what_is_dropped_or_allowed_on_purpose_is_a_warning(well):
    extras = "c.DockerSpawner.extra_host_config = {'ipc_mode': 'host'}\n"
    dropped = only(well(extras + "c.DockerSpawner.unrented = 'drop'"), "limits")
    assert (dropped.state, "is dropped" in dropped.says) == (Severity.WARN, True)
    allowed = "c.GradientDockerSpawner.allowed_host_settings = ['ipc_mode=host']"
    assert "every notebook may have it" in only(well(extras + allowed), "limits").says
    refused = only(well(extras), "limits")
    assert "allowed_host_settings = ['ipc_mode=host']" in refused.cure


def test_check_says_what_only_a_start_can_show(well):
    scene = well(
        "c.DockerSpawner.extra_host_config = lambda spawner: {}\n"
        "c.Spawner.pre_spawn_hook = lambda spawner: None"
    )
    (finding,) = [f for f in judge(scene) if f.name == "limits"]
    assert finding.state is Severity.OK
    assert "extra_host_config, pre_spawn_hook" in finding.says


def test_extras_that_take_nothing_from_anybody_are_fine(well):
    assert bad(well("c.DockerSpawner.extra_host_config = {'shm_size': '8g'}"), "limits") == []


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ("c.JupyterHub.hub_ip = '127.0.0.1'", Severity.FAULT),
        ("c.JupyterHub.hub_ip = '0.0.0.0'", Severity.WARN),
        ("c.JupyterHub.hub_ip = '*'", Severity.WARN),
    ],
)
def test_an_address_that_containers_do_not_reach_is_found(well, more, state):
    assert only(well(more), "hub address").state is state


@pytest.mark.parametrize(
    "more",
    [
        "c.JupyterHub.hub_ip = '0.0.0.0'\nc.JupyterHub.hub_connect_ip = '10.1.1.1'",
        "c.JupyterHub.hub_ip = '127.0.0.1'\nc.DockerSpawner.network_name = 'host'\n"
        "c.GradientDockerSpawner.allowed_host_settings = ['network_mode=host']",
        "c.JupyterHub.hub_ip = ''\nc.JupyterHub.hub_connect_url = 'http://hub:8081'",
    ],
)
def test_an_address_that_containers_reach_is_fine(well, more):
    assert bad(well(more), "hub address") == []


BRIDGE = {
    "Name": "gradienthub-notebooks",
    "Driver": "bridge",
    "Options": {"com.docker.network.bridge.enable_icc": "false"},
}


@pytest.mark.parametrize(
    ("more", "seen", "info", "says"),
    [
        ("", {"network": BRIDGE | {"Options": {}}}, {}, "enable_icc is not false"),
        ("", {"network": BRIDGE, "neighbors_reach": True}, {}, "no packet filters"),
        ("", {"network": BRIDGE}, {"BridgeNfIptables": False}, "filters nothing on bridges"),
        (
            "c.DockerSpawner.network_name = 'bridge'",
            {"network": {"Name": "bridge", "Driver": "bridge", "Options": None}},
            {},
            "on the network bridge notebooks reach each other",
        ),
        ("c.DockerSpawner.network_name = 'absent'", {}, {}, "no network absent"),
        (
            "c.DockerSpawner.network_name = 'lan'",
            {"network": {"Name": "lan", "Driver": "macvlan"}},
            {},
            "its driver macvlan",
        ),
    ],
)
def test_a_network_on_which_notebooks_reach_each_other_is_found(well, more, seen, info, says):
    engine = EngineSeen(info=INFO | info, census=(), skew=timedelta(0), **seen)
    assert says in only(well(more, engine=engine), "network").says


def test_ports_that_are_published_to_everybody_are_found(well):
    engine = EngineSeen(info=INFO, census=(), network=BRIDGE)
    finding = only(well("c.DockerSpawner.host_ip = '0.0.0.0'", engine=engine), "network")
    assert "every address" in finding.says


def test_custom_images_make_such_a_network_worse(well):
    engine = EngineSeen(info=INFO, census=(), network=BRIDGE | {"Options": None})
    more = "c.GradientHub.tiers['pro']['custom_images'] = ['*']"
    assert "people's own images" in only(well(more, engine=engine), "network").says


@pytest.mark.parametrize("reach", [None, False])
def test_a_network_without_traffic_between_notebooks_is_fine(well, reach):
    engine = EngineSeen(info=INFO, census=(), network=BRIDGE, neighbors_reach=reach)
    assert bad(well(engine=engine), "network") == []


# -- engine and devices -----------------------------------------------------------------------


def test_an_engine_that_is_away_is_a_fault_and_asks_no_more(well):
    scene = well(engine=EngineSeen(away="Connection refused"))
    assert only(scene, "engine").state is Severity.FAULT
    assert bad(scene, "GPU runtime") == bad(scene, "images") == bad(scene, "orphans") == []


def test_processes_without_limits_are_a_warning(well):
    scene = well()
    local = type("GradientLocalSpawner", (), {})
    scene = replace(scene, wiring=replace(scene.wiring, spawner=local))
    (finding,) = check_engine.engine(scene)
    assert finding.state is Severity.WARN


def test_devices_without_a_gpu_runtime_are_a_fault(well):
    seen = EngineSeen(info={**INFO, "Runtimes": {"runc": {}}})
    assert "nvidia-ctk" in only(well(engine=seen), "GPU runtime").cure
    assert bad(well(engine=replace(seen, gpu_hook="/usr/bin/hook")), "GPU runtime") == []
    without = 'c.GradientHub.hosts = {"rack": {"cpus": 2, "memory": 4}}'
    assert bad(well(without, engine=seen), "GPU runtime") == []


def test_cdi_needs_an_engine_that_has_it(well):
    more = "c.GradientDockerSpawner.device_driver = 'cdi'"
    assert "Docker 25" in only(well(more), "GPU runtime").cure
    seen = EngineSeen(info={**INFO, "CDISpecDirs": ["/etc/cdi"]})
    assert bad(well(more, engine=seen), "GPU runtime") == []


def test_a_declared_device_that_is_not_here_is_a_fault(well):
    finding = only(well(gpus=Inventory(away="no NVIDIA driver here")), "devices")
    assert finding.state is Severity.FAULT
    assert "no NVIDIA driver here" in finding.says
    assert "GPU-1" in finding.says
    # It is out of service, so that nobody gets it.
    assert "GPU-2" not in finding.says


def test_without_a_driver_and_without_declared_devices_all_is_well(well):
    more = 'c.GradientHub.hosts = {"rack": {"cpus": 2, "memory": 4}}'
    (finding,) = check_devices.devices(well(more, gpus=Inventory(away="no NVIDIA driver here")))
    assert (finding.state, finding.says) == (Severity.OK, "no NVIDIA driver here")


TWO_HOSTS = """
c.GradientHub.hosts = {
    "here": {"cpus": 8, "memory": 32, "devices": [{"uuid": "GPU-1", "model": "Tesla T4"}]},
    "there": {"cpus": 8, "memory": 32, "devices": [{"uuid": "GPU-9", "model": "Tesla T4"}]},
}
"""


def test_devices_of_other_hosts_are_not_looked_for_here(well):
    assert bad(well(TWO_HOSTS), "devices") == []


def test_a_host_is_known_by_its_devices_whatever_its_name(well):
    scene = well(TWO_HOSTS, host_names=frozenset({"elsewhere"}))
    assert bad(scene, "devices") == []
    scene = replace(scene, gpus=Inventory((GPU_9,)), host_names=frozenset({"here"}))
    assert "GPU-1" in only(scene, "devices").says


def test_an_undeclared_device_is_printed_as_the_setting_takes_it(well):
    finding = only(well(gpus=Inventory((GPU_1, GPU_9))), "devices")
    assert finding.state is Severity.WARN
    assert "GPU-9" in finding.says
    c = Config()
    exec(finding.cure.partition("\n")[2], {"c": c})
    (host,) = GradientHub(config=c, hub_id="x").resolved().house.hosts
    assert (host.name, host.cpus, host.memory) == ("rack", 8, 32)
    assert [device.uuid for device in host.devices] == ["GPU-1", "GPU-9"]


def test_the_other_hosts_of_a_declaration_are_named(well):
    finding = only(well(TWO_HOSTS, gpus=Inventory((GPU_1, Gpu("GPU-7", "T4", 16)))), "devices")
    assert '# "there": as it is' in finding.cure


def test_a_gpu_that_nvml_skipped_is_a_warning(well):
    scene = well(gpus=Inventory((GPU_1,), skipped=("GPU 1 does not answer: lost",)))
    assert only(scene, "devices").state is Severity.WARN


def test_gpus_of_an_engine_elsewhere_are_not_judged_from_here(well):
    scene = well(engine=EngineSeen(info=INFO, remote=True), gpus=Inventory())
    assert bad(scene, "devices") == []


def test_a_model_that_nobody_rents_is_a_warning(well):
    more = """
    c.GradientHub.hosts = {"rack": {"cpus": 8, "memory": 32, "devices": [
        {"uuid": "GPU-1", "model": "Tesla T4"}, {"uuid": "GPU-3", "model": "NVIDIA H200"}]}}
    """
    scene = well(more, gpus=Inventory((GPU_1, Gpu("GPU-3", "NVIDIA H200", 140))))
    assert "'NVIDIA H200'" in only(scene, "machines").says


def test_a_hub_on_which_nothing_fits_is_a_fault(well):
    more = 'c.GradientHub.hosts = {"rack": {"cpus": 0.5, "memory": 0.5}}'
    assert only(well(more), "machines").state is Severity.FAULT


def test_missing_images_come_with_the_command_that_gets_them(well):
    seen = EngineSeen(info=INFO, images={"acme/python:1": False})
    finding = only(well(engine=seen), "images")
    assert finding.state is Severity.WARN
    assert finding.cure == "docker pull acme/python:1"


def test_a_runtime_without_an_image_is_a_fault_on_docker(well):
    more = 'c.GradientHub.runtimes = {"python": {"title": "Python 3"}}'
    seen = EngineSeen(info=INFO)
    assert only(well(more, engine=seen), "images").state is Severity.FAULT


# -- ledger, folders, clocks ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "state", "says"),
    [
        (LedgerSeen("db", away="refused"), Severity.FAULT, "does not answer"),
        (LedgerSeen("db", revision="0000", head="0001"), Severity.FAULT, "needs 0001"),
        (LedgerSeen("db", revision="1", head="1", file_system="nfs4"), Severity.WARN, "nfs4"),
    ],
)
def test_a_database_that_will_not_do_is_found(well, seen, state, says):
    finding = only(well(ledger=seen), "database")
    assert finding.state is state
    assert says in finding.says


@pytest.mark.parametrize(
    "seen",
    [
        LedgerSeen("db", absent=True),
        LedgerSeen("db", revision=None, head="0001"),
        LedgerSeen("db", revision="1", head="1", file_system="ext4"),
    ],
)
def test_a_database_that_the_hub_will_make_is_fine(well, seen):
    assert bad(well(ledger=seen), "database") == []


def test_ends_that_wait_for_the_ledger_are_counted(well):
    assert "3 stops and ends" in only(well(waiting_ends=3), "database").says


def test_a_folder_that_cannot_be_written_is_a_fault(well):
    place = Folder(Path("/data"), True, False, 10**11)
    finding = only(well(data_dir=place), "folders")
    assert finding.state is Severity.FAULT
    assert "data_dir" in finding.says


def test_a_full_disk_is_a_warning(well):
    place = Folder(Path("/data"), True, True, 10**9)
    assert "1 GB free" in only(well(storage_root=place), "folders").says


def test_a_hub_that_cannot_give_folders_away_is_a_fault(well):
    finding = only(well(uid=1001, user="hub"), "folders")
    assert finding.state is Severity.FAULT
    assert "folder_owner = 1001" in finding.cure
    own = "c.GradientDockerSpawner.folder_owner = 1001"
    assert bad(well(own, uid=1001, user="hub"), "folders") == []


def test_an_engine_that_shifts_user_ids_is_a_warning(well):
    seen = EngineSeen(info={**INFO, "SecurityOptions": ["name=seccomp", "name=userns"]})
    assert "subuid" in only(well(engine=seen), "folders").cure


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(3, "3 s ahead of"), (-90, "90 s behind")],
)
def test_clocks_that_differ_are_found(well, seconds, says):
    seen = EngineSeen(info=INFO, census=(), skew=timedelta(seconds=seconds))
    assert says in only(well(engine=seen), "clocks").says
    seen = LedgerSeen("db", revision="1", head="1", skew=timedelta(seconds=seconds))
    assert says in only(well(ledger=seen), "clocks").says


def lease(lease_id: str, minutes: float = 10, object_name: str | None = "gradient-x"):
    at = NOW - timedelta(minutes=minutes)
    return make_lease(id=lease_id, phase_at=at, object_name=object_name)


def ledger_with(*open_leases, **more) -> LedgerSeen:
    return LedgerSeen("db", revision="1", head="1", open_leases=open_leases, **more)


def test_a_container_without_an_open_lease_is_an_orphan(well):
    seen = EngineSeen(info=INFO, census=(CensusObject("id", "gone", True, name="gradient-gone"),))
    assert "gradient-gone" in only(well(engine=seen), "orphans").says


def test_an_open_lease_without_a_container_is_an_orphan(well):
    finding = only(well(ledger=ledger_with(lease("a"), lease("b"))), "orphans")
    assert "a, b" in finding.says


@pytest.mark.parametrize("waiting", [lease("a", minutes=0.1), lease("a", object_name=None)])
def test_a_lease_on_its_way_to_a_container_is_no_orphan(well, waiting):
    assert bad(well(ledger=ledger_with(waiting)), "orphans") == []


def test_a_lease_and_its_container_belong_together(well):
    seen = EngineSeen(info=INFO, census=(CensusObject("id", "a", True),))
    assert bad(well(engine=seen, ledger=ledger_with(lease("a"))), "orphans") == []


def test_a_copy_of_a_container_is_named_and_left_alone(well):
    stranger = Stranger("box-9", "quirky_tesla", "it is not named as ours is", "lease-1")
    unknown = CensusObject("box-1", "lease-9", True, name="gradient-lease-9")
    seen = replace(well().engine, census=(unknown,), copies=(stranger,))
    current = replace(well().ledger, copies={"box-1": "the ledger knows no such lease"})
    found = bad(well(engine=seen, ledger=current), "orphans")
    assert [f.says.split()[0] for f in found] == ["quirky_tesla", "gradient-lease-9"]
    assert all("never removes it" in f.cure for f in found)


def test_storage_that_others_may_enter_or_run_programs_of_is_a_warning(well):
    place = well().storage_root
    opened = replace(place, open_levels=(Path("/data/storage/accounts"),))
    assert "/data/storage/accounts" in only(well(storage_root=opened), "storage").says
    plain = replace(place, mount_options=frozenset({"rw"}))
    assert "nosuid" in only(well(storage_root=plain), "storage").cure


def test_the_mount_of_storage_is_looked_at(tmp_path):
    (tmp_path / "mounts").write_text(
        "1 0 8:1 / / rw,relatime - ext4 /dev/a rw\n"
        f"2 1 8:2 / {tmp_path}/srv rw,nosuid,nodev - xfs /dev/b rw\n"
    )
    mounts = tmp_path / "mounts"
    assert "nosuid" in mount_options_of(tmp_path / "srv" / "storage", mounts)
    assert "nosuid" not in mount_options_of(tmp_path / "other", mounts)
    (tmp_path / "notebooks").mkdir(mode=0o755)
    (tmp_path / "accounts").mkdir(mode=0o700)
    assert storage_folder(tmp_path).open_levels == (tmp_path / "notebooks",)


@pytest.mark.parametrize("holder", [None, make_lease(hub_id="this-hub", ended_at=NOW)])
def test_a_device_held_by_nothing_is_a_fault(well, holder):
    scene = well(ledger=ledger_with(strange_holders={"a": holder}))
    assert only(scene, "orphans").state is Severity.FAULT


def test_a_device_held_by_another_hub_is_fine(well):
    other = make_lease(hub_id="other-hub", ended_at=None)
    assert bad(well(ledger=ledger_with(strange_holders={"a": other})), "orphans") == []


# -- proxy ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "state", "says"),
    [
        (
            Program("configurable-http-proxy", None, None),
            Severity.FAULT,
            "no configurable-http-proxy",
        ),
        (Program("traefik", None, None), Severity.FAULT, "no traefik"),
        (Program("traefik", None, "/venv/bin/traefik"), Severity.WARN, "/venv/bin/traefik"),
        (
            Program("configurable-http-proxy", "/venv/bin/chp", None, "/venv/bin/python3"),
            Severity.FAULT,
            "the Python package",
        ),
    ],
)
def test_a_proxy_that_will_not_start_or_not_do_is_found(well, program, state, says):
    finding = only(well(proxy_program=program), "proxy")
    assert finding.state is state
    assert says in finding.says


def test_a_proxy_that_runs_by_itself_needs_no_program(well):
    more = "c.ConfigurableHTTPProxy.should_start = False"
    scene = well(more)
    assert proxy_program(scene.hub, scene.wiring) is None
    assert bad(replace(scene, proxy_program=None), "proxy") == []


def test_the_proxy_s_program_is_the_one_that_is_configured(hub, tmp_path):
    script = tmp_path / "my-proxy"
    script.write_text("#!/usr/bin/env node\n")
    script.chmod(0o755)
    hub.write(f"c.ConfigurableHTTPProxy.command = [{str(script)!r}]")
    loaded = hub.load()
    found = proxy_program(loaded, wiring_of(loaded))
    assert (found.on_path, found.script_of) == (str(script), "/usr/bin/env node")


# -- looking ----------------------------------------------------------------------------------


def test_a_folder_is_judged_by_where_it_will_be_made(tmp_path):
    seen = folder(tmp_path / "a" / "b")
    assert (seen.exists, seen.writable) == (False, True)
    assert seen.free > 0
    assert folder(tmp_path).exists


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"22 21 0:5 / {tmp_path} rw - tmpfs tmpfs rw\n"
        f"23 22 0:6 / {tmp_path}/with\\040space rw,noatime shared:1 - nfs4 server:/x rw\n"
    )
    assert file_system_of(Path("/"), mounts) == "ext4"
    assert file_system_of(tmp_path / "data", mounts) == "tmpfs"
    assert file_system_of(tmp_path / "with space" / "data", mounts) == "nfs4"
    assert file_system_of(tmp_path, tmp_path / "absent") is None


def test_a_ledger_is_looked_at_and_never_made(hub):
    seen = ledger_seen(hub.load())
    assert seen.absent
    assert not hub.data_dir.exists()


def test_the_ledger_of_a_running_hub_is_seen_with_its_leases(hub):
    hub.start_once()
    hub.lease("ann")
    seen = ledger_seen(hub.load())
    assert seen.current
    assert [row.id for row in seen.open_leases] == ["lease-1"]
    assert [row["uuid"] for row in seen.devices] == ["GPU-1", "GPU-2"]
    assert seen.strange_holders == {}


def test_a_password_in_the_database_url_is_not_shown(hub):
    hub.write(
        """
        c.GradientHub.database_url = 'postgresql+pg8000://hub:secret@db:5432/ledger?password=secret'
        c.GradientHub.hub_id = 'physics'
        """
    )
    seen = ledger_seen(hub.load())
    assert seen.where == "postgresql+pg8000://db:5432/ledger"
    assert "secret" not in seen.away


def test_only_a_database_with_a_clock_of_its_own_is_asked_for_the_time(ledger):
    theirs = ledger.read(database_time)
    if ledger.sqlite:
        assert theirs is None
    else:
        assert abs(theirs - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.local_engine
def test_check_looks_at_a_hub_of_local_processes(hub):
    pytest.importorskip("psutil", reason="needs psutil: pip install 'gradienthub[local]'")
    hub.write("c.JupyterHub.spawner_class = 'gradienthub.spawners.local.GradientLocalSpawner'")
    seen = look(hub.load(), gpus=Inventory())
    assert seen.wiring.engine == "local"
    assert seen.engine.census == ()
    said = hub.run("check")
    assert "processes of this machine" in said.out
    assert not hub.data_dir.exists()


def test_check_ends_with_1_where_there_is_a_fault(hub):
    hub.write(after="c.JupyterHub.spawner_class = 'simple'")
    said = hub.run("check")
    assert said.code == 1
    assert "FAULT wiring" in said.out
    assert said.err == ""


def test_an_engine_that_nobody_listens_for_is_away(hub):
    # Not a socket's path, because docker-py leaves one open that it could not connect.
    hub.write("c.GradientDockerSpawner.engine_options = {'base_url': 'tcp://127.0.0.1:9'}")
    seen = look(hub.load(), gpus=Inventory())
    assert "refused" in seen.engine.away
    assert not seen.engine.remote


def test_options_that_docker_does_not_know_are_a_fault_of_the_configuration(hub):
    hub.write("c.GradientDockerSpawner.engine_options = {'timeot': 3}")
    seen = look(hub.load(), gpus=Inventory())
    assert "timeot" in seen.engine.away


@pytest.fixture
def docker_engine():
    """A client of the engine that answers here."""
    try:
        client = docker.from_env()
    except (DockerException, OSError) as error:
        pytest.skip(f"needs a Docker engine that answers ({type(error).__name__})")
    with closing(client):
        yield client


@pytest.mark.docker
def test_check_sees_what_runs_on_a_real_engine(hub, docker_engine):
    images = docker_engine.images.list("gradienthub/demo:dev")
    if not images:
        pytest.skip("needs the image gradienthub/demo:dev: run tests/image/build.sh")
    hub.start_once()
    hub.write(
        """
        c.GradientHub.runtimes = {
            "python": {"title": "Python 3", "image": "gradienthub/demo:dev"},
            "other": {"title": "Other", "image": "gradienthub/absent:never"},
        }
        """
    )
    labels = {HUB_LABEL: "this-hub", LEASE_LABEL: "gone"}
    container = docker_engine.containers.create("gradienthub/demo:dev", labels=labels)
    named = docker_engine.containers.create(
        "gradienthub/demo:dev", labels=labels, name="gradient-gone"
    )
    try:
        seen = look(hub.load(), gpus=Inventory())
    finally:
        container.remove(force=True)
        named.remove(force=True)
    assert seen.engine.away == ""
    assert seen.engine.images == {"gradienthub/demo:dev": True, "gradienthub/absent:never": False}
    assert [found.lease_id for found in seen.engine.census] == ["gone"]
    assert abs(seen.engine.skew) < timedelta(seconds=2)
    # Neither was ever made by this hub.
    says = [finding.says for finding in bad(seen, "orphans")]
    assert [container.name in says[0], "gradient-gone" in says[1]] == [True, True]
    assert "docker pull gradienthub/absent:never" in only(seen, "images").cure


@pytest.mark.parametrize(
    ("seen", "state", "says"),
    [
        (FileSeen("/n", targets=2), Severity.OK, "2 targets in /n"),
        (FileSeen("/n", away="Permission denied"), Severity.FAULT, "Permission denied"),
        (FileSeen("/n", installed=False, targets=2), Severity.FAULT, "not installed"),
        (FileSeen("/n", everybody_reads=True, targets=2), Severity.WARN, "everybody"),
        (FileSeen("/n", bad_lines=("line 3 (x)",), targets=2), Severity.FAULT, "line 3 (x) of /n"),
        (FileSeen("/n"), Severity.WARN, "no targets"),
    ],
)
def test_a_notify_file_is_judged(well, seen, state, says):
    [found] = [f for f in judge(well(notify=seen)) if f.name == "messages" and f.state is state]
    assert says in found.says
    assert "messages" not in [f.name for f in judge(well())]


def test_the_notify_file_is_looked_at_as_the_keeper_reads_it(hub, tmp_path):
    targets = tmp_path / "targets"
    targets.write_text("json://127.0.0.1/\nnonsense\n")
    targets.chmod(0o644)
    hub.write(f"c.GradientHub.notify_file = {str(targets)!r}")
    seen = look(hub.load(), Inventory(away="no driver")).notify
    assert seen == FileSeen(str(targets), everybody_reads=True, targets=2, bad_lines=("line 2",))


# -- traits --------------------------------------------------------------------------------------


def test_check_prints_every_trait_with_what_becomes_of_it(well):
    scene = well(
        """
        c.DockerSpawner.image = "acme/old:1"
        c.Spawner.pre_spawn_hook = lambda spawner: None
        """
    )
    found = [f for f in judge(scene) if f.name == "traits"]
    [warned] = [f for f in found if f.state is Severity.WARN]
    assert warned.says.startswith("c.DockerSpawner.image is not used: the lease brings")
    assert warned.cure == "one row of c.GradientHub.runtimes"
    assert any(
        "c.Spawner.pre_spawn_hook: what a callable sets is seen when" in f.says for f in found
    )
    assert not any("authenticator_class: what a callable" in f.says for f in found)
    assert "yours           c.JupyterHub.hub_ip" in found[-1].cure
    assert "ours            c.DockerSpawner.image" in found[-1].cure


def test_what_configure_set_itself_is_not_called_the_deployers(well):
    """It listed cleanup_servers, allow_named_servers and our roles among what is "yours"."""
    wired = ["cleanup_servers", "allow_named_servers", "template_paths", "services", "load_roles"]
    scene = well()
    assert all(name in scene.hub.config.JupyterHub for name in wired)
    [listed] = [f for f in judge(scene) if f.name == "traits"]
    assert not any(name in listed.cure for name in wired)
    assert "c.JupyterHub.authenticator_class" in listed.cure
    scene = well("c.JupyterHub.allow_named_servers = True")
    [listed] = [f for f in judge(scene) if f.name == "traits"]
    assert "c.JupyterHub.allow_named_servers" in listed.cure
    assert "cleanup_servers" not in listed.cure


def test_a_cure_names_the_section_that_sets_the_trait(well):
    scene = well(
        """
        from gradienthub.spawners.docker import GradientDockerSpawner
        class Mine(GradientDockerSpawner): pass
        c.JupyterHub.spawner_class = Mine
        c.GradientDockerSpawner.enforce_limits = False
        """
    )
    [limits] = [f for f in judge(scene) if f.name == "limits"]
    assert limits.cure == "remove c.GradientDockerSpawner.enforce_limits"


@pytest.mark.parametrize(("answer", "fault"), [(None, 0), (200, 0), (404, 0), (503, 1), (502, 1)])
def test_a_keeper_that_the_proxy_does_not_reach_is_a_fault_with_its_cure(well, answer, fault):
    found = bad(well(keeper_answer=answer), "proxy")
    assert len(found) == fault
    assert all("keeper_ip" in one.cure for one in found)


def test_a_service_that_may_stop_everybodys_notebooks_is_a_warning(well):
    more = """
c.JupyterHub.services = [{"name": "theirs"}]
c.JupyterHub.load_roles = [{"name": "r", "services": ["theirs"], "scopes": ["delete:servers"]}]
"""
    found = only(well(more), "wiring")
    assert (found.state, "'theirs' may stop" in found.says) == (Severity.WARN, True)


def test_a_ledger_beside_peoples_files_is_warned_of_because_who_fills_the_disk_stops_all(well):
    ledger = LedgerSeen("/data/l.sqlite", revision="0001", head="0001", file_system="ext4")
    shared = Folder(Path("/data"), True, True, 10**11, device=7)
    found = [
        one
        for one in judge(well(ledger=ledger, data_dir=shared, storage_root=shared))
        if "share a file system" in one.says
    ]
    assert [one.state for one in found] == [Severity.WARN]
    apart = replace(shared, device=8)
    said = judge(well(ledger=ledger, data_dir=shared, storage_root=apart))
    assert not any("share a file system" in one.says for one in said)


def test_the_disk_of_a_ledger_elsewhere_is_looked_at_and_not_that_of_data_dir(well):
    ledger = LedgerSeen("/ledger/l.sqlite", revision="0001", head="0001", file_system="ext4")
    shared = Folder(Path("/data"), True, True, 10**11, device=7)
    full = Folder(Path("/ledger"), True, True, 0, device=9)
    scene = well(ledger=ledger, data_dir=shared, storage_root=shared, ledger_folder=full)
    assert only(scene, "folders").says == "database_url /ledger has 0 GB free"


def test_a_ledger_in_a_folder_of_its_own_is_found_by_its_url(hub, tmp_path):
    hub.write(f"c.GradientHub.database_url = 'sqlite:///{tmp_path}/ledger/l.sqlite'")
    assert look(hub.load()).ledger_folder.path == tmp_path / "ledger"
    hub.write()
    assert look(hub.load()).ledger_folder is None


def test_files_that_everybody_may_read_are_named_with_their_cure(well, tmp_path):
    file = tmp_path / "gradienthub.sqlite"
    file.touch()
    [one] = [f for f in judge(well(readable_by_others=(file,))) if "read by everybody" in f.says]
    assert (one.state, one.cure) == (Severity.WARN, f"chmod 600 {file}")
