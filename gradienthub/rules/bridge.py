"""At which addresses containers of an engine's network may reach the machine they run on."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address, ip_address, ip_interface, ip_network

from .untrusted import as_list, as_mapping

LOOPBACK = "127.0.0.1"
#: Docker's option of a bridge network by which its containers reach each other.
NEIGHBORS_OPTION = "com.docker.network.bridge.enable_icc"


def interface_of(network: Mapping[str, object]) -> str:
    """Return the name of the machine's interface of a bridge network, as the engine names it."""
    options = as_mapping(network.get("Options"))
    return str(options.get("com.docker.network.bridge.name") or f"br-{str(network['Id'])[:12]}")


def machine_addresses(network: Mapping[str, object], on_interface: Iterable[str]) -> list[str]:
    """List the machine's possible addresses on a network, the likeliest first, IPv4 before IPv6.

    `network` is what `docker network inspect` says, `on_interface` the addresses that the
    machine's interface of this network has now. An engine names no gateway for its default bridge
    until it has started twice, and none for a network that was made with a subnet alone; then the
    interface's address is the answer, or else the first address of each subnet, which engines
    choose. The caller has to try whether this machine has the address: the network may be another
    machine's.
    """
    if network.get("Driver") == "host":
        return [LOOPBACK]
    pools = list(map(as_mapping, as_list(as_mapping(network.get("IPAM")).get("Config"))))
    gateways = [ip_interface(str(pool["Gateway"])).ip for pool in pools if pool.get("Gateway")]
    if network.get("Driver") != "bridge":
        # Of another driver only what it says itself: its subnet may be a network of others.
        likely = gateways
    else:
        subnets = [ip_network(str(pool["Subnet"]), False) for pool in pools if pool.get("Subnet")]
        likely = [
            *gateways,
            *(ip_address(address) for address in on_interface),
            *(ip_address(str(next(iter(subnet.hosts())))) for subnet in subnets),
        ]
    usable = [address for address in dict.fromkeys(likely) if not address.is_link_local]
    usable.sort(key=lambda address: isinstance(address, IPv6Address))
    return [str(address) for address in usable]


def lets_neighbors_talk(network: Mapping[str, object], engine: Mapping[str, object]) -> str:
    """Say why containers of a network reach each other, as far as the engine tells; or nothing.

    `engine` is what `docker info` says. Whether the engine may set packet filters at all is in
    neither; only a try shows that.
    """
    if network.get("Driver") != "bridge":
        return f"its driver {network.get('Driver')} cannot keep containers from each other"
    options = as_mapping(network.get("Options"))
    if str(options.get(NEIGHBORS_OPTION, "true")).lower() != "false":
        return f"its option {NEIGHBORS_OPTION} is not false"
    if engine.get("BridgeNfIptables") is False:
        return "the kernel filters nothing on bridges (net.bridge.bridge-nf-call-iptables)"
    return ""
