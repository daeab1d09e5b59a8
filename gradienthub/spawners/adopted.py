"""Old volumes and folders of an adopted hub, shown in the workspace of whose they truly are."""

import asyncio
import logging
import os
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from traitlets import Dict
from traitlets.config import Config, Configurable

from ..ledger import By, LedgerAway, volumes
from ..rules.adoption import OldVolume, Whose, judge_volume, parse_adopted
from ..rules.lease import Lease
from .context import hub_user
from .contract import EngineSpawner
from .sections import configured, section_of

log = logging.getLogger("gradienthub")

#: Seconds in which a disk must say when a folder was made.
STAT_SECONDS = 10
UNSURE = (
    "it is older than this hub's user of that name, or nobody can tell its age, so that it may be a"
    " former user's"
)
ANOTHERS = "it belongs to another account, which had this name before"
HELP = """Old volumes of people that their notebooks show: {name: folder}.

    For a hub that had another spawner before: the name is a template as DockerSpawner's
    `volumes` has it, for example {"jupyterhub-user-{username}": "old-files"}, or the path of a
    folder on the engine's machine; the folder is one name in the workspace, or {"folder": ...,
    "mode": "ro"}. What is not there is not made.
    MORE

    A volume named after a person is given to an account once and for good: to the user of that
    name if it was made in their time, else to whom `gradienthub adopt --bind` says, because names
    are given again. Default {}: none."""

#: When a volume was made; None: nobody can tell. Raises FileNotFoundError where there is none.
Age = Callable[[str], Awaitable[datetime | None]]


def volumes_trait(more: str) -> "Dict[str, object]":
    """Make the trait of a spawner that shows old volumes."""
    return Dict(help=HELP.replace("MORE", more)).tag(config=True)


@dataclass(frozen=True)
class Shown:
    """An old volume or host folder that this start has, and the folder that shows it."""

    source: str
    folder: str
    read_only: bool = False

    @property
    def is_path(self) -> bool:
        """Return whether it is a folder of the engine's machine."""
        return self.source.startswith("/")


#: Makes what shows an old volume in a workspace; False where the name is taken.
Place = Callable[[Path, Shown], bool]


def adopted_of(config: Config, cls: type[Configurable]) -> tuple[OldVolume, ...]:
    """Parse the trait before there is a spawner. Raises ConfigurationFault."""
    name = "adopted_volumes"
    trait = f"c.{section_of(config, cls, name)}.{name}"
    return parse_adopted(trait, configured(config, cls, name) or {})


async def show_old(
    spawner: EngineSpawner, render: Callable[[str], str], age: Age, place: Place
) -> tuple[Shown, ...]:
    """Make the places of the old volumes that this start shows, and return those volumes.

    A volume that may be somebody else's is not shown. Raises LedgerAway, and what `age` raises
    beside FileNotFoundError.
    """
    if not spawner.adopted_volumes:
        return ()
    lease = spawner.lease
    assert lease is not None
    home, shown = spawner.folders(lease)[0], []
    for volume in adopted_of(spawner.config, type(spawner)):
        for source in await _candidates(spawner, lease, volume, render):
            if await _may_show(spawner, lease, volume, source, age):
                shown.append(Shown(source, volume.folder, volume.read_only))
                break
    placed = [old for old in shown if await asyncio.to_thread(place, home, old)]
    for old in shown:
        if old not in placed:
            spawner.log.warning(
                "%s: %s is not shown: %s in the workspace is something else",
                spawner._log_name,
                old.source,
                old.folder,
            )
    return tuple(placed)


async def _candidates(
    spawner: EngineSpawner, lease: Lease, volume: OldVolume, render: Callable[[str], str]
) -> list[str]:
    """List names to try: by the person's name of today, then what their account has had before."""
    names = [render(volume.template)]
    if volume.personal:
        context = spawner.context
        names += await context.ledger.aread(
            volumes.list_volumes,
            hub_id=context.settings.hub_id,
            account_id=lease.account_id,
            folder=volume.folder,
            server_name=spawner.name if "servername}" in volume.template else None,
        )
    return list(dict.fromkeys(names))


async def _may_show(
    spawner: EngineSpawner, lease: Lease, volume: OldVolume, source: str, age: Age
) -> bool:
    """Return whether a volume is this account's, which becomes its owner where nobody is yet."""
    if ".." in PurePosixPath(source).parts:
        return False  # somebody's name is two dots
    context = spawner.context
    hub_id, account_id = context.settings.hub_id, lease.account_id
    owner = await context.ledger.aread(volumes.find_owner, hub_id=hub_id, volume=source)
    try:
        made = await age(source)
    except FileNotFoundError:
        # A hub in a container does not see the engine's folders; its administrator may have.
        return source.startswith("/") and owner == account_id
    if not volume.personal:
        return True
    whose = judge_volume(
        owner=owner, account_id=account_id, made=made, user_since=hub_user(spawner.user).created
    )
    if whose is Whose.TAKE:
        taken = await context.ledger.awrite(
            volumes.bind,
            By(hub_id, "hub", context.clock()),
            source,
            account_id,
            folder=volume.folder,
            server_name=spawner.name,
        )
        whose = Whose.THEIRS if taken == account_id else Whose.ANOTHERS
    if whose is Whose.THEIRS:
        return True
    why = ANOTHERS if whose is Whose.ANOTHERS else UNSURE
    await _tell_refused(spawner, account_id, source, why)
    return False


async def _tell_refused(spawner: EngineSpawner, account_id: str, source: str, why: str) -> None:
    context = spawner.context
    if not context.tell_once(("volume", source, account_id)):
        return
    spawner.log.warning(
        "%s: the old volume %s is not shown: %s. If it is theirs: gradienthub adopt --bind %s=%s",
        spawner._log_name,
        source,
        why,
        source,
        spawner.user.name,
    )
    try:
        await context.ledger.awrite(
            volumes.note_refused,
            By(context.settings.hub_id, "hub", context.clock()),
            source,
            account_id,
            why,
        )
    except LedgerAway:
        log.warning("%s: the audit lacks a row for it: the ledger is away", spawner._log_name)


def parse_age(answer: object) -> datetime | None:
    """Read the engine's moment of a volume's making; None where it tells none."""
    try:
        made = datetime.fromisoformat(str(answer))
    except ValueError:
        return None
    return made if made.tzinfo else made.replace(tzinfo=UTC)


async def folder_age(path: str) -> datetime | None:
    """Tell when a folder of this machine was made, by its disk; None where the disk does not.

    Raises FileNotFoundError where it is not here.
    """
    return await asyncio.to_thread(_folder_age, path)


def _folder_age(path: str) -> datetime | None:
    if not Path(path).is_dir():
        raise FileNotFoundError(path)
    try:
        # Python has no word for it; 0 where the file system keeps none.
        born = subprocess.run(
            ["stat", "-c", "%W", "--", path],
            capture_output=True,
            check=True,
            text=True,
            timeout=STAT_SECONDS,
        ).stdout
        seconds = int(born)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None


def make_place(workspace: Path, folder: str, owner: int | None) -> bool:
    """Make the folder in the workspace that an old volume is mounted on; False if it is taken.

    The workspace belongs to a person, who may have put a file or a link there.
    """
    place = workspace / folder
    try:
        os.mkdir(place, 0o700)
    except FileExistsError:
        return place.is_dir() and not place.is_symlink()
    if owner is not None and os.geteuid() == 0:
        os.chown(place, owner, owner, follow_symlinks=False)
    return True


def link_place(workspace: Path, folder: str, source: str) -> bool:
    """Link an old folder into the workspace of a local notebook; False if the name is taken."""
    place = workspace / folder
    try:
        os.symlink(source, place)
    except FileExistsError:
        return place.is_symlink() and os.readlink(place) == source
    return True
