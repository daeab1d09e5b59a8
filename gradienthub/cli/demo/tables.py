"""What the demo declares: five people on five tiers, a host with a few devices, one runtime."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from traitlets.config import Config

from ... import presets
from ...settings import GradientHub, Settings

ADMIN = "ada"


class Demo(TypedDict):
    """What a demo was started with; its hub reads it from the environment, as JSON."""

    port: int
    hub_port: int
    proxy_port: int
    data: str
    preset: str
    engine: str
    image: str | None
    hub_ip: str
    password: str


@dataclass(frozen=True)
class Person:
    """A demo user: tier, whether a payment method is recorded, approvals."""

    name: str
    tier: str
    pays: bool
    says: str
    approved: tuple[str, ...] = ()


DEMO_USERS = {
    "gradient": (
        Person("fay", "free", False, "Free: free machines, one at a time, 12 h"),
        Person("gus", "g1", True, "G1: all single machines, 5 at once"),
        Person("gina", "g2", True, "G2: multi-GPU too, 10 at once"),
        Person("tom", "t1", True, "T1: a team, 10 at once"),
        Person("tara", "t2", True, "T2: a team, 50 at once"),
    ),
    "azure": (
        Person("ana", "payg", True, "pay as you go, no approval yet"),
        Person("ben", "payg", True, "pay as you go, approved for M60", ("m60",)),
        Person("cho", "payg", True, "pay as you go, approved for K80", ("k80",)),
        Person("dev", "payg", True, "pay as you go, approved for V100", ("v100",)),
        Person("eve", "payg", False, "pay as you go, no payment method"),
    ),
}

DEVICES = {
    "gradient": ("Quadro M4000", "Quadro P4000", "Quadro P5000", "Quadro P5000", "Tesla V100"),
    "azure": ("Tesla M60", "Tesla M60", "Tesla K80", "Tesla V100"),
}


def people(preset: str) -> tuple[Person, ...]:
    """Return the demo's users, with the preset's only tier where it has one."""
    tiers = list(presets.load(preset)["tiers"])
    return tuple(
        person
        if person.tier in tiers
        else Person(person.name, tiers[0], person.pays, person.says, person.approved)
        for person in DEMO_USERS[preset]
    )


def admin_password(demo: Demo) -> str:
    """Make a password that is long enough for JupyterHub's administrators."""
    return f"{demo['password']}-for-administrators"


def fill(c: Config, demo: Demo) -> None:
    """Set the demo's tables on `c.GradientHub`."""
    preset = presets.load(demo["preset"])
    gradient = c.GradientHub
    gradient.preset = demo["preset"]
    gradient.data_dir = demo["data"]
    gradient.storage_root = str(Path(demo["data"]) / "storage")
    gradient.hosts = {
        "demo": {
            # Declared, not measured: the demo gives out machines that this computer is not.
            "cpus": 128,
            "memory": 960,
            "devices": [
                {"uuid": f"GPU-demo-{number}", "model": model}
                for number, model in enumerate(DEVICES[demo["preset"]])
            ],
        }
    }
    gradient.runtimes = {
        **{name: None for name in preset["runtimes"]},
        "python": {
            "title": "Python 3",
            "description": "JupyterLab and Notebook; the demo's one runtime",
            "image": demo["image"],
            "warm": True,
        },
    }
    if demo["engine"] == "local" or os.geteuid() == 0:
        # The first machine on the form, which everybody tries first.
        gradient.warm = {next(iter(preset["instance_types"])): {"python": 1}}
    gradient.tiers = {
        name: {"default_runtime": "python", "runtimes": ["*"]} for name in preset["tiers"]
    }


def demo_settings(demo: Demo) -> Settings:
    """Return the settings that the demo's hub will have."""
    c = Config()
    fill(c, demo)
    return GradientHub(config=c).resolved()
