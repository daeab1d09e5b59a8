"""Where the keeper listens, and where the proxy reaches it, by what the configuration says."""

import socket
from dataclasses import dataclass
from urllib.parse import urlparse

from traitlets.config import Config

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("", "*", "0.0.0.0", "::")
#: The traits of proxies that say where their API is.
API_URLS = ("api_url", "traefik_api_url")


@dataclass(frozen=True)
class KeeperAddress:
    """`host` is what the proxy is told; `listen` the address to listen at, "" for all."""

    host: str
    listen: str

    def url(self, port: int) -> str:
        """Return the address for the proxy."""
        return f"http://[{self.host}]:{port}" if ":" in self.host else f"http://{self.host}:{port}"


def keeper_place(c: Config, keeper_ip: str) -> KeeperAddress:
    """Return the keeper's place: `keeper_ip` where it is set, else loopback beside a local proxy.

    A proxy of another machine or container finds the keeper where it finds the hub.
    """
    if keeper_ip in LOOPBACK or (not keeper_ip and not proxy_is_elsewhere(c)):
        host = keeper_ip or "127.0.0.1"
        return KeeperAddress(host, host)
    return KeeperAddress(keeper_ip or hub_host(c.JupyterHub), "")


def proxy_is_elsewhere(c: Config) -> bool:
    """Return whether somebody else starts the proxy, on another host than this one."""
    for name in c:
        section = c[name]
        if not name.endswith("Proxy") or section.get("should_start", True) is not False:
            continue
        urls = [str(section[key]) for key in API_URLS if key in section]
        if any((urlparse(url).hostname or "127.0.0.1") not in LOOPBACK for url in urls):
            return True
    return False


def hub_host(hub: Config) -> str:
    """Return the name or address at which others reach the hub, as the hub itself finds it."""
    hosts: list[object] = [
        urlparse(str(hub.get("hub_connect_url", ""))).hostname,
        hub.get("hub_connect_ip"),
        urlparse(str(hub.get("hub_bind_url", ""))).hostname,
        hub.get("hub_ip"),
    ]
    named = (str(host) for host in hosts if host and host not in EVERYWHERE)
    return next((host for host in named if host not in LOOPBACK), socket.gethostname())
