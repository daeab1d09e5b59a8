"""The hub of a measurement; harness.py says by environment which one."""

import json
import os

c = get_config()  # noqa: F821
told = json.loads(os.environ["BENCH"])
folder = told["folder"]

c.JupyterHub.bind_url = f"http://127.0.0.1:{told['port']}/"
c.JupyterHub.hub_ip = "172.17.0.1"
c.JupyterHub.hub_port = told["hub_port"]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.allow_named_servers = True
c.JupyterHub.cleanup_servers = True
c.JupyterHub.authenticate_prometheus = False
c.JupyterHub.services = [{"name": "bench", "api_token": told["token"]}]
c.JupyterHub.load_roles = [
    {"name": "bench", "services": ["bench"],
     "scopes": ["admin:users", "admin:servers", "list:users", "read:servers"]}
]  # fmt: skip
if told.get("proxy") == "node":
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{told['proxy_port']}"
else:
    c.JupyterHub.proxy_class = "traefik_file"
    c.TraefikProxy.traefik_api_url = f"http://127.0.0.1:{told['proxy_port']}"
    c.TraefikProxy.traefik_api_username = "bench"
    c.TraefikProxy.traefik_api_password = told["token"]
    c.TraefikFileProviderProxy.static_config_file = f"{folder}/traefik.toml"
    c.TraefikFileProviderProxy.dynamic_config_file = f"{folder}/rules.toml"

if told["which"] == "ours":
    from gradienthub.configuration import configure
    from gradienthub.spawners.docker import GradientDockerSpawner

    c.JupyterHub.spawner_class = GradientDockerSpawner
    if told.get("cmd"):
        c.GradientDockerSpawner.cmd = told["cmd"]
    c.GradientHub.preset = None
    c.GradientHub.data_dir = f"{folder}/data"
    c.GradientHub.instance_types = {"bench": {"title": "Bench", "cpus": 2, "memory": 2, "price": 0}}
    c.GradientHub.runtimes = {"python": {"title": "Python", "image": told["image"], "warm": True}}
    c.GradientHub.warm = {"bench": {"python": told.get("warm", 0)}}
    c.GradientHub.tiers = {
        "all": {"title": "All", "max_running": 1000, "max_running_free": 1000,
                "shutdown_choices": ["1h"], "shutdown_min": "1m", "shutdown_max": "7d"}
    }  # fmt: skip
    c.GradientHub.tier_rules = {"default": "all"}
    c.GradientHub.hosts = {
        "here": {"cpus": 1000, "memory": 10000, "stage_width": told.get("stage_width")}
    }
    configure(c)
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
