"""What reaches the engine: what a lease gives, hardened, and nothing of anybody else."""

import json

import pytest
from docker.types import DeviceRequest, HostConfig, Mount

from gradienthub.rules.container import CAPABILITIES, Grant, Policy, differences, judge

LABELS = {"gradienthub.hub": "h", "gradienthub.lease": "l", "gradienthub.warm": ""}
OWN = "/srv/storage/notebooks/n1"
CPU = Grant("acme/python:1", "gradient-l", LABELS, folders=frozenset({OWN}))
REQUEST = {"Driver": "", "Count": 0, "DeviceIDs": ["GPU-1"], "Capabilities": [["gpu"]]}
GPU = Grant("acme/python:1", "gradient-l", LABELS, ("GPU-1",), (REQUEST,), frozenset({OWN}))
POLICY = Policy(shm=512, closed=("/srv/hub", "/srv/storage"))


def host(**extras):
    """A HostConfig as docker-py makes it of DockerSpawner's extra_host_config."""
    return dict(HostConfig(version="1.44", **extras))


def asked(**parts):
    """The keywords of docker-py's create_container, as DockerSpawner gives them."""
    usual = {
        "image": "acme/python:1",
        "name": "gradient-l",
        "environment": {"A": "1"},
        "host_config": host(binds={OWN: {"bind": "/notebooks", "mode": "rw"}}),
    }
    return usual | parts


def names(parts, grant=CPU, policy=POLICY, **more):
    return [excess.setting for excess in judge(asked(**parts), grant, policy, **more).excess]


def test_an_ordinary_start_is_let_through_and_hardened():
    judged = judge(asked(), CPU, POLICY)
    assert judged.excess == ()
    made = judged.arguments["host_config"]
    assert made["Binds"] == [f"{OWN}:/notebooks:rw"]
    assert (made["CapDrop"], made["CapAdd"]) == (["ALL"], sorted(CAPABILITIES))
    assert made["SecurityOpt"] == ["no-new-privileges"]
    assert (made["PidsLimit"], made["ShmSize"], made["AutoRemove"]) == (4096, 512, False)
    assert made["DeviceRequests"] is None
    assert judged.arguments["environment"] == {"A": "1", "NVIDIA_VISIBLE_DEVICES": "void"}
    assert judged.arguments["labels"] == LABELS


def test_a_notebook_with_devices_has_exactly_those():
    judged = judge(asked(), GPU, POLICY)
    assert judged.arguments["host_config"]["DeviceRequests"] == [REQUEST]
    assert judged.arguments["environment"]["NVIDIA_VISIBLE_DEVICES"] == "GPU-1"
    same = [DeviceRequest(device_ids=["GPU-1"], capabilities=[["gpu"]])]
    assert names({"host_config": host(device_requests=same)}, GPU) == []


RENTED = [
    ("device_requests", host(device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])])),
    ("device_requests", host(device_requests=[{"Driver": "cdi", "DeviceIDs": ["x=all"]}])),
    ("device_requests", {"devicerequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}),
    ("privileged", host(privileged=True)),
    ("privileged", {"Privileged": False, "privileged": True}),
    ("devices", host(devices=["/dev/nvidia0:/dev/nvidia0:rwm"])),
    ("devices", host(devices=["/dev/../dev/nvidiactl"])),
    ("devices", host(devices=["/dev/dri"])),
    ("devices", host(devices=["/dev/kfd"])),
    ("device_cgroup_rules", host(device_cgroup_rules=["c 195:* rwm"])),
    ("device_cgroup_rules", host(device_cgroup_rules=["a *:* rwm"])),
    ("device_cgroup_rules", host(device_cgroup_rules=["c *:* rwm"])),
    ("device_cgroup_rules", host(device_cgroup_rules=["c 508:0 rw"])),
    ("cap_add", host(cap_add=["ALL"])),
    ("cap_add", host(cap_add=["CAP_SYS_RAWIO"])),
    ("volumes", host(binds=["/dev:/dev"])),
    ("volumes", host(binds=["/:/host:ro"])),
    ("volumes", host(binds=["/dev/nvidia0:/x"])),
    ("volumes", host(binds=["/var/run/docker.sock:/s"])),
    ("volumes", host(binds=["/run:/x"])),
    ("volumes", host(binds=["/var/lib/docker:/x"])),
    ("volumes", host(binds=["/dev/null:/var/run/nvidia-container-devices/all"])),
    ("mounts", host(mounts=[Mount("/x", "/dev", type="bind")])),
    ("mounts", host(mounts=[Mount("/run/nvidia-container-devices/GPU-9", "v")])),
    ("tmpfs", host(tmpfs={"/var/run/nvidia-container-devices": ""})),
]


@pytest.mark.parametrize(("setting", "config"), RENTED, ids=lambda part: str(part)[:60])
@pytest.mark.parametrize("grant", [CPU, GPU], ids=["cpu", "gpu"])
def test_what_the_ledger_rents_is_never_given_past_it(setting, config, grant):
    judged = judge(asked(host_config=config), grant, POLICY)
    assert setting in [excess.setting for excess in judged.excess]
    on_purpose = Policy(allowed=tuple({excess.setting for excess in judged.excess}))
    again = judge(asked(host_config=config), grant, on_purpose)
    assert [e for e in again.excess if e.never], "no setting allows it"
    left = again.arguments["host_config"]
    assert left["DeviceRequests"] == ([REQUEST] if grant is GPU else None)
    for name in (
        "Privileged",
        "privileged",
        "devicerequests",
        "Devices",
        "DeviceCgroupRules",
        "Binds",
        "Mounts",
        "Tmpfs",
    ):
        assert not left.get(name), name
    assert not {"ALL", "SYS_RAWIO"} & set(left["CapAdd"])


GUARDED = [
    ("runtime", "nvidia", host(runtime="nvidia")),
    ("devices", "/dev/fuse", host(devices=["/dev/fuse"])),
    ("cap_add", "SYS_PTRACE", host(cap_add=["sys_ptrace"])),
    ("cap_add", "NET_RAW", host(cap_add=["CAP_NET_RAW"])),
    ("security_opt", "seccomp=unconfined", host(security_opt=["seccomp=unconfined"])),
    ("security_opt", "apparmor:unconfined", host(security_opt=["apparmor:unconfined"])),
    ("security_opt", "label=type:spc_t", host(security_opt=["label=type:spc_t"])),
    ("security_opt", "no-new-privileges:false", host(security_opt=["no-new-privileges:false"])),
    ("sysctls", "net.ipv4.ip_forward", host(sysctls={"net.ipv4.ip_forward": "1"})),
    ("volumes_from", "other", host(volumes_from=["other"])),
    ("network_mode", "host", host(network_mode="host")),
    ("network_mode", "container:x", host(network_mode="container:x")),
    ("pid_mode", "host", host(pid_mode="host")),
    ("pid_mode", "container:x", {"PidMode": "container:x"}),
    ("ipc_mode", "host", host(ipc_mode="host")),
    ("ipc_mode", "container:x", host(ipc_mode="container:x")),
    ("uts_mode", "host", host(uts_mode="host")),
    ("userns_mode", "host", host(userns_mode="host")),
    ("cgroupns", "host", host(cgroupns="host")),
    ("cgroup_parent", "/", host(cgroup_parent="/")),
    ("restart_policy", "always", host(restart_policy={"Name": "always"})),
    ("publish_all_ports", "true", host(publish_all_ports=True)),
    ("oom_kill_disable", "true", host(oom_kill_disable=True)),
    ("oom_score_adj", "-500", host(oom_score_adj=-500)),
    ("pids_limit", "-1", host(pids_limit=-1)),
    ("volumes", "/proc", host(binds=["/proc:/x"])),
    ("volumes", "/sys/kernel", host(binds=["/sys/kernel:/x"])),
    ("volumes", "/etc", host(binds=["/etc:/x:ro"])),
    ("volumes", "/dev/shm", host(binds=["/dev/shm:/dev/shm"])),
    ("volumes", "/srv/hub", host(binds=["/srv/hub:/x"])),
    ("volumes", "/srv/storage/notebooks/n2", host(binds=["/srv/storage/notebooks/n2:/x"])),
    ("volumes", "/srv", host(binds=["/srv:/x"])),
    ("masked_paths", "", {"MaskedPaths": ["/none"]}),
    ("masked_paths", "", {"MaskedPaths": []}),
    ("readonlypaths", "", {"readonlypaths": []}),
    ("annotations", "", {"Annotations": {"cdi.k8s.io/x": "nvidia.com/gpu=all"}}),
    ("a_setting_of_tomorrow", "", {"ASettingOfTomorrow": "on"}),
]


@pytest.mark.parametrize(("setting", "value", "config"), GUARDED, ids=lambda part: str(part)[:40])
def test_what_opens_the_machine_is_found_and_may_be_allowed_on_purpose(setting, value, config):
    judged = judge(asked(host_config=config), CPU, POLICY)
    assert [excess.setting for excess in judged.excess] == [setting]
    assert value in judged.excess[0].name
    assert judged.excess[0].why
    allowed = Policy(closed=POLICY.closed, allowed=(judged.excess[0].name,))
    assert judge(asked(host_config=config), CPU, allowed).excess == ()
    other = Policy(closed=POLICY.closed, allowed=(f"{setting}=something-else", "x"))
    assert judge(asked(host_config=config), CPU, other).excess


def test_a_seccomp_profile_that_forbids_nothing_is_none():
    through = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []})
    strict = json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []})
    for profile, found in ((through, ["security_opt"]), (strict, [])):
        config = {"SecurityOpt": [f"seccomp={profile}"]}
        assert names({"host_config": config}) == found


@pytest.mark.parametrize(
    "config",
    [
        host(binds=["/data/sets:/data:ro", "/etc/localtime:/etc/localtime:ro", "home:/home/x"]),
        host(mounts=[Mount("/data", "sets"), Mount("/tmp/x", "", type="tmpfs")]),
        host(pids_limit=99, shm_size=10**9, cap_drop=["CHOWN"], group_add=["100"], init=False),
        host(network_mode="their-network", dns=["1.1.1.1"], extra_hosts={"a": "1.2.3.4"}),
        host(ipc_mode="private", oom_score_adj=100, restart_policy={"Name": "no"}),
        host(security_opt=["no-new-privileges", "apparmor=their-profile"], runtime="runc"),
    ],
)
def test_what_takes_nothing_from_anybody_is_the_administrators(config):
    judged = judge(asked(host_config=config), CPU, POLICY)
    assert judged.excess == ()
    made = judged.arguments["host_config"]
    for name in ("Binds", "Mounts", "ShmSize", "GroupAdd", "NetworkMode", "Dns", "IpcMode", "Init"):
        if config.get(name) is not None:
            assert made[name] == config[name], name
    if config.get("PidsLimit"):
        assert made["PidsLimit"] == 99
        assert "CHOWN" not in made["CapAdd"]


def test_a_folder_behind_a_link_is_judged_by_what_it_is():
    config = host(binds=["/data/link:/x"])
    assert names({"host_config": config}, real={"/data/link": "/dev"}) == ["volumes"]
    assert names({"host_config": config}, real={"/data/link": "/data/real"}) == []


def test_a_volume_that_is_a_folder_of_the_machine_is_judged_as_that():
    driver = {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/dev"}}
    mount = {
        "Target": "/x",
        "Source": "v",
        "Type": "volume",
        "VolumeOptions": {"DriverConfig": driver},
    }
    assert names({"host_config": {"Mounts": [mount]}}) == ["mounts"]


def test_what_is_no_mount_is_refused_and_never_left_out_in_silence():
    words = {"Mounts": ["type=bind,source=/data,target=/data"]}
    assert names({"host_config": words}) == ["mounts"]
    alone = judge(asked(host_config={"Mounts": Mount("/data", "sets")}), CPU, POLICY)
    assert (len(alone.arguments["host_config"]["Mounts"]), alone.excess) == (1, ())
    listed = judge(asked(host_config={"Tmpfs": ["/scratch"]}), CPU, POLICY)
    assert (listed.arguments["host_config"]["Tmpfs"], listed.excess) == ({"/scratch": ""}, ())


def test_an_empty_word_in_a_list_s_place_is_an_empty_list():
    judged = judge(asked(host_config={"CapAdd": "", "SecurityOpt": ""}), CPU, POLICY)
    made = judged.arguments["host_config"]
    assert "" not in made["CapAdd"] and "" not in made["SecurityOpt"]


@pytest.mark.parametrize(
    ("value", "grant", "found"),
    [
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, CPU, True),
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-2"}, GPU, True),
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-1"}, GPU, False),
        ({"NVIDIA_VISIBLE_DEVICES": "none"}, GPU, False),
        (["NVIDIA_VISIBLE_DEVICES=all"], CPU, True),
        ({"CUDA_VISIBLE_DEVICES": "0"}, CPU, True),
        ({"CUDA_VISIBLE_DEVICES": "0"}, GPU, False),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, GPU, True),
        ({"CUDA_VISIBLE_DEVICES": ""}, CPU, False),
        ({"ROCR_VISIBLE_DEVICES": "0"}, CPU, True),
        ({"HABANA_VISIBLE_DEVICES": "all"}, CPU, True),
        ({"AMD_VISIBLE_DEVICES": "all"}, CPU, True),
        ({"SOMEBODY_S_VISIBLE_DEVICES": "all"}, CPU, True),
        ({"NVIDIA_MIG_CONFIG_DEVICES": "all"}, GPU, True),
        ({"NVIDIA_DRIVER_CAPABILITIES": "all"}, GPU, False),
    ],
)
def test_variables_that_give_devices_are_the_leases(value, grant, found):
    judged = judge(asked(environment=value), grant, POLICY)
    assert [e.setting for e in judged.excess] == (["environment"] if found else [])
    assert judged.arguments["environment"]["NVIDIA_VISIBLE_DEVICES"] == grant.visible
    name = next(iter(value)).partition("=")[0]
    if found and name != "NVIDIA_VISIBLE_DEVICES":
        assert name not in judged.arguments["environment"]


def test_an_image_that_asks_for_all_devices_gets_those_of_the_lease():
    image = ("PATH", "NVIDIA_VISIBLE_DEVICES", "AMD_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")
    judged = judge(asked(), CPU, POLICY, image_environment=image)
    assert judged.excess == ()
    assert judged.arguments["environment"] == {
        "A": "1",
        "NVIDIA_VISIBLE_DEVICES": "void",
        "AMD_VISIBLE_DEVICES": "void",
    }


def test_no_label_of_ours_is_an_images_or_an_administrators():
    for labels in ({"gradienthub.warm": "w", "room": "4"}, ["gradienthub.warm=w", "room=4"]):
        judged = judge(asked(labels=labels), CPU, POLICY)
        assert judged.arguments["labels"] == {"room": "4", **LABELS}


@pytest.mark.parametrize(
    "part",
    [
        {"image": "other"},
        {"name": "other"},
        {"runtime": "nvidia"},
        {"volumes": ["/var/run/nvidia-container-devices/all"]},
        {"networking_config": {"EndpointsConfig": {"host": {}}}},
    ],
    ids=lambda part: next(iter(part)),
)
def test_what_stands_beside_the_host_config_is_judged_too(part):
    judged = judge(asked(**part), CPU, POLICY)
    assert judged.excess
    assert judged.arguments["image"] == "acme/python:1"
    assert judged.arguments["name"] == "gradient-l"
    assert "networking_config" not in judged.arguments
    assert not judged.arguments["host_config"].get("Runtime")


def test_memory_and_cpus_are_what_is_rented():
    grant = Grant("acme/python:1", "gradient-l", LABELS, memory=10**9, cpus=2)
    more = host(mem_limit=2 * 10**9, cpu_quota=400_000, cpu_period=100_000)
    judged = judge(asked(host_config=more), grant, POLICY)
    assert [e.setting for e in judged.excess] == ["mem_limit", "cpu_quota"]
    made = judged.arguments["host_config"]
    assert (made["Memory"], made["CpuQuota"] / made["CpuPeriod"]) == (10**9, 2)
    for config in (host(), {"NanoCpus": 10**9, "Memory": 5}):
        judged = judge(asked(host_config=config), grant, POLICY)
        assert judged.excess == ()
    assert judged.arguments["host_config"]["NanoCpus"] == 10**9
    assert judged.arguments["host_config"]["Memory"] == 5


def test_capabilities_are_those_of_the_policy_and_fewer_where_asked():
    def added(policy=POLICY, **extras):
        made = judge(asked(host_config=host(**extras)), CPU, policy).arguments["host_config"]
        return made.get("CapDrop"), made.get("CapAdd")

    assert added(cap_drop=["ALL"]) == (["ALL"], [])
    assert added(cap_drop=["ALL"], cap_add=["CHOWN"]) == (["ALL"], ["CHOWN"])
    assert added(Policy(capabilities=())) == (["ALL"], [])
    assert added(Policy(capabilities=None), cap_drop=["NET_RAW"]) == (["NET_RAW"], None)
    allowed = Policy(capabilities=(), allowed=("cap_add=SYS_*",))
    assert added(allowed, cap_add=["SYS_PTRACE"]) == (["ALL"], ["SYS_PTRACE"])


def made_of(arguments):
    """What the engine says of a container that was made of these arguments."""
    env = [f"{key}={value}" for key, value in arguments["environment"].items()]
    return {
        "Name": f"/{arguments['name']}",
        "Config": {
            "Image": arguments["image"],
            "Labels": arguments["labels"],
            "Env": ["PATH=/bin", *env],
        },
        "HostConfig": {**arguments["host_config"], "Runtime": "runc", "CgroupnsMode": "host"},
    }


def test_a_container_that_is_not_what_was_asked_for_is_known():
    arguments = judge(asked(), GPU, POLICY).arguments
    assert differences(arguments, made_of(arguments)) == []
    spoils = {
        "labels": lambda made: made["Config"].update(Labels={}),
        "image": lambda made: made["Config"].update(Image="other"),
        "other devices": lambda made: made["HostConfig"].update(
            DeviceRequests=[{**REQUEST, "DeviceIDs": ["GPU-1", "GPU-2"]}]
        ),
        "all": lambda made: made["HostConfig"].update(DeviceRequests=[{"Count": -1}]),
        "device files": lambda made: made["HostConfig"].update(Devices=[{"PathOnHost": "/dev/x"}]),
        "privileged": lambda made: made["HostConfig"].update(Privileged=True),
        "NVIDIA_VISIBLE_DEVICES": lambda made: made["Config"].update(Env=["PATH=/bin"]),
    }
    for name, spoil in spoils.items():
        made = made_of(arguments)
        made["Config"], made["HostConfig"] = dict(made["Config"]), dict(made["HostConfig"])
        spoil(made)
        assert differences(arguments, made), name
