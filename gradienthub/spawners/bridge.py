"""Where containers of a Docker network reach this machine."""

import fcntl
import socket
import struct
from collections.abc import Mapping
from contextlib import closing
from ipaddress import IPv6Address
from pathlib import Path

from docker import APIClient
from docker.errors import NotFound

from ..rules.bridge import interface_of, machine_addresses

#: Linux' request for the IPv4 address of an interface, which Python does not name.
_SIOCGIFADDR = 0x8915
_IPV6_ADDRESSES = Path("/proc/net/if_inet6")


def reachable_address(network: Mapping[str, object]) -> str | None:
    """Return the address at which containers of `network` reach a program of this machine.

    `network` is what `docker network inspect` says. None where this machine has no address on it,
    for example because the engine runs on another machine. A firewall is not asked.
    """
    for address in machine_addresses(network, _addresses_of(interface_of(network))):
        if _is_of_this_machine(address):
            return address
    return None


def default_bridge_address(client: APIClient) -> str | None:
    """Return the address at which containers of the default network reach this machine, or None.

    `client` is a docker.APIClient. Raises DockerException where the engine does not answer.
    """
    try:
        return reachable_address(client.inspect_network("bridge"))
    except NotFound:
        # An engine that was told to have no default bridge.
        return None


def _is_of_this_machine(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with closing(socket.socket(family)) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _addresses_of(interface: str) -> list[str]:
    """List the interface's addresses, IPv4 first; none where this machine has no such interface."""
    return _ipv4_addresses(interface) + _ipv6_addresses(interface)


def _ipv4_addresses(interface: str) -> list[str]:
    name = interface.encode()
    if len(name) > 15:
        return []
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asking:
        try:
            answer = fcntl.ioctl(asking, _SIOCGIFADDR, struct.pack("256s", name))
        except OSError:
            return []
    return [socket.inet_ntoa(answer[20:24])]


def _ipv6_addresses(interface: str) -> list[str]:
    try:
        rows = [row.split() for row in _IPV6_ADDRESSES.read_text().splitlines()]
    except OSError:
        return []
    return [str(IPv6Address(int(row[0], 16))) for row in rows if row[-1] == interface]
