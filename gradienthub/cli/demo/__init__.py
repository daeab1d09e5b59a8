"""gradienthub demo: the real product on embedded defaults, on this computer's loopback."""

import argparse
import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Collection, Sequence
from contextlib import closing, suppress
from pathlib import Path

from ...ledger import Ledger, LedgerAway, objects
from ...settings import kept_hub_id
from ...spawners.engine import CensusObject, Engine, EngineAway
from ...spawners.warm_mounts import MountFault, Mounts
from ..commands import Commands
from . import engines
from .tables import ADMIN, Demo, admin_password, demo_settings, people

MARKER = ".gradienthub-demo"
READY_SECONDS = 90
STOP_SECONDS = 60
CONFIG = Path(__file__).with_name("jupyterhub_config.py")


def add_parser(subparsers: Commands) -> None:
    """Add `gradienthub demo` and its options."""
    parser = subparsers.add_parser(
        "demo", help="a hub you can log in to, on this computer", description=__doc__
    )
    parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1 (default 8000)")
    parser.add_argument(
        "--preset",
        choices=("gradient", "azure"),
        default="gradient",
        help="whose machines and tiers (default gradient)",
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "docker", "local"),
        default="auto",
        help="docker, or processes of this computer (default auto: docker where an engine answers)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("gradienthub-demo"),
        help="the one folder of everything (default gradienthub-demo)",
    )
    parser.add_argument("--reset", action="store_true", help="forget everything first")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo until Ctrl-C, and leave nothing running."""
    data: Path = args.data.absolute()
    if why := _why_not(args.port, data):
        return _fault(why)
    choice = engines.choose(args.engine)
    if choice.fault:
        return _fault(choice.fault)
    _make_folder(data, choice, reset=args.reset)
    for line in choice.says:
        print(line, flush=True)
    demo = Demo(
        port=args.port,
        hub_port=_free_port(),
        proxy_port=_free_port(),
        data=str(data),
        preset=args.preset,
        engine=choice.name,
        image=choice.image,
        hub_ip=choice.hub_ip,
        password=_kept_password(data),
    )
    return _run_until_ended(demo, data, choice)


def _why_not(port: int, data: Path) -> str:
    """Return why the demo cannot run so, with what to do; nothing where it can."""
    if not _port_is_free(port):
        return f"Port {port} is in use. Choose another: gradienthub demo --port 8010"
    if data.exists() and any(data.iterdir()) and not (data / MARKER).exists():
        return f"{data} is not a demo's folder. Name an empty one with --data"
    return ""


def _make_folder(data: Path, choice: engines.DemoEngine, *, reset: bool) -> None:
    """Make the folder of everything; with `reset` what was in it is ended and forgotten."""
    if reset and data.exists():
        hub_id, ledger = kept_hub_id(data), f"sqlite:///{data / 'gradienthub.sqlite'}"
        _sweep(engines.engine_of(choice, hub_id, data), hub_id, ledger)
        shutil.rmtree(data)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    (data / MARKER).touch()


def _run_until_ended(demo: Demo, data: Path, choice: engines.DemoEngine) -> int:
    settings = demo_settings(demo)
    # A terminal that closes and a supervisor's TERM end the demo like Ctrl-C does, also where a
    # shell started us in the background with SIGINT ignored.
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.default_int_handler)
    began = time.time()
    hub = _start_hub(demo, data)
    try:
        if not _wait_until_ready(hub, demo):
            return _fault(f"The hub did not start. Its log is {data / 'hub.log'}")
        print(_banner(demo, data), flush=True)
        hub.wait()
        return _fault(f"The hub ended by itself. Its log is {data / 'hub.log'}")
    except KeyboardInterrupt:
        print("\nStopping all notebooks and the hub …", flush=True)
        return 0
    finally:
        _stop_hub(hub)
        _stop_proxy(hub, data, began)
        hub_id, ledger = settings.hub_id, settings.database_url
        _sweep(engines.engine_of(choice, hub_id, data), hub_id, ledger)
        try:
            Mounts(settings.storage_root).remove()
        except MountFault as fault:
            print(f"A mount is left: {fault}", file=sys.stderr)


def _fault(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


def _port_is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _kept_password(data: Path) -> str:
    """Return the password of all demo users.

    It is made once, so that a bookmark's login goes on working.
    """
    kept = data / "password"
    if not kept.exists():
        kept.write_text(f"demo-{secrets.token_hex(4)}")
        kept.chmod(0o600)
    return kept.read_text().strip()


def _start_hub(demo: Demo, data: Path) -> "subprocess.Popen[bytes]":
    own_bin = str(Path(sys.executable).parent)
    environment = os.environ | {
        "GRADIENTHUB_DEMO": json.dumps(demo),
        # traefik and jupyterhub-singleuser lie beside this Python, activated or not.
        "PATH": f"{own_bin}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    with (data / "hub.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", f"--config={CONFIG}"],
            cwd=data,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C in the terminal must reach only us: we end the hub in order.
            start_new_session=True,
        )


def _wait_until_ready(hub: "subprocess.Popen[bytes]", demo: Demo) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and hub.poll() is None:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{demo['port']}/hub/health", timeout=2
            ) as answer:
                if answer.status == 200:
                    return True
        except OSError:
            time.sleep(0.2)
    return False


def _banner(demo: Demo, data: Path) -> str:
    lines = [
        "",
        f"  GradientHub demo: http://127.0.0.1:{demo['port']}/",
        "",
        f"  Password of everybody: {demo['password']}  (for a demo, never for people)",
        "",
    ]
    lines += [f"    {p.name:<8} {p.says}" for p in people(demo["preset"])]
    lines += [
        f"    {ADMIN:<8} administrator, password {admin_password(demo)}",
        "",
        f"  Everything is kept in {data}. Ctrl-C stops all notebooks and the hub.",
        "",
    ]
    return "\n".join(lines)


def _stop_hub(hub: "subprocess.Popen[bytes]") -> None:
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if hub.poll() is not None:
            return
        hub.send_signal(sign)
        try:
            hub.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _stop_proxy(hub: "subprocess.Popen[bytes]", data: Path, began: float) -> None:
    """End the proxy of a hub that was killed, which would keep the port.

    `began` is when the hub was started, in seconds since 1970.
    """
    with suppress(ProcessLookupError, PermissionError):
        # traefik is of the hub's process group, which lasts as long as one of its processes.
        os.killpg(hub.pid, signal.SIGTERM)
    # configurable-http-proxy has a session of its own. A hub that ends in order removes its file;
    # one of an earlier demo names a process that may be somebody else's by now.
    written = data / "jupyterhub-proxy.pid"
    with suppress(OSError, ValueError):
        if written.stat().st_mtime >= began:
            os.kill(int(written.read_text()), signal.SIGTERM)


def _sweep(engine: Engine, hub_id: str, database_url: str) -> None:
    """End what a hub that was killed left behind, and nothing that only has its labels."""

    async def bury_all() -> None:
        census = await engine.census() or []
        strange = _strangers(hub_id, database_url, census)
        for seen in census:
            if seen.object_id not in strange:
                await engine.bury(seen)
        await engine.close()

    try:
        asyncio.run(bury_all())
    except EngineAway as away:
        print(f"The engine does not answer, so containers may be left: {away}", file=sys.stderr)


def _strangers(hub_id: str, database_url: str, census: Sequence[CensusObject]) -> Collection[str]:
    ledger = Ledger(database_url)
    try:
        labelled = [seen.labelled for seen in census]
        return ledger.read(objects.find_strangers, hub_id, labelled)
    except LedgerAway:
        # Without it nothing is known to be ours.
        return [seen.object_id for seen in census]
    finally:
        ledger.close()
