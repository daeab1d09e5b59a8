"""What `gradienthub check` finds of folders: room, rights, and who reads them."""

from collections.abc import Iterator

from ..rules.folders_seen import Outcome
from .check_result import CheckResult, fault, ok, warn
from .check_scene import Folder, Scene

LEAST_FREE = 5 * 10**9


def folders(scene: Scene) -> Iterator[CheckResult]:
    """Check that data and storage can be written, have room, and can be given to the user of the
    containers."""
    for name, place in (("data_dir", scene.data_dir), ("storage_root", scene.storage_root)):
        yield _folder(name, place, scene)
    if scene.ledger_folder is not None:
        yield _folder("database_url", scene.ledger_folder, scene)
    ledgers = scene.ledger_folder or scene.data_dir
    if scene.ledger.file_system is not None and ledgers.device == scene.storage_root.device:
        yield warn(
            "folders",
            f"the ledger and people's files share a file system ({ledgers.path},"
            f" {scene.storage_root.path}): who fills it stops all starts",
            "give storage_root a file system of its own, or people quotas, or set"
            " c.GradientHub.database_url to PostgreSQL",
        )
    yield from _owner(scene)
    for trial in scene.engine.trials:
        if trial.is_fault:
            yield fault("folders", trial.says, trial.cure)
        elif trial.seen is Outcome.UNKNOWN:
            yield warn("folders", trial.says, "start the hub; its first start tries again")
    kept = [trial.image for trial in scene.engine.trials if trial.seen is Outcome.KEPT]
    if kept:
        yield ok("folders", f"containers of {', '.join(kept)} read and write there")


def _folder(name: str, place: Folder, scene: Scene) -> CheckResult:
    room = f"{place.free / 10**9:.0f} GB free"
    if not place.writable:
        return fault(
            "folders",
            f"{name} {place.path} {'is not writable' if place.exists else 'cannot be made'} for"
            f" {scene.user}",
            f"run this as the hub's own user; if it says so too, chown the folder to that user, or"
            f" set c.GradientHub.{name}",
        )
    if place.free < LEAST_FREE:
        return warn(
            "folders", f"{name} {place.path} has {room}", "make room, or move it to a larger disk"
        )
    made = "" if place.exists else ", made at the first start"
    return ok("folders", f"{name} {place.path}: {room}{made}")


def _owner(scene: Scene) -> Iterator[CheckResult]:
    spawner = scene.wiring.spawner
    if scene.wiring.engine != "docker" or spawner is None:
        return
    owner = scene.hub.value(spawner, "folder_owner")
    if scene.uid not in (0, owner):
        yield fault(
            "folders",
            f"{scene.user} (uid {scene.uid}) cannot give folders to uid {owner}, as which"
            " containers run",
            f"run the hub as root; or set {scene.dotted('folder_owner')} = {scene.uid} and use"
            " images that run as that uid",
        )
    options = [str(option) for option in scene.engine.info.get("SecurityOptions") or []]
    shifted = [o for o in options if "name=userns" in o or "name=rootless" in o]
    if shifted:
        yield warn(
            "folders",
            "the engine shifts user ids, so that a container does not own folders of uid"
            f" {owner} here",
            f"set {scene.dotted('folder_owner')} to the id that the container's user has on"
            " this machine (its first id is in /etc/subuid)",
        )


def private_files(scene: Scene) -> Iterator[CheckResult]:
    """Check that nobody else on the machine can read who pays what, or what opens a server."""
    for place in scene.readable_by_others:
        mode = "700" if place.is_dir() else "600"
        yield warn(
            "database",
            f"{place} may be read by everybody on this machine: accounts, groups, sessions",
            f"chmod {mode} {place}",
        )


def storage(scene: Scene) -> Iterator[CheckResult]:
    """Check that people's files are closed to others on this machine, and that no program in them
    gives rights."""
    place = scene.storage_root
    if scene.wiring.engine != "docker" or not place.exists:
        return
    if place.open_levels:
        yield warn(
            "storage",
            f"open to others on this machine: {', '.join(map(str, place.open_levels))}",
            "the next start of a notebook closes them, where they are the hub's own; or chmod 700",
        )
    if "nosuid" not in place.mount_options:
        yield warn(
            "storage",
            f"{place.path} is mounted without nosuid: a set-uid program that a notebook leaves"
            " there would give its rights to whoever runs it on this machine",
            "mount storage_root with nosuid,nodev, as a file system of its own"
            f" (mount --bind {place.path} {place.path} && mount -o remount,bind,nosuid,nodev"
            f" {place.path})",
        )
    elif not place.open_levels:
        yield ok("storage", f"{place.path}: closed to others, nosuid")
