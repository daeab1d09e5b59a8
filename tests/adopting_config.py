"""A hub of another spawner, and the same file with the line that adopts it."""

import json
import os
import sys

from home import own_hosts, small_tables

c = get_config()  # type: ignore[name-defined]  # noqa: F821
asked = json.loads(os.environ["GRADIENTHUB_TEST_HUB"])
spawner, wiring = asked["spawner"].split("/")

c.JupyterHub.bind_url = f"http://127.0.0.1:{asked['port']}/"
c.JupyterHub.hub_ip = asked["hub_ip"]
c.JupyterHub.hub_port = asked["hub_port"]
c.JupyterHub.cookie_secret = b"a cookie secret of 32 bytes only"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.services = [
    {"name": "tester", "api_token": asked["token"]},
]
c.JupyterHub.load_roles = [
    {
        "name": "tester",
        "services": ["tester"],
        "scopes": ["admin:users", "admin:servers", "access:servers", "read:users:activity"],
    },
]
c.Spawner.poll_interval = 1
if os.geteuid() == 0 and spawner != "docker":
    c.Spawner.args = ["--allow-root"]

if spawner == "docker":
    # What everybody copies.
    c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
    c.DockerSpawner.image = "gradienthub/demo:dev"
    c.DockerSpawner.prefix = asked["traits"]["prefix"]
    c.DockerSpawner.notebook_dir = "/home/gradient/work"
    c.DockerSpawner.volumes = {"{prefix}-user-{username}": "/home/gradient/work"}
    c.DockerSpawner.debug = True
    c.DockerSpawner.environment = {"NVIDIA_VISIBLE_DEVICES": f"GPU-{asked['traits']['word']}-t4-0"}
    c.DockerSpawner.mem_limit = "512M"
    c.JupyterHub.services.append(
        {"name": "cull", "command": [sys.executable, "-m", "jupyterhub_idle_culler"]}
    )
    c.JupyterHub.load_roles.append(
        {
            "name": "cull",
            "services": ["cull"],
            "scopes": ["list:users", "read:users:activity", "delete:servers"],
        }
    )
elif spawner == "simple":
    c.JupyterHub.spawner_class = "simple"
    c.SimpleLocalProcessSpawner.home_dir_template = asked["folder"] + "/homes/{username}"
    c.Spawner.env_keep.append("PYTHONPATH")
elif spawner == "localprocess":
    c.JupyterHub.spawner_class = "localprocess"
    c.Spawner.notebook_dir = asked["folder"] + "/home-of-{username}"
    c.Spawner.env_keep.append("PYTHONPATH")

if wiring == "adopt":
    from gradienthub import configure

    small_tables(c)
    # Other hubs have notebooks on this engine.
    c.GradientHub.hosts = own_hosts(asked["traits"].get("word", ""))
    # The old hub's image and limits are taken over.
    del c.GradientHub["runtimes"]
    c.GradientHub.preset = "gradient"
    c.GradientHub.tiers = {"free": {"session_limit": "12h"}}
    c.GradientHub.tier_rules = {"default": "free"}
    c.GradientHub.data_dir = asked["folder"] + "/data"
    c.GradientHub.reconcile_interval = 1
    c.GradientDockerSpawner.device_driver = "environment"
    # The old hub's own, which a lease's devices now stand for.
    if spawner == "docker":
        del c.DockerSpawner["environment"]
    if spawner == "localprocess":
        from gradienthub.hub import adoption

        # The very lines that `gradienthub adopt` prints.
        lines = adoption.lines_for(c, adoption.old_spawner(c))
        exec("\n".join(lines), {"c": c})
        configure(c)
    else:
        configure(c, adopt=True)

c.JupyterHub.proxy_class = "gradienthub.testing.ProxyInMemory"
