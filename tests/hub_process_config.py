"""A hub that would notice any activity within a second, behind the proxy that is asked for."""

import json
import os

from home import small_tables

from gradienthub.configuration import configure

c = get_config()  # type: ignore[name-defined]  # noqa: F821
asked = json.loads(os.environ["GRADIENTHUB_TEST_HUB"])
small_tables(c)
c.GradientHub.data_dir = asked["folder"]
for name, value in asked["traits"].items():
    c.GradientHub[name] = value

c.JupyterHub.bind_url = f"http://127.0.0.1:{asked['port']}/"
c.JupyterHub.hub_ip = asked["hub_ip"]
c.JupyterHub.hub_port = asked["hub_port"]
c.JupyterHub.cleanup_servers = True
c.JupyterHub.cookie_secret = b"a cookie secret of 32 bytes only"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = asked["spawner"]
c.Spawner.poll_interval = asked["poll_interval"]
c.Spawner.args = ["--LabApp.expose_app_in_browser=True"]
if asked["spawner"] == "gradient-local" and os.geteuid() == 0:
    c.Spawner.args.append("--allow-root")
# The devices do not exist, so that no engine could attach them.
c.GradientDockerSpawner.device_driver = "environment"

c.Spawner.environment = {"JUPYTERHUB_ACTIVITY_INTERVAL": "1"}
c.JupyterHub.last_activity_interval = 1
c.JupyterHub.activity_resolution = 0

c.JupyterHub.services = [{"name": "tester", "api_token": asked["token"]}]
c.JupyterHub.load_roles = [
    {
        "name": "tester",
        "services": ["tester"],
        "scopes": ["admin:users", "admin:servers", "access:servers", "read:users:activity"],
    },
]

if asked["proxy"] == "memory":
    c.JupyterHub.proxy_class = "gradienthub.testing.ProxyInMemory"
elif asked["proxy"] == "traefik":
    c.JupyterHub.proxy_class = "traefik_file"
    c.TraefikProxy.traefik_api_url = f"http://127.0.0.1:{asked['proxy_port']}"
    c.TraefikProxy.traefik_api_username = "tester"
    c.TraefikProxy.traefik_api_password = asked["token"]
    c.TraefikFileProviderProxy.static_config_file = os.path.join(asked["folder"], "traefik.toml")
    c.TraefikFileProviderProxy.dynamic_config_file = os.path.join(asked["folder"], "rules.toml")
    c.TraefikProxy.extra_static_config = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False}
    }
else:
    c.ConfigurableHTTPProxy.command = [asked["node_proxy"]]
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{asked['proxy_port']}"

configure(c)
