"""A start's options, parsed from hostile input into one immutable value.

One function parses them on every path (form, POST, PUT, PATCH, saved, query string) and at every
start. Nothing is guessed and nothing unknown is dropped silently.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Literal

from .catalog import is_image_reference
from .duration import parse_duration, short_duration
from .refusal import Refused, shown

Interface = Literal["lab", "notebook"]
INTERFACES: tuple[Interface, ...] = ("lab", "notebook")
KEYS = ("instance_type", "runtime", "image", "shutdown_after", "stop_at", "interface")
LONGEST_VALUE = 300
LONGEST_NAME = 60


class Interval(Enum):
    """Intervals that are not a duration."""

    UNSET = "unset"  # left out: the tier's default, where it has one
    NEVER = "never"  # null: no idle stop, where the tier allows it


@dataclass(frozen=True)
class StartOptions:
    """What one start asks for. Well-formed; whether it is allowed is admission's question."""

    instance_type: str
    runtime: str | None = None
    image: str | None = None
    shutdown_after: timedelta | Interval = Interval.UNSET
    stop_at: datetime | None = None
    interface: Interface = "lab"

    def as_json(self) -> dict[str, object]:
        """Return the same options as a request body would write them; parsing it gives an equal
        value."""
        body: dict[str, object] = {"instance_type": self.instance_type, "interface": self.interface}
        if self.runtime is not None:
            body["runtime"] = self.runtime
        if self.image is not None:
            body["image"] = self.image
        if isinstance(self.shutdown_after, timedelta):
            body["shutdown_after"] = short_duration(self.shutdown_after)
        elif self.shutdown_after is Interval.NEVER:
            body["shutdown_after"] = None
        if self.stop_at is not None:
            body["stop_at"] = self.stop_at.isoformat()
        return body


def parse_options(raw: object) -> StartOptions:
    """Parse a request body into options. Raises Refused (400) naming the field and the cure."""
    if not isinstance(raw, Mapping):
        raise Refused("bad_body", "Options are a JSON object.", f"Known keys: {', '.join(KEYS)}.")
    _refuse_unknown(raw)
    instance_type = _optional_text(raw, "instance_type")
    if instance_type is None:
        raise Refused(
            "no_instance_type",
            "No instance type was chosen.",
            "Choose one on the form, or set instance_type.",
            field="instance_type",
        )
    runtime, image = _runtime_or_image(raw)
    return StartOptions(
        instance_type=instance_type,
        runtime=runtime,
        image=image,
        shutdown_after=_interval(raw),
        stop_at=_stop_at(raw.get("stop_at")),
        interface=_interface(raw.get("interface")),
    )


def _refuse_unknown(raw: Mapping[object, object]) -> None:
    for key in raw:
        if key not in KEYS:
            raise Refused(
                "unknown_option",
                f"{shown(key)} is not an option.",
                f"Known options: {', '.join(KEYS)}. Options saved by another version may hold"
                " others: open the form and choose again.",
                field=shown(key, 40),
            )


def _runtime_or_image(raw: Mapping[str, object]) -> tuple[str | None, str | None]:
    image = _optional_text(raw, "image")
    runtime = _optional_text(raw, "runtime")
    if image is not None and runtime is not None:
        raise Refused(
            "bad_option", "Both runtime and image are set.", "Leave one of them out.", field="image"
        )
    if image is not None and not is_image_reference(image):
        raise Refused(
            "bad_image",
            f"{shown(image)} is not an image name.",
            "Write it like ghcr.io/acme/train:1.4, without options or spaces.",
            field="image",
        )
    return runtime, image


def with_default_type(raw: object, instance_type: str | None) -> object:
    """Return the options with an instance type where they name none.

    `instance_type` None leaves them as they are, and parsing them then refuses the start.
    """
    if instance_type is None or not isinstance(raw, Mapping) or raw.get("instance_type"):
        return raw
    return {**raw, "instance_type": instance_type}


def _text(value: object, key: str) -> str:
    if not isinstance(value, str):
        raise Refused(
            "bad_option", f"{key} is {shown(value)}, not text.", "Write it in quotes.", field=key
        )
    if len(value) > LONGEST_VALUE or not value.isprintable():
        raise Refused(
            "bad_option",
            f"{key} is {shown(value)}, which is too long or holds control characters.",
            f"At most {LONGEST_VALUE} printable characters.",
            field=key,
        )
    return value.strip()


def _optional_text(raw: Mapping[str, object], key: str) -> str | None:
    value = raw.get(key)
    return None if value is None else _text(value, key) or None


def _interval(raw: Mapping[str, object]) -> timedelta | Interval:
    if "shutdown_after" not in raw:
        return Interval.UNSET
    value = raw["shutdown_after"]
    if value is None:
        return Interval.NEVER
    try:
        return parse_duration(value)
    except ValueError as fault:
        raise Refused(
            "bad_interval",
            f"shutdown_after is {shown(value)}: {fault}.",
            'Write for example "30m", "6h" or a number of seconds.',
            field="shutdown_after",
        ) from None


def _stop_at(value: object) -> datetime | None:
    if value is None or value == "":
        return None
    cure = 'Write the date, time and zone, for example "2026-11-24T18:00:00+01:00".'
    if not isinstance(value, str):
        raise Refused("bad_stop_at", f"stop_at is {shown(value)}, not text.", cure, field="stop_at")
    try:
        moment = datetime.fromisoformat(value)
        # Python reads over a zero byte at the end.
        if moment.tzinfo is None or not value.isprintable():
            raise ValueError
        # Years 1 and 9999 leave the calendar when moved to UTC.
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(
            "bad_stop_at",
            f"stop_at is {shown(value)}, not a moment with its time zone.",
            cure,
            field="stop_at",
        ) from None


def _interface(value: object) -> Interface:
    if value is None:
        return "lab"
    for interface in INTERFACES:
        if value == interface:
            return interface
    raise Refused(
        "bad_option",
        f"interface is {shown(value)}.",
        f"Choose {' or '.join(INTERFACES)}.",
        field="interface",
    )


def options_from_form(form: Mapping[str, Sequence[object]]) -> dict[str, object]:
    """Turn a posted form (field -> values) into a request body, which is then parsed as any other.

    Fields of the page itself (`_xsrf`, `display_name`, `step`) are left out. An untouched field is
    empty text and counts as left out. `custom` as runtime means the image field counts.
    `shutdown_after` of "never" is null. `stop_at` comes from a date-time field, in the zone that
    `utc_offset` names (minutes east; UTC without script).
    """
    first = {key: values[0] for key, values in form.items() if values}
    body: dict[str, object] = {}
    for key, value in first.items():
        if key in ("_xsrf", "display_name", "step", "utc_offset", "server_name"):
            continue
        if value != "" or key == "instance_type":
            body[key] = value
    if body.get("runtime") == "custom":
        del body["runtime"]
        if "image" not in body:
            raise Refused(
                "bad_image",
                "Custom image was chosen, but no image was named.",
                "Write its full name, or choose a runtime.",
                field="image",
            )
    elif "runtime" in body:
        # What was typed before another runtime was chosen. Without a runtime the image counts.
        body.pop("image", None)
    if body.get("shutdown_after") == "never":
        body["shutdown_after"] = None
    moment = body.get("stop_at")
    if isinstance(moment, str):
        body["stop_at"] = _with_zone(moment, first.get("utc_offset"))
    return body


def _with_zone(moment: str, utc_offset: object) -> str:
    """Append the browser's offset to a form's local "2026-11-24T18:00"."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?", moment, re.ASCII):
        return moment
    minutes = 0
    if isinstance(utc_offset, str) and re.fullmatch(r"-?\d{1,3}", utc_offset, re.ASCII):
        minutes = int(utc_offset)
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return f"{moment}{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def parse_display_name(value: object) -> str:
    """Parse a notebook's free-text name: normalized, printable, 1 to 60 characters.

    Raises Refused.
    """
    if not isinstance(value, str):
        raise Refused("bad_name", "A name is text.", "Write it in quotes.", field="display_name")
    # Bounded before it is normalised: a megabyte of combining marks takes seconds.
    bounded = value if len(value) <= LONGEST_NAME * 8 else ""
    name = " ".join(unicodedata.normalize("NFC", bounded).split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Refused(
            "bad_name",
            f"The name {shown(value)} cannot be used.",
            f"A name has 1 to {LONGEST_NAME} printable characters.",
            field="display_name",
        )
    return name


def slug_of(display_name: str) -> str:
    """Return the server name for a display name, as JupyterHub 6 takes it: `[a-z][a-z0-9-]{0,29}`.

    Never empty: a name without a Latin letter becomes "notebook" with what digits it has.
    """
    ascii_name = unicodedata.normalize("NFKD", display_name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")
    if not slug or not slug[0].isalpha():
        slug = f"notebook-{slug}".strip("-")
    return slug[:30].strip("-")
