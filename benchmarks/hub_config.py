"""The hub of a measurement; harness.py says by environment which one."""

import asyncio
import json
import os
from contextlib import closing

import docker
from docker.utils import kwargs_from_env
from jupyterhub.spawner import Spawner

from gradienthub.spawners.bridge import default_bridge_address

c = get_config()  # type: ignore[name-defined]  # noqa: F821
told = json.loads(os.environ["BENCH"])
folder = told["folder"]

c.JupyterHub.bind_url = f"http://127.0.0.1:{told['port']}/"
with closing(docker.APIClient(version="auto", **kwargs_from_env())) as engine:
    c.JupyterHub.hub_ip = default_bridge_address(engine)
c.JupyterHub.hub_port = told["hub_port"]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.allow_named_servers = True
c.JupyterHub.cleanup_servers = True
c.JupyterHub.authenticate_prometheus = False
# As of a managed service and of a person, whose tokens the hub makes: they are compared fast.
c.JupyterHub.trust_user_provided_tokens = True
c.JupyterHub.services = [{"name": "bench", "api_token": told["token"]}]
c.JupyterHub.load_roles = [
    {
        "name": "bench",
        "services": ["bench"],
        "scopes": [
            "admin:users",
            "admin:servers",
            "access:servers",
            "list:users",
            "read:servers",
            "read:users:activity",
        ],
    }
]
if told.get("proxy") == "memory":
    # Nobody goes through it: the hub is asked directly.
    c.JupyterHub.proxy_class = "gradienthub.testing.ProxyInMemory"
    c.JupyterHub.hub_port = told["port"]
    c.JupyterHub.hub_ip = "127.0.0.1"
    c.JupyterHub.last_activity_interval = 0
elif told.get("proxy") == "node":
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{told['proxy_port']}"
else:
    c.JupyterHub.proxy_class = "traefik_file"
    c.TraefikProxy.traefik_api_url = f"http://127.0.0.1:{told['proxy_port']}"
    c.TraefikFileProviderProxy.static_config_file = f"{folder}/traefik.toml"
    c.TraefikFileProviderProxy.dynamic_config_file = f"{folder}/rules.toml"

if told.get("notebooks"):

    class Stub(Spawner):
        """All notebooks are one process that runs already; a stop takes a tenth of a second."""

        runs = False

        async def start(self) -> tuple[str, int]:
            self.runs = True
            return "127.0.0.1", told["notebooks"]

        async def poll(self) -> int | None:
            return None if self.runs else 0

        async def stop(self, now: bool = False) -> None:
            await asyncio.sleep(0.1)
            self.runs = False


if told["which"] == "ours":
    from gradienthub.configuration import configure
    from gradienthub.spawners import Lease
    from gradienthub.spawners.base import GradientSpawner
    from gradienthub.spawners.docker import GradientDockerSpawner

    c.JupyterHub.spawner_class = GradientDockerSpawner
    if told.get("notebooks"):

        class Ours(GradientSpawner, Stub):  # type: ignore[misc]  # Stub carries no lease
            """Ours with another's engine on its right."""

            async def apply_lease(self, lease: Lease) -> None:
                """All notebooks are one process: there is no machine to give."""

        c.JupyterHub.spawner_class = Ours
        c.GradientHub.hub_id = told["hub_id"]
        c.GradientHub.keeper_warnings = ["1s"]
    if told.get("cmd"):
        c.GradientDockerSpawner.cmd = told["cmd"]
    c.GradientHub.preset = None
    c.GradientHub.data_dir = f"{folder}/data"
    c.GradientHub.instance_types = {"bench": {"title": "Bench", "cpus": 2, "memory": 2, "price": 0}}
    c.GradientHub.runtimes = {"python": {"title": "Python", "image": told["image"], "warm": True}}
    c.GradientHub.warm = {"bench": {"python": told.get("warm", 0)}}
    c.GradientHub.tiers = {
        "all": {
            "title": "All",
            "max_running": 1000,
            "max_running_free": 1000,
            "shutdown_choices": ["1h"],
            "shutdown_min": "1m",
            "shutdown_max": "7d",
        }
    }
    c.GradientHub.tier_rules = {"default": "all"}
    c.GradientHub.hosts = {
        "here": {"cpus": 10000, "memory": 10000, "stage_width": told.get("stage_width")}
    }
    # The keeper that is measured is the measuring process's own.
    configure(c, keeper=False)
elif told.get("notebooks"):
    c.JupyterHub.spawner_class = Stub
else:
    c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
    c.DockerSpawner.image = told["image"]
    c.DockerSpawner.remove = True
    c.DockerSpawner.mem_limit = "2G"
    c.DockerSpawner.cpu_limit = 2
    c.DockerSpawner.start_timeout = 300
    c.DockerSpawner.http_timeout = 300
    if told.get("cmd"):
        c.DockerSpawner.cmd = told["cmd"]
