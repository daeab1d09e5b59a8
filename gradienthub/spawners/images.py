"""The image of a start: pulled before its turn, and what is said where it cannot be."""

import asyncio
import logging
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

from docker import APIClient
from docker.errors import APIError, DockerException, NotFound
from docker.utils import parse_repository_tag
from requests.exceptions import RequestException

from ..rules.refusal import Refused, shown
from .docker_engine import DockerEngine
from .docker_types import ImageConfig
from .download import Download
from .engine import EngineAway


async def have_image(
    engine: DockerEngine,
    image: str,
    *,
    policy: str,
    downloads: MutableMapping[str, Download],
    lease_id: str,
) -> None:
    """Pull an image by the administrator's `pull_policy`, in a lane of its own.

    `downloads` has its progress meanwhile. Raises NotFound, APIError and EngineAway.
    """
    if policy == "skip":
        return
    if policy != "always":
        try:
            await engine.image_variables(image, again=True)
            return
        except NotFound:
            if policy == "never":
                raise
    progress = downloads.setdefault(lease_id, Download())
    call = engine.submit_to("pull", lambda client: _pull(client, image, progress))
    try:
        await asyncio.wrap_future(call)
        await engine.image_variables(image, again=True)
    finally:
        downloads.pop(lease_id, None)


@contextmanager
def pull_refusals(image: str, seconds: float, log: logging.Logger) -> Iterator[None]:
    """Turn what goes wrong while an image is pulled into a refusal in words, or EngineAway."""
    try:
        yield
    except TimeoutError:
        raise Refused(
            "start_failed",
            f"The image {shown(image)} was not downloaded within {seconds / 60:.0f} min.",
            "Nothing was charged. Try again later, or choose another runtime.",
        ) from None
    except NotFound as error:
        raise Refused(
            "start_failed",
            f"There is no image {shown(image)}.",
            "Nothing was charged. Check name and tag, or choose another runtime.",
        ) from error
    except APIError as error:
        log.warning("Pulling %s failed: %s", shown(image), error)
        raise Refused(
            "start_failed",
            f"The image {shown(image)} could not be downloaded:"
            f" {shown(error.explanation or 'the registry gave no reason', 160)}.",
            "Nothing was charged. Check name and tag, or choose another runtime.",
        ) from error
    except (DockerException, RequestException, OSError) as error:
        raise EngineAway(str(error)) from error


def _pull(client: APIClient, image: str, progress: Download) -> None:
    """Pull to the end. Raises what the engine says in a line, which docker-py does not."""
    repository, tag = parse_repository_tag(image)
    for line in client.pull(repository, tag or "latest", stream=True, decode=True):
        if fault := line.get("error"):
            raise APIError(fault, explanation=fault)
        progress.take(line)


def command_of(config: ImageConfig, image: str, spawner: str) -> list[str]:
    """Return an image's own command; one that has an entry point needs none.

    Raises Refused where it has neither.
    """
    command = config.get("Cmd") or []
    if not command and not config.get("Entrypoint"):
        raise Refused(
            "start_failed",
            f"The image {shown(image)} does not say what it starts: it has no CMD and no"
            " ENTRYPOINT.",
            "Nothing was charged. Add CMD to the image, or choose another runtime. Your"
            f" administrator may write c.{spawner}.cmd instead.",
        )
    return command
