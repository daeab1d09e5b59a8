"""What a notebook without a lease has is found in what its engine tells, and held."""

from datetime import UTC, datetime

import pytest

from gradienthub.rules.outside import (
    Outside,
    devices_held,
    in_words,
    join_hubs_servers,
    place_outside,
    read_container,
)
from gradienthub.rules.placement import Device, Host

UUIDS = ("GPU-aaaa-1", "GPU-bbbb-2")
RACK = Host(name="rack", cpus=8, memory=32, devices=[Device(uuid=u, model="T4") for u in UUIDS])
PLAIN = Host(name="plain", cpus=8, memory=32)
HUB = "http://172.17.0.1:8081/hub/api"


def detail(env=(), **host):
    return {
        "Id": "abc",
        "Name": "/jupyter-anna",
        "Config": {"Env": ["JUPYTERHUB_API_TOKEN=x", "JUPYTERHUB_USER=anna", *env]},
        "HostConfig": host,
        "State": {"StartedAt": "2026-11-23T09:00:00.123456789Z"},
    }


def requests(**request):
    return [{"Driver": "", "Capabilities": [["gpu"]], **request}]


@pytest.mark.parametrize(
    ("told", "held"),
    [
        (detail(), ()),
        (detail(DeviceRequests=requests(Count=-1)), UUIDS),
        (detail(DeviceRequests=requests(Count=1)), UUIDS),  # which one, nobody tells
        (detail(DeviceRequests=requests(DeviceIDs=["GPU-bbbb-2"])), UUIDS[1:]),
        (detail(DeviceRequests=requests(DeviceIDs=["GPU-bbbb"])), UUIDS[1:]),
        (detail(DeviceRequests=requests(DeviceIDs=["0"])), UUIDS),
        (detail(DeviceRequests=requests(DeviceIDs=["GPU-of-another-machine"])), ()),
        (
            detail(DeviceRequests=[{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=GPU-aaaa-1"]}]),
            UUIDS[:1],
        ),
        (detail(DeviceRequests=[{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}]), UUIDS),
        (detail(DeviceRequests=[{"Driver": "vendor", "Count": -1}]), ()),
        (detail(["NVIDIA_VISIBLE_DEVICES=all"]), ()),  # what images say of themselves
        (detail(["NVIDIA_VISIBLE_DEVICES=all"], Runtime="nvidia"), UUIDS),
        (detail(["NVIDIA_VISIBLE_DEVICES=GPU-aaaa-1"]), UUIDS[:1]),
        (detail(["NVIDIA_VISIBLE_DEVICES=0:1"]), UUIDS),
        (detail(["NVIDIA_VISIBLE_DEVICES=void"], Runtime="nvidia"), ()),
        (detail(Devices=[{"PathOnHost": "/dev/nvidia0"}]), UUIDS),
        (detail(Devices=[{"PathOnHost": "/dev/fuse"}]), ()),
    ],
)
def test_its_devices_are_held_however_it_was_given_them(told, held):
    assert devices_held(read_container(told).asked, UUIDS) == held


def test_its_size_and_its_beginning_are_read():
    seen = read_container(detail(NanoCpus=1_500_000_000, Memory=2 * 10**9))
    assert (seen.cpus, seen.memory, seen.user, seen.name) == (1.5, 2.0, "anna", "jupyter-anna")
    assert seen.began_at == datetime(2026, 11, 23, 9, 0, 0, 123456, UTC)
    assert read_container(detail(CpuQuota=50_000, CpuPeriod=100_000)).cpus == 0.5
    assert read_container(detail(CpuQuota=-1)).cpus == 0
    assert read_container({"Id": "x"} | {"Config": {"Env": None}}) is None
    assert read_container({"Id": "x", "Config": {"Env": ["A=B"]}}) is None


def test_the_hub_says_whose_it_is_and_adds_what_it_alone_knows():
    found = [Outside("c1", "jupyter-anna", user="anna"), Outside("c2", "other", user="bob")]
    joined = join_hubs_servers(found, {"c1": ("anna", "lab"), "4711": ("carl", "")})
    assert [(one.object_id, one.user, one.server) for one in joined] == [
        ("c1", "anna", "lab"),
        ("c2", "", ""),
        ("4711", "carl", ""),
    ]


def test_another_hubs_notebook_counts_only_where_it_has_a_device():
    seen = [
        Outside("c1", "theirs"),
        Outside("c2", "theirs-gpu", asked=("all",)),
        Outside("c3", "ours-by-address", hub_url=HUB + "/"),
        Outside("c4", "ours", user="anna"),
    ]
    placed = place_outside(seen, [PLAIN, RACK], HUB)
    assert [(one.seen.object_id, one.host.name, one.devices) for one in placed] == [
        ("c2", "rack", UUIDS),
        ("c3", "plain", ()),
        ("c4", "plain", ()),
    ]
    assert place_outside(seen, [], HUB) == []


def test_a_finding_says_what_it_has():
    [placed] = place_outside([Outside("c", "jupyter-anna", "anna", memory=2)], [PLAIN], HUB)
    assert in_words(placed) == (
        "anna's notebook (jupyter-anna) runs outside of GradientHub: it began before, and is"
        " neither billed nor stopped; nobody else can have its 2 GB meanwhile"
    )
