"""Messages: what people read of a stop by mail or chat, before and after it, and who does."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..rules.duration import format_duration
from ..rules.idleness import Reason, Stop, Warn
from ..rules.refusal import shown
from ..rules.services import service_of
from ..rules.use import REQUESTS_COUNT
from .lease_view import LeaseView
from .reasons import REASONS, cure_after, cure_before

LONGEST_EMAIL = 254
LONGEST_TEXT = 400
#: One plain address: what separates addresses, or begins a header or a part of a URL, is not in it.
_EMAIL = re.compile(r"[A-Za-z0-9.!#$*+=^_`{|}~-]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+")
#: Chat services read `<!channel>`, `@everyone` and `[words](address)`; a notebook's name may be so.
_HARMLESS = str.maketrans({"<": "‹", ">": "›", "@": "＠", "[": "(", "]": ")", "`": "'"})


@dataclass(frozen=True)
class Recipient:
    """Who gets a message: a hub user's name, and their mail address or "" where none is known."""

    name: str
    email: str = ""


def recipient(name: str, claims: Mapping[str, object]) -> Recipient:
    """Return a person as a recipient, by the claims of their identity provider.

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
    """Return (title, body) of a warning.

    `url`: the Notebooks page as people reach it, "" if unknown.
    """
    notebook, left = _flatten(shown(view.notebook)), format_duration(warn.stops_at - view.now)
    lines = [
        f"Notebook {notebook} of {_name(view)} on {_flatten(view.machine)} stops at"
        f" {_moment(warn.stops_at)}, in {left}.",
        f"Why: {_flatten(warn.why)}.",
        _cost(view),
        _to_keep(view, warn.reason, url),
    ]
    return f"{notebook} stops in {left}: {_flatten(warn.why)}", "\n".join(lines)


def stopped_message(view: LeaseView, stop: Stop, url: str = "") -> tuple[str, str]:
    """Return (title, body) of a stop that was asked for or found; `url` as in `warning_message`."""
    notebook, why = (
        _flatten(shown(view.notebook)),
        _flatten(stop.why or REASONS[stop.reason].sentence),
    )
    if service := service_of(view.stopped_by):
        why = f"the service {_flatten(shown(service, 60))} stopped it"
    at = view.stop_requested_at or view.ended_at or view.now
    ran = f" after {format_duration(at - view.answered_at)}" if view.answered_at else ""
    lines = [
        f"Notebook {notebook} of {_name(view)} on {_flatten(view.machine)} was stopped at"
        f" {_moment(at)}{ran}.",
        f"Why: {why}.",
        *([f"Note: {_flatten(shown(view.words_given, 400))}"] if view.words_given else []),
        _cost(view),
        cure_after(stop.reason, url),
    ]
    return f"{notebook} was stopped: {why}", "\n".join(lines)


def _to_keep(view: LeaseView, reason: Reason, url: str) -> str:
    extension = view.extend
    if extension and extension.refused:
        return f"{extension.refused.message} {extension.refused.hint}".strip()
    text = cure_before(reason, url)
    if view.counts_requests and reason is Reason.IDLE:
        text += f" {REQUESTS_COUNT}."
    if extension and extension.until:
        more = f" for at most {extension.cost_text} more" if view.price else ""
        text += f" Extend keeps it until {_moment(extension.until)}{more}."
    return text


def _cost(view: LeaseView) -> str:
    return f"Cost so far: {view.cost_text} ({view.price_text})." if view.price else "It is free."


def _name(view: LeaseView) -> str:
    return _flatten(view.user[:100])


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _flatten(text: str) -> str:
    """Return one line without what a mail header or a chat service would take for its own."""
    return "".join(c if c.isprintable() else " " for c in text[:LONGEST_TEXT]).translate(_HARMLESS)
