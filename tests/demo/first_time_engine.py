"""A container engine on its first start, as where Docker was installed a minute ago."""

import json
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from gradienthub.cli.demo.engines import IMAGE

#: Seconds that an engine gets to answer, beside whatever else the machine does.
PATIENCE = 120
#: Its own /run and its own empty /var/lib/docker; nothing of it is seen outside, or outlives it.
PROGRAM = """
set -e
ip link set lo up
mount -t tmpfs tmpfs /run
mkdir -p /var/lib/docker
mount --bind "$1/data" /var/lib/docker
exec dockerd --config-file="$1/daemon.json"
"""


def missing() -> str:
    """Return what this machine lacks for it, or nothing."""
    if os.geteuid() != 0:
        return "an engine of its own needs root"
    for program in ("dockerd", "docker", "ip", "nsenter", "unshare"):
        if not shutil.which(program):
            return f"an engine of its own needs {program}"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "true"], capture_output=True, text=True, check=False
    )
    return f"an engine of its own needs namespaces: {tried.stderr}" if tried.returncode else ""


class FirstTimeEngine:
    """A dockerd with an empty data root, in a mount and a network namespace of its own."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        (folder / "data").mkdir(parents=True)
        # By its label it is told from the machine's engine, which answers there a moment before.
        self._label = f"engine={secrets.token_hex(4)}"
        (folder / "daemon.json").write_text(json.dumps({"labels": [self._label]}))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--net", "--mount", "sh", "-c", PROGRAM, "sh", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            words = self._log.read_text(errors="replace")[-3000:]
            assert self._process.poll() is None, words
            assert time.monotonic() < deadline, words
            time.sleep(0.2)

    def _answers(self) -> bool:
        words = self.inside("docker", "info", "--format", "{{.Labels}}")
        asked = subprocess.run(words, capture_output=True, text=True, check=False)
        return self._label in asked.stdout

    def inside(self, *words: str) -> list[str]:
        """Return the command line that runs `words` beside this engine, in its namespaces."""
        own = str(self._process.pid)
        return ["nsenter", f"--target={own}", "--net", "--mount", *words]

    def load_image(self) -> None:
        """Give it the demo's image, which no registry has."""
        with subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE) as saving:
            subprocess.run(
                self.inside("docker", "load", "--quiet"),
                stdin=saving.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
            )
        assert saving.returncode == 0

    def ask(self, *words: str) -> str:
        """Return what a command says that runs beside this engine."""
        asked = subprocess.run(self.inside(*words), capture_output=True, text=True, check=False)
        assert asked.returncode == 0, asked.stderr
        return asked.stdout

    def close(self) -> None:
        """End it; its mounts and networks end with its namespaces."""
        self._process.terminate()
        self._process.wait(PATIENCE)
