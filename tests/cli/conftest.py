"""A hub's configuration file and ledger in a folder of their own, and commands run on them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest

from gradienthub.cli import main
from gradienthub.cli.config import HubConfig, load
from gradienthub.ledger import By, Ledger, accounts, admissions, fleet, grants
from gradienthub.ledger.accounts import Account, HubUser
from gradienthub.ledger.admissions import Request
from gradienthub.rules.lease import Lease
from gradienthub.rules.options import parse_options

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

BEGIN = """
from gradienthub import configure

c = get_config()
c.JupyterHub.spawner_class = "gradienthub.spawners.docker.GradientDockerSpawner"
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.hub_ip = "172.17.0.1"
c.GradientHub.preset = None
c.GradientHub.data_dir = {data_dir!r}
c.GradientHub.instance_types = {{
    "small": {{"title": "Small", "cpus": 1, "memory": 1, "price": 0}},
    "t4": {{"title": "T4", "gpu_model": "Tesla T4", "gpus": 1, "gpu_memory": 16, "cpus": 2,
           "memory": 4, "price": "0.51"}},
    "a100": {{"title": "A100", "gpu_model": "NVIDIA A100", "gpus": 1, "gpu_memory": 40, "cpus": 2,
             "memory": 4, "price": "2", "needs_approval": True}},
}}
c.GradientHub.runtimes = {{"python": {{"title": "Python 3", "image": "acme/python:1"}}}}
intervals = {{"shutdown_choices": ["1h"], "shutdown_min": "5m", "shutdown_max": "12h"}}
c.GradientHub.tiers = {{
    "free": {{**intervals, "title": "Free", "instance_types": ["free"]}},
    "pro": {{**intervals, "title": "Pro", "order": 1, "max_running": 5}},
}}
c.GradientHub.tier_rules = {{"default": "free", "by_group": {{"lab-bio": "pro"}}}}
c.GradientHub.hosts = {{
    "rack": {{"cpus": 8, "memory": 32, "devices": [
        {{"uuid": "GPU-1", "model": "Tesla T4"}},
        {{"uuid": "GPU-2", "model": "Tesla T4", "out_of_service": True}},
    ]}},
}}
"""
END = "\nconfigure(c)\n"


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


class HubFolder:
    """A hub that is configured, and whose ledger can be filled as a running hub fills it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = folder / "jupyterhub_config.py"
        self.data_dir = folder / "data"
        self._capsys = capsys
        self.opened: list[Ledger] = []
        self.write()

    def write(self, more: str = "", after: str = "") -> None:
        """The configuration file, with lines before and after configure(c)."""
        begin = BEGIN.format(data_dir=str(self.data_dir))
        self.file.write_text(begin + dedent(more) + END + dedent(after))

    def load(self) -> HubConfig:
        return load(self.file)

    def run(self, *words: str) -> Said:
        """A command on this configuration."""
        self._capsys.readouterr()
        try:
            code = main([*words, "-f", str(self.file)])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err)

    def start_once(self) -> None:
        """What the first start of a hub leaves: its hub_id, its tables, its settings."""
        self.data_dir.mkdir(exist_ok=True)
        (self.data_dir / "hub_id").write_text("this-hub")
        self.ledger.write(fleet.publish, self.load().settings, NOW)

    @property
    def ledger(self) -> Ledger:
        if not self.opened:
            self.opened.append(Ledger(f"sqlite:///{self.data_dir / 'gradienthub.sqlite'}"))
            self.opened[0].upgrade()
        return self.opened[0]

    def account(self, name: str, number: int = 1) -> Account:
        """Somebody the hub has seen."""
        user = HubUser(number, NOW, name)
        return self.ledger.write(accounts.account_of, hub_id="this-hub", user=user, now=NOW)

    def lease(self, name: str, instance_type: str = "t4", lease_id: str = "lease-1") -> Lease:
        """An open lease of somebody's notebook."""
        request = Request(
            lease_id=lease_id,
            user=HubUser(1, NOW, name),
            groups=frozenset({"lab-bio"}),
            server_name="",
            display_name="Thesis",
            options=parse_options({"instance_type": instance_type, "shutdown_after": "1h"}),
            actor=name,
        )
        account = self.account(name)
        self.ledger.write(grants.set_payment_method, By("this-hub", "test", NOW), account, True)
        lease = self.ledger.write(admissions.admit_start, request, self.load().settings, NOW)
        assert isinstance(lease, Lease), lease
        return lease


@pytest.fixture
def hub(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[HubFolder]:
    """A configured hub that has not started yet."""
    made = HubFolder(tmp_path, capsys)
    yield made
    for ledger in made.opened:
        ledger.close()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """A command without a configuration of its own."""

    def run(*words: str) -> Said:
        try:
            code = main(words)
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run
