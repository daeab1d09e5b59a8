"""The wait for a server's own answer, and what is said where another or none comes."""

import asyncio
import time

from ..rules.last_words import telling_line
from ..rules.lease import Lease
from ..rules.readiness import NotYet, Other, Ready
from ..rules.refusal import Refused, shown
from .contract import EngineSpawner
from .engine import EngineAway
from .probe import Probe

FIRST_PROBE = 0.02
SLOWEST_PROBE = 0.25
#: How often a server that does not answer yet is looked up at its engine.
LOOK_EVERY = 1.0
#: The same for a warm server, which either answers at once or is to be replaced at once.
LOOK_EVERY_WARM = 0.25
#: Seconds in which what answers may still make way for the server: some images show a page of their
#: own while it starts.
OTHERS_MAY_ANSWER = 10.0


async def until_it_answers(
    spawner: EngineSpawner, url: str, lease: Lease, look_every: float | None = None
) -> None:
    """Probe until this lease's own server answers its own token.

    Raises Refused where it died, takes too long, or something else answers in its place.
    """
    looked = time.monotonic()
    deadline = looked + spawner.context.settings.answer_timeout
    pause = FIRST_PROBE
    other_since: float | None = None
    assert spawner.server is not None
    async with Probe(url.rstrip("/") + spawner.server.base_url, spawner.api_token) as probe:
        while True:
            answer = await probe.ask()
            now = time.monotonic()
            if isinstance(answer, Ready):
                return
            other_since = (other_since or now) if isinstance(answer, Other) else None
            too_long = other_since is not None and now - other_since >= OTHERS_MAY_ANSWER
            if too_long or now >= deadline:
                raise await _wrong_answer(spawner, lease, answer)
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, SLOWEST_PROBE)
            if time.monotonic() - looked > (look_every or LOOK_EVERY):
                looked = time.monotonic()
                await _raise_if_dead(spawner, lease)


async def _wrong_answer(spawner: EngineSpawner, lease: Lease, answer: NotYet | Other) -> Refused:
    """Say what answers in its place, or that nothing of its own does in time."""
    words = await end_of_log(spawner, lease)
    if isinstance(answer, Other):
        return Refused(
            "start_failed",
            f"It started, but what answers at its port is {answer.what}.{words}",
            f"{charged_for(lease)} A custom image needs jupyterhub-singleuser 6 inside, and must"
            " start it at the port and address that the hub gives.",
        )
    instead = f" What answers is {answer.what}." if answer.what else ""
    return Refused(
        "start_failed",
        f"It started, but did not answer within {spawner.context.settings.answer_timeout:.0f} s."
        f"{instead}{words}",
        f"{charged_for(lease)} Try again, or choose another runtime.",
    )


async def _raise_if_dead(spawner: EngineSpawner, lease: Lease) -> None:
    try:
        found = await spawner.context.engine.look_at(lease.id, spawner)
    except EngineAway:
        return  # unknown is not dead; the deadline decides
    if found is None or not found.alive:
        words = await end_of_log(spawner, lease)
        raise Refused(
            "start_failed",
            f"It started and died before it answered.{words}",
            f"{charged_for(lease)} A custom image needs jupyterhub-singleuser 6 inside.",
        )


async def died_at_once(spawner: EngineSpawner) -> Refused:
    """Say that the object was dead before it had an address."""
    assert spawner.lease is not None
    return Refused(
        "start_failed",
        "The container died at once, before it had an address."
        + await end_of_log(spawner, spawner.lease),
        "Nothing was charged. A custom image needs jupyterhub-singleuser 6 inside.",
    )


async def end_of_log(spawner: EngineSpawner, lease: Lease) -> str:
    """Return the end of its log as part of a sentence. The object is gone afterwards."""
    try:
        found = await spawner.context.engine.look(lease.id)
        if found is None:
            return ""
        spawner.run.corpse = await spawner.context.bury(found, "it did not answer")
    except EngineAway:
        return ""
    line = telling_line(spawner.run.corpse.last_words)
    return f" Its log ends with {shown(line, 300)}." if line else ""


def charged_for(lease: Lease) -> str:
    """Return what a start costs that never answered: a paid machine runs for whoever brings the
    image."""
    if lease.price and lease.runtime is None:
        return "The time since its container started is charged, as the image is your own."
    return "Nothing was charged."
