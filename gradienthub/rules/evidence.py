"""What a notebook server's answers say of its use. They are hostile until they were read here."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from .idleness import Answer, Use

#: A longer list is no person's work, and reading only its beginning could miss what is busy.
MOST_ROWS = 500
MOST_NAMES = 5
NAME_LENGTH = 80
#: A notebook's clock may be wrong by hours, but a moment far ahead would hide all later use.
CLOCK_AHEAD = timedelta(days=1)


def answer_from(
    kernels: object, terminals: object, activity: object, sessions: object, now: datetime
) -> Answer:
    """What the bodies of /api/kernels, /api/terminals, gradienthub/activity, /api/sessions mean.

    `activity` is None where our JupyterLab extension is not installed; without `sessions` a busy
    kernel goes by its own name. Raises ValueError, which quotes nothing of them, for what makes no
    sense.
    """
    paths = {_text(_row(row.get("kernel")), "id"): _text(row, "path") for row in _rows(sessions)}
    uses: list[tuple[datetime, Use]] = []
    busy: list[str] = []
    for kernel in _rows(kernels):
        uses.append((_moment(kernel.get("last_activity"), now), Use.KERNEL))
        if _text(kernel, "execution_state") == "busy":
            busy.append(paths.get(_text(kernel, "id")) or _text(kernel, "name"))
    for terminal in _rows(terminals):
        uses.append((_moment(terminal.get("last_activity"), now), Use.TERMINAL))
    if activity is not None and (person_at := _row(activity).get("person_at", "")) is not None:
        uses.append((_moment(person_at, now), Use.PERSON))
    used_at, used_by = max(uses, key=lambda use: use[0], default=(None, Use.KERNEL))
    return Answer(_shown(busy), used_at, Use.KERNEL if busy else used_by)


def _rows(body: object) -> Sequence[Mapping[str, object]]:
    if not isinstance(body, list) or len(body) > MOST_ROWS:
        raise ValueError(f"not a list of at most {MOST_ROWS}")
    return [_row(row) for row in body]


def _row(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ValueError("something that is not an object")
    return value


def _text(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is not a text")
    return value


def _moment(value: object, now: datetime) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a moment is not a text")
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("a moment is not one of ISO 8601 with its zone") from None
    if moment - now > CLOCK_AHEAD:
        raise ValueError("a moment is more than a day ahead")
    return moment


def _shown(names: Sequence[str]) -> tuple[str, ...]:
    """Few, short and printable; of a long path the end, which tells one from another."""
    shown = [
        "".join(c if c.isprintable() else "?" for c in name[-NAME_LENGTH:]) for name in names
    ]  # fmt: skip
    different = tuple(dict.fromkeys(shown))
    if len(different) <= MOST_NAMES:
        return different
    return (*different[:MOST_NAMES], f"{len(different) - MOST_NAMES} more")
