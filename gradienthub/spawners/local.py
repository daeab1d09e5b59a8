"""Local processes: the embedded engine where no Docker engine answers.

Devices are declared and set in the environment, but nothing enforces them, nor CPUs nor memory;
the pages say so. Everybody runs as the hub's own user: for a demo and for trusted people only.
"""

import asyncio
import inspect
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from jupyterhub.spawner import SimpleLocalProcessSpawner
from jupyterhub.utils import random_port
from traitlets.config import Config

from ..rules.drift import OwnObject
from ..rules.environment import others_variables
from ..rules.ownership import lease_name
from . import adopted, warm_program
from .base import Claim, GradientSpawner, Lease
from .context import HubContext
from .engine import CensusObject, Corpse, Engine, EngineAway, Waiting
from .folders import make_folder, make_private
from .warm_program import Identity, Message

try:
    import psutil
except ImportError as error:  # pragma: no cover - the extra is part of every test install
    raise ImportError("the local engine needs psutil: pip install 'gradienthub[local]'") from error

LEASE_VARIABLE = "GRADIENTHUB_LEASE"
HUB_VARIABLE = "GRADIENTHUB_HUB"
SLOT_VARIABLE = "GRADIENTHUB_WARM"
TERM_SECONDS = 5.0
LOG_BYTES = 4000
#: How long a warm server may take to import, and to say that it was claimed.
FILL_SECONDS, CLAIM_SECONDS = 60.0, 0.8
PROGRAM = inspect.getsource(warm_program)


@dataclass(frozen=True)
class WaitingProcess:
    """A warm server of this hub. It ends when the hub does, because its line to us breaks."""

    process: "subprocess.Popen[bytes]"
    line: socket.socket
    environment: Mapping[str, str]

    def hear(self, seconds: float) -> Message:
        """Read what it says next. Raises OSError or ValueError if that is nothing of ours."""
        self.line.settimeout(seconds)
        heard = b""
        while not heard.endswith(b"\n"):
            part = self.line.recv(4096)
            if not part:
                raise OSError("it ended")
            heard += part
        message: Message = json.loads(heard)
        return message

    def tell(self, line: Mapping[str, object] | str) -> None:
        """Send it one line: its program first, then who it is."""
        self.line.sendall(json.dumps(line).encode() + b"\n")

    def end(self) -> None:
        """Kill it immediately; a warm server holds nobody's work."""
        self.line.close()
        self.process.kill()
        self.process.wait(TERM_SECONDS)


class LocalEngine(Engine):
    """Processes marked by environment variables, which children inherit: kernels count too."""

    def __init__(self, hub_id: str, log_dir: Path) -> None:
        super().__init__()
        self.hub_id = hub_id
        self.log_dir = log_dir
        #: Lease -> the process that this hub started for it: only its parent learns how it ended.
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.waiting: dict[str, WaitingProcess] = {}

    async def census(self) -> list[CensusObject]:
        """List each lease that has a process, or whose server ended and was not removed yet."""
        return await asyncio.to_thread(self._census)

    def _census(self) -> list[CensusObject]:
        leases: dict[str, list[int]] = {}
        unknown: dict[str, list[int]] = {}
        for process in psutil.process_iter():
            lease, slot = self._marks(process)
            if lease:
                leases.setdefault(lease, []).append(process.pid)
            elif slot and slot not in self.waiting:
                unknown.setdefault(slot, []).append(process.pid)
        # A server of ours that ended is dead, also where something that it started lives on.
        codes = {lease: child.poll() for lease, child in list(self.children.items())}
        dead = {lease: code for lease, code in codes.items() if code is not None}
        return [
            *self._warm(),
            *(CensusObject(str(pids), "", True, slot=slot) for slot, pids in unknown.items()),
        ] + [
            CensusObject(
                object_id=",".join(map(str, leases.get(lease, []))),
                lease_id=lease,
                alive=lease not in dead,
                name=lease_name(lease),
                exit_code=dead.get(lease),
                detail=f"{len(leases.get(lease, []))} processes",
            )
            for lease in {**leases, **dead}
        ]

    def _warm(self) -> list[CensusObject]:
        return [
            CensusObject(str(waiting.process.pid), "", waiting.process.poll() is None, slot=slot)
            for slot, waiting in list(self.waiting.items())
        ]

    async def destroy(self, found: CensusObject) -> None:
        """Kill it, also where somebody has claimed it already."""
        waiting = self.waiting.pop(found.slot, None)
        if waiting is not None:
            await asyncio.to_thread(waiting.end)
        elif found.lease_id:
            await self.bury(found)
        else:
            await asyncio.to_thread(self._end_slot, found.slot)

    def _end_slot(self, slot: str) -> None:
        """End a warm server that an earlier process of this hub started."""
        ours = [p for p in psutil.process_iter() if self._marks(p)[1] == slot]
        _signal(ours, signal.SIGKILL)
        psutil.wait_procs(ours, timeout=TERM_SECONDS)

    def _lease_of(self, process: psutil.Process) -> str | None:
        return self._marks(process)[0]

    def _marks(self, process: psutil.Process) -> tuple[str | None, str | None]:
        """Return (lease, warm server) of a process of this hub."""
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return None, None
            variables = process.environ()
        except (psutil.Error, OSError):
            return None, None  # another user's process, or one that just ended: not ours
        if variables.get(HUB_VARIABLE) != self.hub_id:
            return None, None
        # A process shows the environment of its birth, so that one that was claimed has no lease.
        slot = variables.get(SLOT_VARIABLE)
        return variables.get(LEASE_VARIABLE) or self.claimed.get(slot or ""), slot

    async def bury(self, found: CensusObject) -> Corpse:
        """End all its processes, the gentle way first; the last lines come from its log file."""
        if not found.lease_id:
            await self.destroy(found)
            return Corpse()
        return await asyncio.to_thread(self._bury, found.lease_id)

    def _bury(self, lease_id: str) -> Corpse:
        child = self.children.get(lease_id)
        for sign in (signal.SIGTERM, signal.SIGKILL):
            ours = [p for p in psutil.process_iter() if self._lease_of(p) == lease_id]
            if not ours:
                break
            _signal(ours, sign)
            # Before psutil waits for it: whoever waits first is told the exit code.
            _wait(child)
            psutil.wait_procs(ours, timeout=TERM_SECONDS)
        left = [p.pid for p in psutil.process_iter() if self._lease_of(p) == lease_id]
        if left:
            raise EngineAway(f"processes {left} of lease {lease_id} do not end")
        self.children.pop(lease_id, None)
        return Corpse(
            exit_code=child.poll() if child is not None else None,
            last_words=self._log_tail(lease_id),
        )

    def _log_tail(self, lease_id: str) -> str:
        try:
            with (self.log_dir / f"{lease_id}.log").open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - LOG_BYTES))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    async def cpu_seconds(self, found: OwnObject) -> float | None:
        """Return the CPU time of a lease's processes and of those that they waited for."""
        return await asyncio.to_thread(_cpu_of, found.object_id)

    async def cores(self) -> int | None:
        """Return the CPUs of this machine."""
        return os.cpu_count()

    async def close(self) -> None:
        """End the warm servers, which have nobody to wait for any more."""
        self.readings.close()
        while self.waiting:
            await asyncio.to_thread(self.waiting.popitem()[1].end)


def _cpu_of(object_id: str) -> float | None:
    """Return the CPU time of processes in the words of the census: their ids with commas."""
    seconds = None
    for pid in object_id.split(","):
        try:
            seconds = (seconds or 0.0) + sum(psutil.Process(int(pid)).cpu_times()[:4])
        except (psutil.Error, ValueError, OSError):
            continue  # it ended since
    return seconds


def _signal(processes: Iterable[psutil.Process], sign: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(sign)
        except (psutil.Error, OSError):
            continue  # it ended by itself


def _wait(child: "subprocess.Popen[bytes] | None") -> None:
    with suppress(subprocess.TimeoutExpired):
        if child is not None:
            child.wait(TERM_SECONDS)


class GradientLocalSpawner(GradientSpawner, SimpleLocalProcessSpawner):
    """Notebooks as processes of this machine. For a demo and for trusted people."""

    # LocalProcessSpawner declares these traits without types.
    popen_kwargs: dict[str, object]
    proc: "subprocess.Popen[bytes] | None"

    adopted_volumes = adopted.volumes_trait("Here only folders of this machine, as links.")

    @classmethod
    def make_engine(cls, context: HubContext, config: Config) -> LocalEngine:
        """Make the engine of this hub's processes."""
        adopted.adopted_of(config, cls)
        return LocalEngine(context.settings.hub_id, context.settings.data_dir / "logs")

    async def apply_lease(self, lease: Lease) -> None:
        """Set folders and first page. There are no limits to set."""
        home, storage = self.folders(lease)
        root, data = self.context.settings.storage_root, self.context.settings.data_dir
        for folder in (home, storage):
            await asyncio.to_thread(make_folder, root, folder)
        await asyncio.to_thread(make_private, data, "logs")
        self.notebook_dir = str(home)
        self.default_url = "/lab" if lease.interface == "lab" else "/tree"
        await adopted.show_old(
            self,
            self._folder_name,
            adopted.folder_age,
            lambda home, old: adopted.link_place(home, old.folder, old.source),
        )
        # A port and a process of an earlier start are not this one's.
        self.port = 0
        self.proc = None

    def _folder_name(self, template: str) -> str:
        name = self.user.name
        return template.format(
            username=name,
            raw_username=name,
            safe_username=name,
            servername=self.name,
            raw_servername=self.name,
        )

    async def start_engine(self) -> tuple[str, int]:
        """Start as LocalProcessSpawner does, with the server's output in a log file of its own."""
        log_path = self.context.settings.data_dir / "logs" / f"{self.lease_id}.log"
        with log_path.open("ab") as log:
            own = self.popen_kwargs
            self.popen_kwargs = {**own, "stdout": log, "stderr": log}
            ip, port = await SimpleLocalProcessSpawner.start(self)
        engine = self.context.engine
        if isinstance(engine, LocalEngine) and self.proc is not None:
            engine.children[self.lease_id] = self.proc
        return ip, port

    @property
    def home_dir(self) -> str:
        """Where SimpleLocalProcessSpawner says home is: the notebook's workspace."""
        if self.lease is None:
            return str(self.context.settings.storage_root)
        return str(self.folders(self.lease)[0])

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Return the environment: HOME is the workspace, the account's storage and the devices are
        variables."""
        env["USER"] = self.user.name
        env["SHELL"] = "/bin/bash"
        if self.lease is not None:
            home, storage = self.folders(self.lease)
            devices = ",".join(self.lease.devices)
            for name in others_variables(env, self.lease.devices):
                self.log.warning(
                    "%s: not given: %s=%s; the lease has no such device",
                    self._log_name,
                    name,
                    env.pop(name),
                )
            env |= {
                "HOME": str(home),
                "GRADIENT_STORAGE": str(storage),
                "GRADIENT_INSTANCE_TYPE": self.lease.instance_type,
                "CUDA_VISIBLE_DEVICES": devices,
                "ROCR_VISIBLE_DEVICES": devices,
                "NVIDIA_VISIBLE_DEVICES": devices or "void",
                LEASE_VARIABLE: self.lease.id,
                HUB_VARIABLE: self.context.settings.hub_id,
                "PATH": _own_path(env),
            }
        return env

    # -- warm servers -----------------------------------------------------------------------

    @property
    def engine(self) -> LocalEngine:
        """The hub's engine, which this spawner's make_engine made."""
        engine = self.context.engine
        assert isinstance(engine, LocalEngine)
        return engine

    async def warm_digest(self) -> str:
        """Hash the command, what it inherits, and our program."""
        if self.shell_cmd or self.popen_kwargs:
            raise ValueError("shell_cmd and popen_kwargs may start each server differently")
        made_of = [PROGRAM, sys.version, self._command(), self._birth("")]
        return sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()

    def _command(self) -> list[str]:
        return [*self.cmd, *self.get_args()]

    def _birth(self, slot_id: str) -> dict[str, str]:
        """Return the environment of a process that is nobody's yet."""
        env = {key: os.environ[key] for key in self.env_keep if key in os.environ}
        env |= {
            key: v
            for key, v in self.environment.items()
            if isinstance(v, str) and key.startswith(warm_program.EARLY)
        }
        return env | {
            "PATH": _own_path(env),
            HUB_VARIABLE: self.context.settings.hub_id,
            SLOT_VARIABLE: slot_id,
        }

    async def fill(self, slot_id: str) -> Waiting:
        """Start a process that waits at a line of its own."""
        return await asyncio.to_thread(self._fill, slot_id)

    def _fill(self, slot_id: str) -> Waiting:
        ours, its = socket.socketpair()
        environment = self._birth(slot_id)
        self.engine.log_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.engine.log_dir / f"{slot_id}.log").open("ab") as log, its:
            process = subprocess.Popen(
                [sys.executable, "-c", warm_program.BOOT, *self._command()],
                stdin=its.fileno(),
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
                cwd=self.engine.log_dir,
            )
        waiting = WaitingProcess(process, ours, environment)
        self.engine.waiting[slot_id] = waiting
        try:
            waiting.tell(PROGRAM)
            message = waiting.hear(FILL_SECONDS)
        except (OSError, ValueError):
            self.engine.waiting.pop(slot_id, None)
            waiting.end()
            raise
        return Waiting(str(process.pid), ("127.0.0.1", 0), int(message.get("memory") or 0))

    async def claim(self, lease: Lease, claim: Claim) -> tuple[str, int]:
        """Tell it who it is."""
        waiting = self.engine.waiting[claim.slot_id]
        if await self.warm_digest() != claim.digest:
            raise ValueError("this start differs from what the warm server was made for")
        self.port = self.port or random_port()
        env = self.get_env()
        identity: Identity = {
            "env": env,
            "drop": [name for name in waiting.environment if name not in env],
            "argv": self._command(),
            "cwd": self.home_dir,
            "folders": {},
        }
        await asyncio.to_thread(self._claim, waiting, identity, claim.slot_id)
        self.proc, self.pid = waiting.process, waiting.process.pid
        self.engine.children[lease.id] = waiting.process
        del self.engine.waiting[claim.slot_id]
        waiting.line.close()
        return self.ip or "127.0.0.1", self.port

    def _claim(self, waiting: WaitingProcess, identity: Identity, slot_id: str) -> None:
        waiting.tell(identity)
        message = waiting.hear(CLAIM_SECONDS)
        if message.get("warm") != "claimed":
            raise ValueError(str(message.get("error")))
        logs = self.engine.log_dir
        (logs / f"{slot_id}.log").rename(logs / f"{self.lease_id}.log")


def _own_path(env: Mapping[str, str]) -> str:
    """Return the hub's own environment holds jupyterhub-singleuser, on PATH or not."""
    return f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
