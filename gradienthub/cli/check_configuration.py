"""What `gradienthub check` finds of the configuration: what it sets, and what becomes of that."""

from collections.abc import Iterator
from types import SimpleNamespace

from jupyterhub.app import JupyterHub

from ..hub import traits
from ..hub.wiring import bypasses, wiring_faults, wiring_warnings
from ..rules.catalog import ConfigurationFault
from ..rules.traits import Fate
from ..spawners import adopted
from . import config
from .check_result import CheckResult, Severity, count, fault, ok, warn
from .check_scene import Scene


def configuration(scene: Scene) -> Iterator[CheckResult]:
    """Say what the configuration has.

    It was read and everything in it is known, or the command would have ended.
    """
    house = scene.hub.settings.house
    yield ok(
        "configuration",
        f"{scene.hub.path}: {count(len(house.catalog.instance_types), 'instance type')},"
        f" {count(len(house.catalog.runtimes), 'runtime')}, {count(len(house.tiers), 'tier')},"
        f" {count(len(house.hosts), 'host')}",
    )


def hub_id(scene: Scene) -> Iterator[CheckResult]:
    """Check the word by which rows and containers are this hub's."""
    word = scene.hub.settings.hub_id
    if word == config.UNMADE:
        yield ok("hub_id", "the hub makes one at its first start and keeps it in data_dir")
    else:
        yield ok("hub_id", word)


def wiring(scene: Scene) -> Iterator[CheckResult]:
    """Check that spawner, authenticator and services are still what configure(c) made them."""
    classes = scene.wiring
    for sentence in classes.faults:
        yield fault("wiring", sentence, "install the package that has it, or correct the name")
    # The hub's own start-up check, so that both say the same words.
    app = SimpleNamespace(
        spawner_class=classes.spawner or object,
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
    sentences = wiring_faults(app) if classes.spawner else []
    if classes.authenticator is not None:
        sentences += bypasses(classes.authenticator)
        if not classes.wrapped:
            sentences.append(
                f"c.JupyterHub.authenticator_class is {classes.authenticator.__name__} without"
                " tiers, so that logins bring no groups and the hub gets none of our pages; write"
                " configure(c) as the last line"
            )
    for sentence in sentences:
        says, _, cure = sentence.partition("; ")
        yield fault("wiring", says, cure)
    for sentence in wiring_warnings(app):
        says, _, cure = sentence.partition("; ")
        yield warn("wiring", says, cure)
    if not classes.faults and not sentences and classes.spawner and classes.authenticator:
        yield ok("wiring", f"{classes.spawner.__name__}, {classes.authenticator.__name__}")


def weakened(scene: Scene) -> Iterator[CheckResult]:
    """Warn of settings that are allowed but weaken what people expect of a notebook cloud."""
    hub, spawner = scene.hub, scene.wiring.spawner
    if hub.value(JupyterHub, "cleanup_servers"):
        yield warn(
            "restarts",
            "c.JupyterHub.cleanup_servers is True: a restart of the hub stops all notebooks",
            "remove that line; configure(c) sets it to False",
        )
    if scene.wiring.engine != "docker" or spawner is None:
        return
    if not hub.value(spawner, "enforce_limits"):
        yield warn(
            "limits",
            "enforce_limits is False: a notebook may use more CPUs and memory than it rents",
            f"remove {scene.dotted('enforce_limits')}",
        )
    if hub.value(spawner, "device_driver") == "environment" and scene.declares_devices:
        yield warn(
            "limits",
            "device_driver is 'environment': nothing keeps a notebook to its own GPUs",
            f'set {scene.dotted("device_driver")} to "nvidia" or "cdi"',
        )


def set_traits(scene: Scene) -> Iterator[CheckResult]:
    """List every trait that the deployer set, and what becomes of it on this hub."""
    written = scene.hub.config if scene.written is None else scene.written
    listed = [
        trait
        for trait in traits.set_traits(
            scene.hub.config, scene.wiring.spawner, scene.wiring.authenticator
        )
        if trait.name in written.get(trait.section, {})
    ]
    counts = {fate: [t for t in listed if t.row.fate is fate] for fate in Fate}
    for trait in (*counts[Fate.OURS], *counts[Fate.NONE]):
        yield warn("traits", trait.sentence.partition(". Instead")[0].rstrip("."), trait.row.cure)
    if unjudged := [trait.dotted for trait in listed if not trait.judged]:
        yield ok(
            "traits",
            f"{', '.join(unjudged)}: what a callable sets is seen when a notebook starts; the hub's"
            " log and the audit then name what the lease overrides",
        )
    if listed:
        lines = [f"{t.row.fate.words:<15} {t.dotted}: {t.row.why}" for t in listed]
        says = ", ".join(f"{len(counts[fate])} {fate.words}" for fate in Fate)
        yield CheckResult("traits", Severity.OK, f"{len(listed)} set: {says}", "\n".join(lines))


def old_volumes(scene: Scene) -> Iterator[CheckResult]:
    """Check that an adopted hub's volumes can be shown."""
    spawner = scene.wiring.spawner
    if scene.wiring.engine == "other" or spawner is None:
        return
    try:
        old = adopted.adopted_of(scene.hub.config, spawner)
    except ConfigurationFault as unfit:
        says, _, cure = str(unfit).partition(": ")
        yield fault("old volumes", says, cure)
        return
    yield from _taken_places(scene, spawner)
    if old:
        shown = ", ".join(f"{volume.template} as {volume.folder}" for volume in old)
        yield ok("old volumes", f"{shown}; gradienthub adopt --bind says whose one is")


def _taken_places(scene: Scene, spawner: type) -> Iterator[CheckResult]:
    """Name volumes that would be mounted where each notebook has its own folders."""
    if scene.wiring.engine != "docker":
        return
    own = {scene.hub.value(spawner, name) for name in ("container_home", "container_storage")}
    for name in ("volumes", "read_only_volumes"):
        for source, target in (scene.hub.value(spawner, name) or {}).items():
            place = target.get("bind") if isinstance(target, dict) else target
            if str(place).rstrip("/") in own:
                yield fault(
                    "old volumes",
                    f"{name} puts {source} at {place}, where a notebook has a folder of its own: no"
                    " notebook can start",
                    f"show it in the file browser with adopted_volumes = {{{source!r}:"
                    ' "old-files"}, or mount it elsewhere',
                )


def messages(scene: Scene) -> Iterator[CheckResult]:
    """Check that the file of message targets can be used, and only by us."""
    seen = scene.notify
    if seen is None:
        return
    if seen.away:
        yield fault(
            "messages",
            f"notify_file {seen.path} cannot be read by {scene.user}: {seen.away}",
            "correct c.GradientHub.notify_file, or let the hub's user read the file",
        )
        return
    if not seen.installed:
        yield fault(
            "messages",
            "notify_file is set, and the package that sends messages is not installed",
            "pip install 'gradienthub[notify]'",
        )
    if seen.everybody_reads:
        yield warn(
            "messages",
            f"everybody on this machine can read {seen.path}, and its addresses have passwords",
            f"chmod o-r {seen.path}",
        )
    for name in seen.bad_lines:
        yield fault(
            "messages",
            f"{name} of {seen.path} is no address that Apprise understands",
            "see https://github.com/caronc/apprise/wiki for how each service is written",
        )
    if not seen.targets:
        yield warn("messages", f"{seen.path} has no targets", "write one a line")
    elif seen.installed and not seen.bad_lines:
        yield ok("messages", f"{count(seen.targets, 'target')} in {seen.path}")
