"""Trials: throw-away containers that ask an engine or an image something, and leave nothing behind.

Whoever makes one removes it. Where the hub or the engine was killed meanwhile, a later look does.
"""

import time
import uuid
from contextlib import suppress
from pathlib import Path

from docker import APIClient
from docker.errors import DockerException
from requests.exceptions import RequestException

from .labels import LABELS

TRIAL_LABEL = "gradienthub.trial"
PREFIX = "gradient-trial-"
FOLDER_PREFIX = ".trial-"
#: No trial lasts so long, in seconds: what is older was left behind.
LEFT_BEHIND = 180.0


def new_trial() -> dict[str, object]:
    """Return a name and labels for one trial, as keywords of create_container.

    All our labels are set: an image may have them, and a trial is nobody's notebook.
    """
    trial = uuid.uuid4().hex
    return {
        "name": f"{PREFIX}{trial}",
        "labels": {**dict.fromkeys(LABELS, ""), TRIAL_LABEL: trial},
    }


def remove_trial(client: APIClient, object_id: str) -> bool:
    """Remove a trial's container; return whether the engine did. Never raises.

    One that stays is found by a later look.
    """
    with suppress(DockerException, RequestException, OSError):
        client.remove_container(object_id, force=True, v=True)
        return True
    return False


def remove_left_behind(client: APIClient) -> list[str]:
    """Remove the trials that somebody killed left behind; return their names.

    One is known by its name, which no image can give, together with its label. Raises what the
    engine does not answer with.
    """
    removed = []
    for row in client.containers(all=True, filters={"label": TRIAL_LABEL}):
        name = (row.get("Names") or ["/"])[0].lstrip("/")
        ours = name == f"{PREFIX}{(row.get('Labels') or {}).get(TRIAL_LABEL)}"
        is_old = time.time() - row.get("Created", 0) > LEFT_BEHIND
        if ours and is_old and remove_trial(client, row["Id"]):
            removed.append(name)
    return removed


def remove_folders_left_behind(root: Path, files: tuple[str, ...]) -> None:
    """Remove trials' folders below `root` that somebody killed left behind, with these files."""
    with suppress(OSError):
        for folder in root.glob(f"{FOLDER_PREFIX}*"):
            if time.time() - folder.lstat().st_mtime > LEFT_BEHIND:
                remove_folder(folder, files)


def remove_folder(folder: Path, files: tuple[str, ...]) -> None:
    """Remove a trial's folder and these files in it; anything else in it stays, with it."""
    for name in files:
        with suppress(OSError):
            (folder / name).unlink()
    with suppress(OSError):
        folder.rmdir()
