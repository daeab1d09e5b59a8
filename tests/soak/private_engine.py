"""A container engine of a test's own, to be killed: its own folder, socket, bridge and image."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import docker
from docker.errors import DockerException, NotFound

IMAGE = "gradienthub/demo:dev"
#: Hostile images of the day, made of IMAGE: one that carries our labels and asks for every device,
#: and one that never answers.
LABELED, SILENT = "hostile/labeled:dev", "hostile/silent:dev"
_FORGED = "00000000-0000-4000-8000-000000000000"
HOSTILE = {
    LABELED: f"""FROM {IMAGE}
LABEL gradienthub.hub={_FORGED} gradienthub.lease={_FORGED} gradienthub.warm={_FORGED}
LABEL gradienthub.devices='["GPU-t4-0","GPU-t4-1","GPU-t4-2"]'
ENV NVIDIA_VISIBLE_DEVICES=all
EXPOSE 22 9999
HEALTHCHECK CMD ["false"]
""",
    SILENT: f"""FROM {IMAGE}
ENTRYPOINT ["sh", "-c", "sleep infinity"]
CMD []
""",
}
#: Seconds an engine gets to answer.
PATIENCE = 120


def missing() -> str:
    """What this machine lacks for it, or nothing."""
    if os.geteuid() != 0:
        return "an engine of its own needs root"
    for program in ("containerd", "dockerd", "ip"):
        if not shutil.which(program):
            return f"an engine of its own needs {program}"
    try:
        with closing(docker.from_env()) as client:
            client.images.get(IMAGE)
    except (DockerException, OSError):
        return f"needs a Docker engine with {IMAGE} to take it from: run tests/image/build.sh"
    return ""


class PrivateEngine:
    """A dockerd beside the machine's: containers reach this machine at `address`.

    It changes no packet filter, so nothing outside is reached from its containers.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/engine.sock"
        name = secrets.token_hex(3)
        self.bridge = f"gh-{name}"
        # Of the addresses that are nobody's: two such engines at once rarely want the same.
        self.address = f"10.213.{int(name[:2], 16)}.1"
        self._process: subprocess.Popen[bytes] | None = None
        self._containerd: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Everything that outlives the engine's process: the bridge, containerd and the image."""
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("addr", "add", f"{self.address}/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")
        words = [f"--root={self.folder}/containerd", f"--state={self.folder}/state",
                 f"--address={self.folder}/containerd.sock"]  # fmt: skip
        self._containerd = self._run(["containerd", *words])
        self.start(keeps=False)
        saving = subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE)
        subprocess.run(
            ["docker", "--host", self.url, "load", "--quiet"], stdin=saving.stdout, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        assert saving.wait() == 0
        assert saving.stdout is not None
        saving.stdout.close()
        for image, recipe in HOSTILE.items():
            subprocess.run(
                ["docker", "--host", self.url, "build", "--quiet", "--tag", image, "-"],
                input=recipe.encode(), check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip

    def run_stranger(self, labels: dict[str, str]) -> str:
        """Start an administrator's own container of the image with our labels; its id."""
        with closing(self.client()) as client:
            made = client.create_container(
                LABELED, name="stranger", entrypoint=["sleep", "infinity"], labels=labels,
                host_config=client.create_host_config(restart_policy={"Name": "always"}),
            )  # fmt: skip
            client.start(made["Id"])
            return str(made["Id"])

    def start(self, *, keeps: bool) -> None:
        """Start it and wait for its answer; `keeps`: containers outlive an engine that ends."""
        settings = {
            "data-root": str(self.folder / "data"), "exec-root": str(self.folder / "exec"),
            "pidfile": str(self.folder / "pid"), "hosts": [self.url], "bridge": self.bridge,
            "containerd": str(self.folder / "containerd.sock"),
            "iptables": False, "ip6tables": False, "ip-masq": False, "live-restore": keeps,
        }  # fmt: skip
        (self.folder / "daemon.json").write_text(json.dumps(settings))
        # One that was killed leaves its number behind, and the next may get it.
        (self.folder / "pid").unlink(missing_ok=True)
        self._process = self._run(["dockerd", f"--config-file={self.folder}/daemon.json"])
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            words = (self.folder / "log").read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, f"the engine ended: {words}"
            assert time.monotonic() < deadline, f"the engine does not answer: {words}"
            time.sleep(0.1)

    def _run(self, words: list[str]) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _answers(self) -> bool:
        try:
            with closing(self.client()) as client:
                return bool(client.ping())
        except (DockerException, OSError):
            return False

    def client(self) -> docker.APIClient:
        """A client; raises while the engine is away."""
        return docker.APIClient(base_url=self.url, version="1.41", timeout=10)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """End it in order, as a service manager does: without `keeps` its containers end first."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    async def restart(self, *, keeps: bool) -> None:
        """Start again, while others go on."""
        await asyncio.to_thread(self.start, keeps=keeps)

    def containers(self) -> list[dict[str, object]]:
        """All of them, with their labels and states."""
        with closing(self.client()) as client:
            rows: list[dict[str, object]] = client.containers(all=True)
            return rows

    def process_of(self, container: str) -> int:
        """Its first process; 0 where it has ended or is gone. Raises DockerException."""
        with closing(self.client()) as client:
            try:
                return int(client.inspect_container(container)["State"]["Pid"])
            except NotFound:
                return 0

    def run_inside(self, container: str, words: list[str]) -> None:
        """Run a program in a container to its end."""
        with closing(self.client()) as client:
            client.exec_start(client.exec_create(container, words)["Id"])

    def close(self) -> None:
        """Nothing of it stays."""
        if self._process is not None and self._process.poll() is None:
            for row in self.containers():
                with closing(self.client()) as client:
                    client.remove_container(row["Id"], force=True, v=True)
            with closing(self.client()) as client, suppress(NotFound):
                # Its bridge would outlive the engine.
                client.remove_network("gradienthub-notebooks")
        for process in (self._process, self._containerd):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE)
        subprocess.run(["ip", "link", "delete", self.bridge], check=False)
        unmount_below(self.folder)
        shutil.rmtree(self.folder)


def unmount_below(folder: Path) -> None:
    """Unmount what was left mounted there, which nobody could delete."""
    rows = Path("/proc/self/mountinfo").read_text().splitlines()
    mounted = [place for row in rows if (place := row.split()[4]).startswith(f"{folder}/")]
    for place in reversed(mounted):
        subprocess.run(["umount", place], check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
