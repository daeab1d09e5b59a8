"""The frame of the keeper's pages: the hub renders it, with the deployer's bar and announcement."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from markupsafe import Markup
from pydantic import BaseModel, ValidationError

log = logging.getLogger("gradienthub")

#: Seconds for which a person's frame is kept: a new announcement is on every page by then.
KEPT = 60
#: Seconds for the hub to render one. A page does not wait longer for what is around it.
FRAME_SECONDS = 3
#: Frames that are kept at once; each has a few kilobytes.
MOST_FRAMES = 2000


class Frame(BaseModel):
    """HTML around the title, the scripts and the content of a page."""

    top: str
    head: str
    body: str
    bottom: str

    def pieces(self) -> Mapping[str, Markup]:
        """Return the parts as a template prints them."""
        return {name: Markup(text) for name, text in self.model_dump().items()}


@dataclass(frozen=True)
class _Kept:
    frame: Frame
    until: float


class Frames:
    """People's frames, asked of the hub and kept for a minute.

    Without the hub, or with a page.html that leaves our parts out, a page stands in our own frame.
    """

    def __init__(self, api_url: str, static_url: str) -> None:
        self._url = f"{api_url.rstrip('/')}/gradient/frame"
        self._static_url = static_url
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def ask(self, name: str, here: str, token: str) -> Frame | None:
        """Return the frame for a person by their token, or None. Never raises."""
        kept = self._kept.get((name, here))
        if kept is not None and kept.until > time.monotonic():
            return kept.frame
        try:
            status, body = await self._ask_hub(here, token)
            if status != 200:
                log.warning("The hub answered %s to the frame of a page", status)
                return None
            frame = Frame.model_validate_json(body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValidationError) as error:
            log.warning("The hub renders no frame: %s", type(error).__name__)
            return None
        if len(self._kept) >= MOST_FRAMES:
            self._kept.clear()
        self._kept[name, here] = _Kept(frame, time.monotonic() + KEPT)
        return frame

    async def _ask_hub(self, here: str, token: str) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=FRAME_SECONDS)
        headers = {"Authorization": f"token {token}"}
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.get(self._url, params={"here": here, "static": self._static_url}) as answer,
        ):
            return answer.status, await answer.read()
