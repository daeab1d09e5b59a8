"""Whether notebooks can keep files: what a throw-away container could do with the hub's folder."""

from dataclasses import dataclass
from enum import StrEnum

#: How the container says how far it came.
NOT_THERE, NOT_READ, NOT_WRITTEN = 41, 42, 43
#: Words of engines for a folder that is not on their machine.
UNSEEN_WORDS = ("bind source path does not exist", "mounts denied", "no such file or directory")


class Outcome(StrEnum):
    """What came of it."""

    KEPT = "kept"  # the hub's file was read inside, and the container's is here
    UNSEEN = "unseen"  # the engine has another folder of that path, or none
    UNWRITABLE = "unwritable"  # the image's user may not
    UNKNOWN = "unknown"  # it could not be tried


@dataclass(frozen=True)
class FolderTrial:
    """One trial: of which folder and image, for which owner, and what came of it."""

    seen: Outcome
    root: str
    image: str
    owner: int
    why: str = ""

    @property
    def is_fault(self) -> bool:
        """Return whether files would be lost for certain."""
        return self.seen in (Outcome.UNSEEN, Outcome.UNWRITABLE)

    @property
    def says(self) -> str:
        """Say what is wrong, or that it is well."""
        return {
            Outcome.KEPT: f"a container of {self.image} reads and writes {self.root}",
            Outcome.UNSEEN: f"the engine does not see {self.root} as the hub does: notebooks would"
            " have an empty folder, and nobody's files would be kept",
            Outcome.UNWRITABLE: f"the user of the image {self.image} cannot write to folders of uid"
            f" {self.owner}: nobody could save",
            Outcome.UNKNOWN: f"not tried: {self.why}",
        }[self.seen]

    @property
    def cure(self) -> str:
        """Say what to do about a fault."""
        if self.seen is Outcome.UNSEEN:
            return (
                "where the hub is a container, mount one folder of the engine's machine into it at"
                " the same path (-v /srv/gradienthub:/srv/gradienthub) and set"
                " c.GradientHub.storage_root inside of it; where the engine is another machine, put"
                " storage_root on a file system that both mount at one path"
            )
        if self.seen is Outcome.UNWRITABLE:
            return (
                "set folder_owner of your spawner's class to the uid that the image runs as, or"
                ' extra_create_kwargs = {"user": ...} to one that may write'
            )
        return ""


def judge_end(code: int | None, *, came_back: bool) -> Outcome:
    """Say what a container's exit code means; `came_back`: its file is here, with our words."""
    if code == 0:
        return Outcome.KEPT if came_back else Outcome.UNSEEN
    if code == NOT_THERE:
        return Outcome.UNSEEN
    if code in (NOT_READ, NOT_WRITTEN):
        return Outcome.UNWRITABLE
    return Outcome.UNKNOWN


def judge_refusal(words: str) -> Outcome:
    """Say what an engine's refusal to make the container means."""
    text = words.lower()
    mount = any(part in text for part in UNSEEN_WORDS[:2]) or (
        UNSEEN_WORDS[2] in text and "mount" in text
    )
    return Outcome.UNSEEN if mount else Outcome.UNKNOWN
