"""Looking at all that `gradienthub check` judges: the proxy and the ledger here, the rest beside.

Whatever does not answer becomes a value too: looking never fails.
"""

import os
import shutil
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlparse
from urllib.request import urlopen

from jupyterhub.app import JupyterHub
from jupyterhub.proxy import ConfigurableHTTPProxy
from traitlets.config import Config, Configurable

from ..ledger import Ledger, LedgerAway, fleet, keepers, leases, objects
from ..ledger.clock import database_time
from ..places import API_URLS, EVERYWHERE, proxy_is_elsewhere
from ..rules.catalog import ConfigurationFault
from ..service.notify import look_at
from ..settings import Settings
from ..spawners.engine import CensusObject
from ..spawners.warm_mounts import HelperMounts, MountFault
from . import config, nvml
from .check_scene import LedgerSeen, Program, Scene, Wiring, wiring_of
from .config import HubConfig
from .health import health_of
from .look_engine import engine_seen
from .look_folders import file_system_of, folder, ledger_folder, readable_by_others, storage_folder


def look(hub: HubConfig, gpus: nvml.Inventory | None = None) -> Scene:
    """Look at everything once. Blocks for seconds where an engine or a database is away."""
    settings = hub.settings
    wiring = wiring_of(hub)
    engine = engine_seen(hub, wiring)
    return Scene(
        hub=hub,
        written=_written(hub),
        wiring=wiring,
        engine=engine,
        ledger=ledger_seen(hub, engine.census or ()),
        gpus=nvml.discover() if gpus is None else gpus,
        data_dir=folder(settings.data_dir),
        storage_root=storage_folder(settings.storage_root),
        ledger_folder=ledger_folder(settings),
        proxy_program=proxy_program(hub, wiring),
        host_names=frozenset({"local", "localhost", socket.gethostname(), socket.getfqdn()}),
        uid=os.geteuid(),
        user=config.os_user(),
        now=datetime.now(UTC),
        waiting_ends=_lines(settings.data_dir / "journal.jsonl"),
        readable_by_others=readable_by_others(hub),
        notify=look_at(settings.policy.notify_file) if settings.policy.notify_file else None,
        helper_fault=_helper_fault(settings),
        keeper_answer=_keeper_answer(hub, wiring),
    )


def _keeper_answer(hub: HubConfig, wiring: Wiring) -> int | None:
    """Ask for the keeper as people do, through the proxy; nobody answers before the hub runs."""
    bind = urlparse(str(hub.value(JupyterHub, "bind_url") or ""))
    api = urlparse(str(wiring.proxy and _api_url(hub, wiring.proxy)))
    host = bind.hostname or ""
    if proxy_is_elsewhere(hub.config):
        host = api.hostname or host
    if bind.scheme not in ("http", "https"):
        return None
    base = bind.path if bind.path.strip("/") else str(hub.value(JupyterHub, "base_url") or "/")
    path = "/".join(
        part for part in (base.strip("/"), "services/gradient/api/v1/openapi.json") if part
    )
    port = bind.port or (443 if bind.scheme == "https" else 80)
    name = "127.0.0.1" if host in EVERYWHERE else host
    try:
        with urlopen(f"{bind.scheme}://{name}:{port}/{path}", timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None


def _api_url(hub: HubConfig, proxy: type[Configurable]) -> str:
    traits = proxy.class_traits()
    return next((str(hub.value(proxy, key) or "") for key in API_URLS if key in traits), "")


def _written(hub: HubConfig) -> Config | None:
    """Return what the file sets by itself; None where it does not run a second time."""
    try:
        return config.read_unwired(hub.path)
    except ConfigurationFault:
        return None


def _helper_fault(settings: Settings) -> str:
    if settings.mount_helper is None:
        return ""
    try:
        HelperMounts(settings.storage_root, settings.mount_helper).prepare()
    except MountFault as fault:
        return str(fault)
    return ""


def ledger_seen(hub: HubConfig, census: Sequence[CensusObject] = ()) -> LedgerSeen:
    """Ask the database, also which of the census are its own; a SQLite file is not made."""
    url = hub.settings.database_url
    file = config.sqlite_file(url)
    where = str(file) if file else _without_password(url)
    file_system = file_system_of(file) if file else None
    if file is not None and not file.exists():
        return LedgerSeen(where, absent=True, file_system=file_system)
    try:
        with config.open_ledger(hub, at_any_schema=True) as ledger:
            return _read_ledger(ledger, hub, where, file_system, census)
    except (LedgerAway, ConfigurationFault) as away:
        return LedgerSeen(where, away=str(away), file_system=file_system)


def _without_password(url: str) -> str:
    parsed = urlparse(url)
    return parsed._replace(netloc=parsed.netloc.rsplit("@", 1)[-1], query="").geturl()


def _read_ledger(
    ledger: Ledger,
    hub: HubConfig,
    where: str,
    file_system: str | None,
    census: Sequence[CensusObject],
) -> LedgerSeen:
    revision, head = ledger.revision()
    if revision != head:
        return LedgerSeen(where, revision=revision, head=head, file_system=file_system)
    hub_id = hub.settings.hub_id
    asked = datetime.now(UTC)
    theirs = ledger.read(database_time)
    answered = datetime.now(UTC)
    open_leases = ledger.read(leases.list_open_leases, hub_id)
    devices = ledger.read(fleet.list_devices, hub_id)
    own = {lease.id for lease in open_leases}
    strange = {
        holder: ledger.read(leases.describe, holder)
        for row in devices
        if row["holder_kind"] == "lease" and (holder := row["holder_id"]) and holder not in own
    }
    return LedgerSeen(
        where,
        revision=revision,
        head=head,
        file_system=file_system,
        skew=theirs - (asked + (answered - asked) / 2) if theirs else None,
        open_leases=tuple(open_leases),
        devices=tuple(devices),
        strange_holders=strange,
        copies=ledger.read(objects.find_strangers, hub_id, [seen.labelled for seen in census]),
        health=health_of(hub, ledger, datetime.now(UTC))
        if ledger.read(keepers.has_looked, hub_id)
        else None,
    )


def proxy_program(hub: HubConfig, wiring: Wiring) -> Program | None:
    """Return the program of the proxy that the hub will start; None where it starts none."""
    proxy = wiring.proxy
    if proxy is None or not hub.value(proxy, "should_start"):
        return None
    if issubclass(proxy, ConfigurableHTTPProxy):
        command = hub.value(proxy, "command") or ["configurable-http-proxy"]
        return _program(command if isinstance(command, str) else command[0])
    if proxy.__module__.startswith("jupyterhub_traefik_proxy"):
        return _program("traefik")
    return None


def _program(name: str) -> Program:
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    on_path = shutil.which(name)
    return Program(name, on_path, beside, script_of=_interpreter(on_path or beside))


def _interpreter(path: str | None) -> str:
    """Return what runs a script, by its first line; nothing for a program of its own."""
    if path is None:
        return ""
    with open(path, "rb") as file:
        first = file.readline(200)
    return first[2:].decode("utf-8", "replace").strip() if first.startswith(b"#!") else ""


def _lines(path: Path) -> int:
    try:
        return sum(1 for line in path.read_text().splitlines() if line)
    except OSError:
        return 0
