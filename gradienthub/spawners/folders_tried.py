"""A throw-away container reads and writes a file of the hub's, as a notebook would."""

import os
import secrets
import uuid
from pathlib import Path

from docker import APIClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import Mount
from requests.exceptions import RequestException

from ..rules.folders_seen import (
    NOT_READ,
    NOT_THERE,
    NOT_WRITTEN,
    FolderTrial,
    Outcome,
    judge_end,
    judge_refusal,
)
from ..rules.refusal import Refused
from .trials import (
    FOLDER_PREFIX,
    new_trial,
    remove_folder,
    remove_folders_left_behind,
    remove_trial,
)

INSIDE = "/gradienthub-trial"
SECONDS = 60
THEIRS, OURS = "from-notebook", "from-hub"
SCRIPT = (
    f"cd {INSIDE} || exit {NOT_READ}; [ -e {OURS} ] || exit {NOT_THERE};"
    f" cat {OURS} >/dev/null || exit {NOT_READ}; cat {OURS} >{THEIRS} || exit {NOT_WRITTEN}"
)


def try_folder(
    client: APIClient, root: Path, *, image: str, owner: int, user: str | None
) -> FolderTrial:
    """Write a file into a new folder of `root`, and let the image's user read and write there.

    Blocks for a second or two. Never raises; leaves neither container nor folder behind.
    """
    folder = root / f"{FOLDER_PREFIX}{uuid.uuid4().hex}"
    token = secrets.token_hex(16)
    remove_folders_left_behind(root, (OURS, THEIRS))
    try:
        _make(folder, token, owner)
        seen, why = _run(client, folder, token, image, user)
    except OSError as error:
        seen, why = Outcome.UNKNOWN, f"the hub cannot write to {root}: {error.strerror or error}"
    finally:
        remove_folder(folder, (OURS, THEIRS))
    return FolderTrial(seen, str(root), image, owner, why)


def _make(folder: Path, token: str, owner: int) -> None:
    folder.mkdir(mode=0o700)
    (folder / OURS).write_text(token)
    (folder / OURS).chmod(0o600)
    if os.geteuid() == 0:
        for path in (folder / OURS, folder):
            os.chown(path, owner, owner)


def _run(
    client: APIClient, folder: Path, token: str, image: str, user: str | None
) -> tuple[Outcome, str]:
    made = None
    try:
        made = client.create_container(
            image,
            entrypoint=["/bin/sh", "-c"],
            command=[SCRIPT],
            user=user,
            network_disabled=True,
            working_dir="/",
            **new_trial(),
            host_config=client.create_host_config(
                # Not by `binds`: an engine makes such a folder where there is none.
                mounts=[Mount(INSIDE, str(folder), type="bind")],
                network_mode="none",
            ),
        )
        client.start(made["Id"])
        code = client.wait(made["Id"], timeout=SECONDS).get("StatusCode")
        return judge_end(code, came_back=_read(folder) == token), f"it ended with {code}"
    except (ImageNotFound, NotFound):
        return Outcome.UNKNOWN, f"the engine has no image {image} yet"
    except APIError as error:
        words = str(error.explanation or error)
        return judge_refusal(words), words[:200]
    except (DockerException, RequestException, OSError) as error:
        return Outcome.UNKNOWN, f"the engine does not answer: {error}"
    finally:
        if made is not None:
            remove_trial(client, made["Id"])


def _read(folder: Path) -> str:
    try:
        return (folder / THEIRS).read_text()
    except OSError:
        return ""


def lost_files(trial: FolderTrial, *, unsure: bool) -> Refused | None:
    """Refuse a start whose files would be lost for certain; what is not known is let pass.

    `unsure`: the image, or as whom it runs, may differ from what was tried; then only that the
    engine does not see the folder counts.
    """
    if not trial.is_fault or (unsure and trial.seen is not Outcome.UNSEEN):
        return None
    what = "nobody's files would be kept" if trial.seen is Outcome.UNSEEN else "you could not save"
    return Refused(
        "start_failed",
        f"No notebook starts with this runtime now: {what}.",
        "Nothing was charged. Tell your administrator: `gradienthub check` says what to do.",
    )
