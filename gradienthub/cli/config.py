"""The hub's own configuration, read without starting a hub; and the ledger it names."""

import argparse
import os
import pwd
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitlets.config import Config, Configurable
from traitlets.config.loader import PyFileConfigLoader

from ..ledger import Ledger, LedgerAway
from ..ledger.database import way_to
from ..rules.catalog import ConfigurationFault
from ..settings import GradientHub, Settings
from ..spawners.sections import configured, reading

DEFAULT_FILE = "jupyterhub_config.py"
#: Stands for a hub_id that the hub makes at its first start. Looking must not make one: a folder
#: that root made is a folder that the hub's own user cannot write to.
UNMADE = "made-at-first-start"


class UsageFault(ValueError):
    """An argument that names what is not there; the sentence says what is."""


@dataclass(frozen=True)
class HubConfig:
    """A hub's configuration file: the traitlets it sets, and what GradientHub makes of them."""

    path: Path
    config: Config
    settings: Settings

    def value(self, cls: type[Configurable], name: str) -> Any:
        """Return the value that a trait of `cls` will have in the hub; None where only the hub
        knows."""
        return configured(self.config, cls, name)


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Add `-f FILE`, as jupyterhub itself has it."""
    parser.add_argument(
        "-f",
        "--config",
        type=Path,
        default=Path(DEFAULT_FILE),
        metavar="FILE",
        help=f"the hub's configuration (default ./{DEFAULT_FILE}); run it in the folder that the"
        " hub runs in, because relative paths in the configuration start there",
    )


def load(path: Path) -> HubConfig:
    """Run a configuration file as the hub would and resolve its settings. Leaves nothing behind.

    Raises ConfigurationFault for whatever is wrong with it, also for an error in its Python.
    """
    loader = _loader(path)
    try:
        config = loader.load_config()
    except SystemExit as exit_:
        # configure(c) ends a hub's start this way, with the fault as its sentence.
        sentence = str(exit_).removeprefix("gradienthub: ")
        raise ConfigurationFault(f"{path}: {sentence}") from None
    except Exception as error:
        raise ConfigurationFault(f"{path}{_line_of(error, path)}: {_sentence(error)}") from error
    return HubConfig(path, config, settings_of(config))


def read_unwired(path: Path) -> Config:
    """Run a configuration file whose configure(c) changes nothing, and return what it sets.

    Raises ConfigurationFault for an error in its Python.
    """
    loader = _loader(path)
    try:
        with reading():
            return loader.load_config()
    except SystemExit as exit_:
        raise ConfigurationFault(f"{path} ends the hub's start: {exit_}") from None
    except Exception as error:
        raise ConfigurationFault(
            f"{path}{_line_of(error, path)}: {_sentence(error)}; run this where the hub runs, with"
            " its environment"
        ) from error


def _loader(path: Path) -> "_Loader":
    if not path.is_file():
        raise ConfigurationFault(
            f"There is no {path}; write one with `gradienthub init`, or name yours with -f"
        )
    loader = _Loader(path.name, str(path.absolute().parent))
    loader.seed = {"hub_id": UNMADE}
    return loader


class _Loader(PyFileConfigLoader):
    """traitlets' loader with values that stand before the file runs, but not before its parts."""

    seed: dict[str, str] | None = None

    def clear(self) -> None:
        super().clear()
        for name, value in (self.seed or {}).items():
            self.config.GradientHub[name] = value


def _line_of(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return f" line {error.lineno}" if error.lineno else ""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path.absolute())
    ]
    return f" line {lines[-1]}" if lines else ""


def _sentence(error: BaseException) -> str:
    # A ConfigurationFault is a sentence already; of a KeyError the message alone says nothing.
    words = str(error).strip()
    return words if isinstance(error, ConfigurationFault) else f"{type(error).__name__}: {words}"


def settings_of(config: Config) -> Settings:
    """Resolve a configuration's settings without making a hub_id."""
    if config.GradientHub.get("hub_id") == UNMADE:
        resolved = GradientHub(config=config).resolved()
        if sqlite_file(resolved.database_url) and not _is_there(resolved.data_dir / "hub_id"):
            return resolved
        del config.GradientHub["hub_id"]
    return GradientHub(config=config).resolved()


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        raise ConfigurationFault(
            f"{path} cannot be read by {os_user()}; run this as the hub's own user, or as root"
        ) from None


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite URL; None for another database and for one in memory."""
    match = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?.*)?", url)
    return Path(match[1]) if match else None


@contextmanager
def open_ledger(hub: HubConfig, *, at_any_schema: bool = False) -> Iterator[Ledger]:
    """Open the hub's ledger, at this version's schema unless any will do, and close it at the end.

    Makes none: a SQLite file that is not there is a fault, because the likeliest reason is a
    command in the wrong folder.
    """
    file = sqlite_file(hub.settings.database_url)
    if file is not None and not _is_there(file):
        raise ConfigurationFault(
            f"There is no ledger at {file}; the hub makes it at its first start. If it has"
            " started before, run this in the folder that it runs in"
        )
    ledger = _ledger(hub.settings.database_url)
    try:
        _touch(ledger)
        if not at_any_schema:
            _expect_head(ledger)
        yield ledger
    finally:
        ledger.close()


def _ledger(url: str) -> Ledger:
    try:
        return Ledger(url)
    except ImportError as error:
        raise ConfigurationFault(
            f"c.GradientHub.database_url needs the driver {error.name}; install it, for"
            " PostgreSQL with: pip install 'gradienthub[postgresql]'"
        ) from error
    except Exception as error:  # what a URL can be wrong in has classes of the ledger's library
        raise ConfigurationFault(
            f"c.GradientHub.database_url cannot be used: {error}; write it like"
            " postgresql+psycopg://user@host/database"
        ) from error


def _touch(ledger: Ledger) -> None:
    """Prove that the database answers, before anything that would say so less kindly."""
    try:
        ledger.read(lambda _tx: None)
    except LedgerAway:
        raise
    except Exception as error:  # a driver's own classes, which only the ledger may name
        raise LedgerAway(str(getattr(error, "orig", error))) from error


def _expect_head(ledger: Ledger) -> None:
    current, head = ledger.revision()
    if current is None:
        raise ConfigurationFault(
            "The ledger has no tables yet; start the hub once, or run `gradienthub upgrade-db`"
        )
    if current != head:
        raise ConfigurationFault(
            f"The ledger's schema is {current}, this version needs {head}; {way_to(current, head)}"
        )


def os_user() -> str:
    """Return who runs this command, by the process and not by a variable that anybody can set."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
