"""The configuration of a GradientHub in Docker Compose: see ../compose.md."""

import os
from pathlib import Path

from gradienthub import configure

c = get_config()  # noqa: F821

# A folder that has the same path in the hub and on the engine's machine.
data = Path(os.environ["GRADIENTHUB_DATA"])

c.JupyterHub.bind_url = "http://0.0.0.0:8000/"
# Notebooks reach the hub by its name on the network of both.
c.JupyterHub.hub_ip = "0.0.0.0"
c.JupyterHub.hub_connect_ip = "hub"
c.JupyterHub.db_url = f"sqlite:///{data / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(data / "cookie_secret")

# For people use any authenticator of JupyterHub.
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["USER_PASSWORD"]
c.SharedPasswordAuthenticator.admin_password = os.environ["ADMIN_PASSWORD"]
c.Authenticator.admin_users = {"admin"}
c.Authenticator.allow_all = True

c.JupyterHub.spawner_class = "gradient-docker"
c.GradientDockerSpawner.network_name = os.environ["GRADIENTHUB_NETWORK"]
c.GradientHub.data_dir = str(data / "hub")
c.GradientHub.storage_root = str(data / "storage")

c.JupyterHub.proxy_class = "traefik_file"
c.TraefikProxy.extra_static_config = {
    "global": {"checkNewVersion": False, "sendAnonymousUsage": False}
}
c.TraefikFileProviderProxy.static_config_file = str(data / "traefik.toml")
c.TraefikFileProviderProxy.dynamic_config_file = str(data / "rules.toml")

configure(c)
