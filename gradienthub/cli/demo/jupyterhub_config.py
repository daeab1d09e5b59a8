"""The demo's hub: what `gradienthub demo` starts. For your own hub run `gradienthub init`."""

import json
import os
import shutil

from gradienthub.cli.demo.login import DemoAuthenticator
from gradienthub.cli.demo.tables import ADMIN, admin_password, fill, people
from gradienthub.configuration import configure

c = get_config()  # type: ignore[name-defined]  # noqa: F821
demo = json.loads(os.environ["GRADIENTHUB_DEMO"])
fill(c, demo)

c.JupyterHub.bind_url = f"http://127.0.0.1:{demo['port']}/"
# Containers reach the hub at their bridge; nothing listens on an address of the network.
c.JupyterHub.hub_ip = demo["hub_ip"]
c.JupyterHub.hub_port = demo["hub_port"]
# A demo leaves nothing running; a real hub does, which is configure()'s default.
c.JupyterHub.cleanup_servers = True

c.JupyterHub.authenticator_class = DemoAuthenticator
c.SharedPasswordAuthenticator.user_password = demo["password"]
c.SharedPasswordAuthenticator.admin_password = admin_password(demo)
c.Authenticator.allowed_users = {person.name for person in people(demo["preset"])}
c.Authenticator.admin_users = {ADMIN}
c.JupyterHub.template_vars = {
    "announcement_login": "This is a demo. Its login is for looking around, never for people."
}

if demo["engine"] == "docker":
    c.JupyterHub.spawner_class = "gradienthub.spawners.docker.GradientDockerSpawner"
    # The declared devices do not exist, so that no runtime could attach them.
    c.GradientDockerSpawner.device_driver = "environment"
else:
    c.JupyterHub.spawner_class = "gradienthub.spawners.local.GradientLocalSpawner"
    if os.geteuid() == 0:
        c.Spawner.args = ["--allow-root"]

if shutil.which("configurable-http-proxy"):
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{demo['proxy_port']}"
else:
    c.JupyterHub.proxy_class = "traefik_file"
    c.TraefikProxy.traefik_api_url = f"http://127.0.0.1:{demo['proxy_port']}"
    c.TraefikFileProviderProxy.static_config_file = os.path.join(demo["data"], "traefik.toml")
    c.TraefikFileProviderProxy.dynamic_config_file = os.path.join(demo["data"], "rules.toml")
    c.TraefikProxy.extra_static_config = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False}
    }

configure(c)
