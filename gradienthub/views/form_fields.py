"""The entries of the spawn form: its own words, as typed, stored or linked to.

They are hostile and stay text; `rules/options.py` says what they mean.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from ..rules.admission import House, lock
from ..rules.catalog import is_image_reference
from ..rules.duration import format_duration, parse_duration, short_duration
from ..rules.options import (
    INTERFACES,
    KEYS,
    LONGEST_VALUE,
    Interval,
    options_from_form,
    parse_display_name,
    parse_options,
)
from ..rules.refusal import Refused, shown
from ..rules.tiers import Allowance, Tier

Entries = Mapping[str, str]

#: The words of a link, with or without "opt-" before them; the form has its zone beside them.
LINKED = (*KEYS, "display_name")
FIELDS = (*LINKED, "utc_offset")
MOST_NOTES = 8


def entries_of(options: Mapping[str, object] | None) -> dict[str, str]:
    """Return stored options as the form's entries; nothing where they are no options any more."""
    try:
        parsed = parse_options(options)
    except Refused:
        return {}
    entries = {"instance_type": parsed.instance_type, "interface": parsed.interface}
    if parsed.image is not None:
        entries |= {"runtime": "custom", "image": parsed.image}
    elif parsed.runtime is not None:
        entries["runtime"] = parsed.runtime
    if isinstance(parsed.shutdown_after, timedelta):
        entries["shutdown_after"] = short_duration(parsed.shutdown_after)
    elif parsed.shutdown_after is Interval.NEVER:
        entries["shutdown_after"] = "never"
    # An end time was meant for that start: the next one gets none.
    return entries


def prefill(
    query: Mapping[str, str], house: House, allowance: Allowance, now: datetime
) -> tuple[dict[str, str], list[str]]:
    """Return what a link fills in, and a sentence for each of its words that is left out.

    A link is written by anybody: only what this person could choose themselves is taken.
    """
    entries: dict[str, str] = {}
    notes: list[str] = []
    for written, value in query.items():
        key = written.removeprefix("opt-")
        if key not in LINKED:
            notes.append(f"The link’s {shown(written, 40)} is not an option.")
        elif value == "":
            continue
        elif why := _fault_of(key, value, house, allowance, now):
            notes.append(f"The link’s {key} {shown(value, 40)} was left out: {why}")
        else:
            entries[key] = value
    if "image" in entries:
        entries["runtime"] = "custom"
    if moment := stop_at_of(entries):
        # As a date-time field takes it, in UTC; script shows it in the reader's zone.
        entries["stop_at"] = f"{moment:%Y-%m-%dT%H:%M}"
    more = len(notes) - MOST_NOTES
    if more > 0:
        notes[MOST_NOTES:] = [f"{more} more of the link’s words were left out."]
    return entries, notes


def _fault_of(
    key: str, value: str, house: House, allowance: Allowance, now: datetime
) -> str | None:
    tier = allowance.tier
    if len(value) > LONGEST_VALUE:
        return "it is too long."
    if key == "instance_type":
        machine = house.catalog.instance_type(value)
        if machine is None:
            return "there is no such machine."
        refused = lock(machine, allowance, house.tiers, house.catalog.currency)
        return refused.text if refused else None
    if key == "runtime" and value != "custom":
        runtime = house.catalog.runtime(value)
        if runtime is None or not tier.allows_runtime(runtime):
            return f"it is not a runtime of tier {tier.title}."
    if key == "image" and not (is_image_reference(value) and tier.allows_image(value)):
        return f"it is not an image that tier {tier.title} allows."
    if key == "interface" and value not in INTERFACES:
        return f"choose {' or '.join(INTERFACES)}."
    if key == "shutdown_after":
        return _interval_fault(value, tier)
    if key == "stop_at":
        moment = stop_at_of({"stop_at": value})
        return None if moment and moment > now else "it is not a moment in the future."
    if key == "display_name":
        try:
            parse_display_name(value)
        except Refused as refused:
            return refused.hint
    return None


def _interval_fault(value: str, tier: Tier) -> str | None:
    if value == "never":
        return "this tier’s notebooks stop when idle." if tier.shutdown_required else None
    try:
        span = parse_duration(value)
    except ValueError as fault:
        return f"{fault}."
    if tier.allows_interval(span):
        return None
    return (
        f"choose between {format_duration(tier.shutdown_min)} and"
        f" {format_duration(tier.shutdown_max)}."
    )


def stop_at_of(values: Entries) -> datetime | None:
    """Return the end time typed, or None where it is none or nonsense."""
    typed = {key: [values[key]] for key in ("stop_at", "utc_offset") if key in values}
    try:
        return parse_options(options_from_form({**typed, "instance_type": ["-"]})).stop_at
    except Refused:
        return None
