"""A container that waits for its person: what it is made of, and how it learns whose it is."""

import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from docker import APIClient
from docker.utils.socket import frames_iter

from ..rules.environment import VISIBLE
from ..rules.ownership import slot_name
from . import warm_program
from .docker_engine import last_lines
from .docker_types import CreateArguments
from .warm_program import Message

#: A warm server that has not said by then that it was claimed is not worth waiting for.
CLAIM_SECONDS = 0.8
#: Variables that an administrator may set for all and that modules look at when they are imported.
READ_AT_IMPORT = ("HOME", "USER", "SHELL", "PATH", "XDG_", "JUPYTER_", "JUPYTERLAB_", "CONDA_")
PROGRAM = inspect.getsource(warm_program)


@dataclass(frozen=True)
class ColdStart:
    """What a cold start tells the engine. `late_folders` of it reach a warm server when claimed."""

    arguments: CreateArguments
    late_folders: tuple[str, ...]

    @property
    def fixed_binds(self) -> list[str]:
        """The binds that do not depend on the person."""
        late = tuple(f":{folder}:rw" for folder in self.late_folders)
        binds = self.arguments["host_config"].get("Binds") or ()
        return [bind for bind in binds if not bind.endswith(late)]

    @property
    def early_environment(self) -> dict[str, str]:
        """What is read before a program runs or while it imports; it cannot come late.

        Nothing that may be a secret: an ownerless container has none.
        """
        return {
            key: value
            for key, value in self.arguments["environment"].items()
            if key.startswith((*warm_program.EARLY, *READ_AT_IMPORT))
            and not any(word in key for word in ("TOKEN", "PASSWORD", "SECRET", "KEY"))
        }

    def digest(self, image_id: str) -> str:
        """Hash what is fixed when a container is made, with our program: two starts with one digest
        do not differ in it."""
        host = dict(self.arguments["host_config"])
        host["Binds"] = sorted(self.fixed_binds)
        host["DeviceRequests"] = bool(host.get("DeviceRequests"))
        labels = self.arguments["labels"]
        fixed = {
            **{k: v for k, v in self.arguments.items() if k not in ("name", "environment")},
            "host_config": host,
            "labels": {k: v for k, v in labels.items() if not k.startswith("gradienthub.")},
            "early": self.early_environment,
            "image": image_id,
            "program": PROGRAM,
        }
        return sha256(json.dumps(fixed, sort_keys=True, default=str).encode()).hexdigest()

    def waiting(
        self, slot_id: str, command: list[str], places: tuple[Path, ...]
    ) -> CreateArguments:
        """Return how its warm server is made: `command` waits, `places` stand for the folders."""
        binds = [
            f"{place}:{folder}:rw,rslave"
            for place, folder in zip(places, self.late_folders, strict=False)
        ]
        visible = self.arguments["environment"][VISIBLE]
        return {
            **self.arguments,
            "name": slot_name(slot_id),
            "command": ["python3", "-c", warm_program.BOOT, *command],
            "stdin_open": True,
            # Otherwise the engine closes its input after the first line.
            "detach": True,
            # Nothing that an administrator put in for people: it may be a secret.
            "environment": self.early_environment | {VISIBLE: visible},
            "host_config": {**self.arguments["host_config"], "Binds": self.fixed_binds + binds},
        }


def start_until_ready(client: APIClient, object_id: str) -> Message:
    """Start it, give it its program and wait until it waits.

    Raises RuntimeError with the end of its log where it died.

    It is listened to before it starts: of one that runs, what it says between the engine's reading
    of its log and joining its stream would be lost.
    """
    params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    with closing(client.attach_socket(object_id, params)) as connection:
        client.start(object_id)
        connection._sock.sendall(json.dumps(PROGRAM).encode() + b"\n")
        for message in _messages(connection):
            return message
    raise RuntimeError(last_lines(client, object_id).strip()[-300:] or "it said nothing")


def tell(client: APIClient, object_id: str, identity: Mapping[str, object]) -> None:
    """Send it one line: who it is. It must answer at once that it was claimed."""
    with closing(client.attach_socket(object_id, {"stdin": 1, "stdout": 1, "stream": 1})) as raw:
        connection = raw._sock
        connection.settimeout(CLAIM_SECONDS)
        connection.sendall(json.dumps(identity).encode() + b"\n")
        for message in _messages(connection):
            if message.get("warm") == "claimed":
                return
            raise RuntimeError(str(message.get("error")))
    raise RuntimeError("it ended")


def _messages(connection: object) -> Iterator[Message]:
    """Yield what the waiting program says, line by line, until it ends. Other output is skipped."""
    rest = b""
    for _stream, data in frames_iter(connection, tty=False):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            try:
                message: Message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict) and ("warm" in message or "error" in message):
                yield message
