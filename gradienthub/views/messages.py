"""What people are told of a stop, before and after it, in words for mail and chat; and who is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..rules.duration import format_duration
from ..rules.idleness import REQUESTS_COUNT, Reason, Stop, Warn
from ..rules.refusal import shown
from ..rules.services import service_of
from .lease import LeaseView

LONGEST_EMAIL = 254
LONGEST_TEXT = 400
#: One plain address: what separates addresses, or begins a header or a part of a URL, is not in it.
_EMAIL = re.compile(r"[A-Za-z0-9.!#$*+=^_`{|}~-]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+")
#: Chat services read `<!channel>`, `@everyone` and `[words](address)`; a notebook's name may be so.
_HARMLESS = str.maketrans({"<": "‹", ">": "›", "@": "＠", "[": "(", "]": ")", "`": "'"})

#: How to keep it, where the view does not say what Extend would give. `{here}` is a place or "".
_TO_KEEP = {
    Reason.IDLE: "To keep it, use it or press Extend{here}.",
    Reason.UNKNOWN_USE: "It does not say whether it is used. To keep it, press Extend{here}; if it"
    " does not answer you either, stop it and start it again.",
    Reason.NO_WORK: "A cell may wait for input, or hang. To keep it, let it work or press"
    " Extend{here}.",
    Reason.STOP_AT: "To keep it, press Extend{here}.",
    Reason.SESSION_LIMIT: "It cannot be kept longer: save your work now.",
    Reason.BUDGET: "To keep it, add credit or ask for a larger budget; else save your work.",
}
_STOPPED = {
    Reason.USER: "its owner stopped it",
    Reason.SESSION_LIMIT: "its tier's session limit is reached",
    Reason.STOP_AT: "the end time that its owner chose is reached",
    Reason.BUDGET: "the money for it has ended",
    Reason.CRASHED: "its server crashed",
    Reason.ENDED_ITSELF: "its server ended by itself, in order",
    Reason.START_FAILED: "it did not start",
    Reason.LOST: "its machine or container is gone",
    Reason.ADMIN: "an administrator stopped it",
    Reason.HUB: "the hub stopped it",
}
_AFTERWARDS = {
    Reason.BUDGET: "Its files are kept. Add credit or ask for a larger budget, then start it"
    " again{here}.",
    Reason.CRASHED: "Its files are kept. Where its memory was full, start it again on a larger"
    " machine{here}.",
    Reason.ENDED_ITSELF: "Its files are kept. Shut Down in its menu does that, and so does an idle"
    " limit that its image brings. Start it again{here}.",
    Reason.START_FAILED: "Nothing was charged. Try again{here}, or choose another runtime.",
}


@dataclass(frozen=True)
class Recipient:
    """Who is told: a hub user's name, and their mail address or "" where none is known."""

    name: str
    email: str = ""


def recipient(name: str, claims: Mapping[str, Any]) -> Recipient:
    """A person as a recipient, by what their identity provider said.

    An address that the provider calls unverified may be anybody's, and is not used.
    """
    email = claims.get("email")
    if not isinstance(email, str) or len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        return Recipient(name)
    # Some providers write their booleans as words.
    if "email_verified" in claims and claims["email_verified"] not in (True, "true"):
        return Recipient(name)
    return Recipient(name, email)


def warning_message(view: LeaseView, warn: Warn, url: str = "") -> tuple[str, str]:
    """(title, body) of a warning. `url`: the Notebooks page as people reach it, "" if unknown."""
    notebook, left = _plain(shown(view.notebook)), format_duration(warn.stops_at - view.now)
    lines = [
        f"Notebook {notebook} of {_name(view)} on {_plain(view.machine)} stops at"
        f" {_moment(warn.stops_at)}, in {left}.",
        f"Why: {_plain(warn.why)}.",
        _cost(view),
        _to_keep(view, warn.reason, url),
    ]
    return f"{notebook} stops in {left}: {_plain(warn.why)}", "\n".join(lines)


def stopped_message(view: LeaseView, stop: Stop, url: str = "") -> tuple[str, str]:
    """(title, body) of a stop that was asked for or found. `url` as in `warning_message`."""
    notebook, why = _plain(shown(view.notebook)), _STOPPED.get(stop.reason, _plain(stop.why))
    if service := service_of(view.stopped_by):
        why = f"the service {_plain(shown(service, 60))} stopped it"
    at = view.stop_requested_at or view.ended_at or view.now
    ran = f" after {format_duration(at - view.answered_at)}" if view.answered_at else ""
    lines = [
        f"Notebook {notebook} of {_name(view)} on {_plain(view.machine)} was stopped at"
        f" {_moment(at)}{ran}.",
        f"Why: {why}.",
        *([f"Note: {_plain(shown(view.stop_note, 400))}"] if view.stop_note else []),
        _cost(view),
        _AFTERWARDS.get(stop.reason, "Its files are kept; start it again{here}.").format(
            here=_here(url)
        ),
    ]
    return f"{notebook} was stopped: {why}", "\n".join(lines)


def _to_keep(view: LeaseView, reason: Reason, url: str) -> str:
    extension = view.extend
    if extension and extension.refused:
        return f"{extension.refused.message} {extension.refused.hint}".strip()
    said = _TO_KEEP.get(reason, "Save your work.").format(here=_here(url))
    if view.counts_requests and reason is Reason.IDLE:
        said += f" {REQUESTS_COUNT}."
    if extension and extension.until:
        more = f" for at most {extension.cost_text} more" if view.price else ""
        said += f" Extend keeps it until {_moment(extension.until)}{more}."
    return said


def _cost(view: LeaseView) -> str:
    return f"Cost so far: {view.cost_text} ({view.price_text})." if view.price else "It is free."


def _here(url: str) -> str:
    return f" at {url}" if url else ""


def _name(view: LeaseView) -> str:
    return _plain(view.user[:100])


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _plain(text: str) -> str:
    """One line without what a mail header or a chat service would take for its own."""
    return "".join(c if c.isprintable() else " " for c in text[:LONGEST_TEXT]).translate(_HARMLESS)
