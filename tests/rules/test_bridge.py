"""At which addresses containers may reach their machine."""

import pytest

from gradienthub.rules.bridge import interface_of, machine_addresses


def network(*pools, driver="bridge", **options):
    return {
        "Id": "0123456789abcdef",
        "Driver": driver,
        "IPAM": {"Config": list(pools)},
        "Options": options,
    }


V4 = {"Subnet": "172.17.0.0/16"}
V6 = {"Subnet": "fd00:1::/64"}


@pytest.mark.parametrize(
    ("seen", "on_interface", "addresses"),
    [
        (network({**V4, "Gateway": "172.17.0.1"}), [], ["172.17.0.1"]),
        # The first start of a newly installed engine.
        (network(V4), ["172.17.0.1"], ["172.17.0.1"]),
        (network(V4), [], ["172.17.0.1"]),
        # `docker network create --subnet`, with an interface whose address an admin chose.
        (network({"Subnet": "10.1.0.0/24"}), ["10.1.0.254"], ["10.1.0.254", "10.1.0.1"]),
        # `bip` may name the gateway with its prefix.
        (network({**V4, "Gateway": "172.17.0.9/16"}), [], ["172.17.0.9", "172.17.0.1"]),
        # IPv4 first, wherever IPv6 stands.
        (
            network({**V6, "Gateway": "fd00:1::1"}, V4),
            ["172.17.0.1", "fe80::1"],
            ["172.17.0.1", "fd00:1::1"],
        ),
        (network(V6), ["fe80::42", "fd00:1::1"], ["fd00:1::1"]),
        # Several subnets.
        (
            network(V4, {"Subnet": "10.9.0.0/24", "Gateway": "10.9.0.1"}),
            [],
            ["10.9.0.1", "172.17.0.1"],
        ),
        (network(driver="host"), [], ["127.0.0.1"]),
        (network(driver="null"), [], []),
        # The subnet of a macvlan is the site's; its first address is a router.
        (network({"Subnet": "192.168.1.0/24"}, driver="macvlan"), [], []),
        ({"Id": "0" * 16, "Driver": "bridge", "IPAM": {"Config": None}, "Options": None}, [], []),
        (network({"Subnet": "10.0.0.4/31"}), [], ["10.0.0.4"]),
        (network({"Subnet": "10.0.0.4/32"}), [], ["10.0.0.4"]),
    ],
)
def test_the_machines_address_is_found_where_the_engine_names_no_gateway(
    seen, on_interface, addresses
):
    assert machine_addresses(seen, on_interface) == addresses


def test_an_interface_has_the_name_that_it_was_given_or_the_networks_number():
    assert interface_of(network(**{"com.docker.network.bridge.name": "docker0"})) == "docker0"
    assert interface_of(network()) == "br-0123456789ab"
