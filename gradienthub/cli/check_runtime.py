"""gradienthub check --runtime: has an image clocks of its own, and may this runtime be warm?

A container of the image reads its Jupyter configuration as its server would. Two containers, one
started cold and one that waited, each show what a notebook server of theirs would see.
"""

import inspect
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import docker
from docker.errors import DockerException
from docker.utils import kwargs_from_env

from ..rules.catalog import ConfigurationFault
from ..rules.container import Policy, harden
from ..rules.own_clocks import own_clocks
from ..spawners import warm_program
from ..spawners.docker import GradientDockerSpawner
from ..spawners.docker_engine import client_options
from ..spawners.trials import new_trial
from ..spawners.warm_container import start_until_ready, tell
from . import config
from .check_policy import policy_of
from .check_scene import wiring_of

SERVER = "jupyterhub-singleuser"
PROGRAM = inspect.getsource(warm_program)
INSIDE, HOME = "/gradienthub-check", "/notebooks"
SECONDS = 120
#: What a hub tells a server, as far as it matters here.
TOLD = {
    "JUPYTERHUB_USER": "somebody",
    "JUPYTERHUB_API_TOKEN": "a-token",
    "JUPYTERHUB_API_URL": "http://hub/hub/api",
    "JUPYTERHUB_SERVICE_PREFIX": "/user/somebody/",
    "JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:8888/user/somebody/",
    "JUPYTERHUB_ROOT_DIR": HOME,
}
#: Stands in for the server: shows what it sees and ends.
SHOW = """
import json, os, resource, site, sys
umask = os.umask(0)
seen = {
    "sys.path": sys.path, "sys.argv": sys.argv, "sys.flags": list(sys.flags),
    "command line": open("/proc/self/cmdline").read().replace("\\0", " ").strip(),
    "environment": {k: v for k, v in os.environ.items() if k not in ("HOSTNAME", "_")},
    "user": [os.getuid(), os.getgid(), sorted(os.getgroups())], "umask": umask,
    "working folder": os.getcwd(), "Python": [sys.executable, sys.prefix, sys.version],
    "user packages": [site.ENABLE_USER_SITE, site.getusersitepackages()],
    "limits": [resource.getrlimit(number) for number in range(16)],
}
from jupyter_core import paths
from jupyter_server.extension.config import ExtensionConfigManager
from jupyterhub.services.auth import HubAuth
seen["Jupyter paths"] = [paths.jupyter_path(), paths.jupyter_config_path(),
                         paths.jupyter_data_dir(), paths.jupyter_runtime_dir()]
seen["extensions"] = ExtensionConfigManager(
    read_config_path=paths.jupyter_config_path()).get_jpserver_extensions()
seen["hub"] = [HubAuth().base_url, HubAuth().api_url, HubAuth().api_token]
try:
    from jupyterlab.labapp import LabApp
    seen["JupyterLab folders"] = [
        LabApp.user_settings_dir.default(), LabApp.workspaces_dir.default()]
except ImportError:
    pass
print(json.dumps({"seen": seen}))
"""

#: Shows the configuration that the image's server would read, and ends.
CONFIGURED = """
import json
from jupyter_server.serverapp import ServerApp
app = ServerApp()
app.load_config_file(suppress_errors=True)
found = {name: dict(section) for name, section in app.config.items() if hasattr(section, "items")}
print(json.dumps({"config": found}, default=str))
"""


def clocks(hub: config.HubConfig, name: str) -> tuple[str, ...]:
    """Return the limits that a runtime's image sets on its server by itself, in sentences.

    Raises ConfigurationFault in words where the image does not show its configuration.
    """
    image = _image_of(hub, name)
    try:
        client = docker.APIClient(**{"version": "auto", **_client_options(hub), "timeout": SECONDS})
        with tempfile.TemporaryDirectory(prefix="gradienthub-check-") as folder:
            trial = ImageTrial(client, image, Path(folder), _policy(hub))
            trial.script("configured", trial.python(), CONFIGURED)
            with trial.made([f"{INSIDE}/configured"], TOLD) as container:
                configured = trial.shown_by(container, "config")
            default = client.inspect_image(image)["Config"]
    except (DockerException, OSError, RuntimeError) as fault:
        raise ConfigurationFault(f"{image} does not show its configuration: {fault}") from fault
    command = [*(default.get("Entrypoint") or ()), *(default.get("Cmd") or ())]
    return own_clocks(configured, command)


def _image_of(hub: config.HubConfig, name: str) -> str:
    runtime = hub.settings.house.catalog.runtime(name)
    if runtime is None:
        known = ", ".join(r.name for r in hub.settings.house.catalog.runtimes)
        raise config.UsageFault(f"There is no runtime {name!r}; known are {known}")
    if runtime.image is None:
        raise ConfigurationFault(f"The runtime {name} has no image, so there is nothing to compare")
    return runtime.image


def differences(hub: config.HubConfig, name: str) -> list[str]:
    """Return what a warm start of this runtime would see otherwise; empty where they are alike.

    Raises ConfigurationFault in words where the image cannot be warm at all.
    """
    image = _image_of(hub, name)
    try:
        options = {"version": "auto", **_client_options(hub), "timeout": SECONDS}
        with (
            closing(docker.APIClient(**options)) as client,
            tempfile.TemporaryDirectory(prefix="gradienthub-check-") as folder,
        ):
            return _compared(ImageTrial(client, image, Path(folder), _policy(hub)))
    except (DockerException, OSError, RuntimeError) as fault:
        raise ConfigurationFault(f"{image} cannot be warm: {fault}") from fault


def _client_options(hub: config.HubConfig) -> dict[str, object]:
    """Read how the hub will reach the engine; of another spawner only the variables are known."""
    spawner = wiring_of(hub).spawner
    if spawner is not None and issubclass(spawner, GradientDockerSpawner):
        return client_options(hub.config, spawner)
    return dict(kwargs_from_env())


def _policy(hub: config.HubConfig) -> Policy:
    """Guard the trials as the hub guards notebooks: an image may need what they do not have."""
    spawner = wiring_of(hub).spawner
    if spawner is not None and issubclass(spawner, GradientDockerSpawner):
        return policy_of(hub, spawner)
    return Policy()


class ImageTrial:
    """Containers of one image, each removed at once."""

    def __init__(self, client: docker.APIClient, image: str, folder: Path, policy: Policy) -> None:
        self.client, self.image, self.folder, self.policy = client, image, folder, policy
        folder.chmod(0o755)

    @contextmanager
    def made(self, command: list[str], environment: Mapping[str, str]) -> Iterator[str]:
        """Create a container that is not started yet, and yield its id."""
        host = self.client.create_host_config(
            binds={str(self.folder): {"bind": INSIDE, "mode": "ro"}}, init=True
        )
        made = self.client.create_container(
            self.image,
            command=command,
            environment=dict(environment),
            working_dir=HOME,
            stdin_open=True,
            detach=True,
            host_config=harden(host, self.policy),
            **new_trial(),
        )
        try:
            yield made["Id"]
        finally:
            self.client.remove_container(made["Id"], force=True, v=True)

    def end_of(self, container: str) -> object:
        """Wait for its end and return the JSON that it showed last. Raises RuntimeError with its
        log.

        Starts it where it does not run.
        """
        self.client.start(container)
        self.client.wait(container, timeout=SECONDS)
        log = self.client.logs(container).decode("utf-8", "replace").strip()
        last = log.splitlines()[-1] if log else "it said nothing"
        try:
            shown: object = json.loads(last)
        except ValueError:
            raise RuntimeError(last[-300:]) from None
        return shown

    def shown_by(self, container: str, key: str) -> dict[str, object]:
        """Return what it showed last under this key. Raises RuntimeError where that is nothing."""
        shown = self.end_of(container)
        part = shown.get(key) if isinstance(shown, dict) else None
        if not isinstance(part, dict):
            raise RuntimeError(f"it showed {str(shown)[-300:]}")
        return part

    def python(self) -> str:
        """Return the interpreter of the image's notebook server."""
        ask = PROGRAM.rpartition("if __name__")[0]
        ask += f"print(json.dumps(interpreter(command([{SERVER!r}]))))"
        with self.made(["python3", "-c", ask], {}) as container:
            return str(self.end_of(container))

    def script(self, name: str, python: str, program: str) -> None:
        """Put a program where the containers see it."""
        script = self.folder / name
        script.write_text(f"#!{python}\n{program}")
        script.chmod(0o755)


def _compared(trial: ImageTrial) -> list[str]:
    trial.script("server", trial.python(), SHOW)
    command = [f"{INSIDE}/server", "--ip=0.0.0.0"]
    with trial.made(command, TOLD) as container:
        cold = trial.shown_by(container, "seen")
    with trial.made(["python3", "-c", warm_program.BOOT, *command], {}) as container:
        start_until_ready(trial.client, container)
        birth = {"env": TOLD, "drop": [], "argv": command, "cwd": HOME, "folders": {}}
        tell(trial.client, container, birth)
        warm = trial.shown_by(container, "seen")
    return [
        f"{what}: cold {_apart(value, warm.get(what))}, warm {_apart(warm.get(what), value)}"
        for what, value in cold.items()
        if value != warm.get(what)
    ]


def _apart(seen: object, other: object) -> str:
    """Return a value, of a mapping only what the other does not have."""
    if isinstance(seen, dict) and isinstance(other, dict):
        seen = {key: value for key, value in seen.items() if other.get(key) != value}
    return json.dumps(seen)[:400]


def judge(hub: config.HubConfig, name: str) -> int:
    """Print its own clocks and how they compare; 1 where a warm start would not be the cold one."""
    for clock in clocks(hub, name):
        print(f"{name}: its image sets {clock}, without a warning and whatever people chose.")
    unlike = differences(hub, name)
    for line in unlike:
        print(line)
    if unlike:
        print(f"{name}: leave c.GradientHub.runtimes[{name!r}].warm at False.")
        return 1
    print(f"{name}: a warm start sees what a cold one sees; it may be warm.")
    if os.geteuid() != 0 and hub.settings.mount_helper is None:
        print("This user cannot bind folders: see `gradienthub mount-helper`.")
    return 0
