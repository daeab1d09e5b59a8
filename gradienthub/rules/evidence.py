"""What a notebook server's answers say of its use. They are hostile until they were read here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from .use import Answer, Use

#: Rows of a list that are read. A longer list is no person's work; the rest of it is unread.
MOST_ROWS = 500
#: Moments that are kept from one look to the next.
MOST_MOMENTS = 50
MOST_NAMES = 5
NAME_LENGTH = 80
#: A notebook's clock may be wrong by hours, but a moment far ahead would hide all later use.
CLOCK_AHEAD = timedelta(days=1)


class Unread:
    """The body of a page that could not be read."""


UNREAD = Unread()


@dataclass
class _Signals:
    """What was read so far: a moment of each signal, and names of what could not be read."""

    now: datetime
    moments: dict[str, tuple[datetime, Use]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def add(self, key: str, word: object, use: Use) -> bool:
        """Add a moment; return whether it made sense."""
        moment = _moment(word, self.now)
        if moment is None:
            return False
        if key not in self.moments or self.moments[key][0] < moment:
            self.moments[key] = (moment, use)
        return True

    def miss(self, rows: int, total: int, what: str) -> None:
        """Note that so many rows of `total` could not be read."""
        if rows:
            self.unread.append(f"{rows} of {total} {what}")

    def newest(self) -> dict[str, tuple[datetime, Use]]:
        """Return the moments that are kept, the newest first."""
        kept = sorted(self.moments.items(), key=lambda moment: moment[1][0], reverse=True)
        return dict(kept[:MOST_MOMENTS])


def answer_from(
    kernels: object,
    terminals: object,
    activity: object,
    sessions: object,
    now: datetime,
    status: object = None,
) -> Answer:
    """Return what the bodies of a notebook's pages say of its use.

    The pages are /api/kernels, /api/terminals, gradienthub/activity, /api/sessions and, where
    requests count as use, /api/status; UNREAD stands for one that could not be read. `activity` is
    None where our JupyterLab extension is not installed, and `status` where requests do not count.
    A row or page that makes no sense hides no other: it is named in the answer's `unread`. Without
    `sessions` a busy kernel goes by its own name. Raises ValueError, which quotes nothing of
    them, where the kernels cannot be read and nothing else shows use.
    """
    signals = _Signals(now)
    busy = _read_kernels(kernels, _paths(sessions), signals)
    _read_terminals(terminals, signals)
    if activity is not None and not _is_nobody(activity):
        _read_value(activity, "person_at", Use.PERSON, "what a person does in it", signals)
    if status is not None:
        _read_value(status, "last_activity", Use.REQUEST, "its requests", signals)
    if not isinstance(kernels, list) and not signals.moments:
        raise ValueError("its kernels cannot be read")
    moments = signals.newest()
    used_at, used_by = next(iter(moments.values()), (None, Use.KERNEL))
    return Answer(
        _shorten(busy), used_at, Use.KERNEL if busy else used_by, moments, tuple(signals.unread)
    )


def _paths(sessions: object) -> dict[str, str]:
    """Return the notebook's path of each kernel, as far as the sessions tell it."""
    paths = {}
    for row in sessions[:MOST_ROWS] if isinstance(sessions, list) else ():
        kernel = _value(row, "kernel")
        number, path = _value(kernel, "id"), _value(row, "path")
        if isinstance(number, str) and isinstance(path, str):
            paths[number] = path
    return paths


def _read_kernels(kernels: object, paths: Mapping[str, str], signals: _Signals) -> list[str]:
    """Add the kernels' moments; return the names of those that are busy."""
    if not isinstance(kernels, list):
        signals.unread.append("its kernels")
        return []
    busy, missed = [], max(0, len(kernels) - MOST_ROWS)
    for row in kernels[:MOST_ROWS]:
        number, name, state = (_value(row, key) for key in ("id", "name", "execution_state"))
        is_dated = signals.add(_key("k", number), _value(row, "last_activity"), Use.KERNEL)
        if state == "busy":
            path = paths.get(number) if isinstance(number, str) else None
            busy.append(path or (name if isinstance(name, str) and name else "a kernel"))
        elif not is_dated or not isinstance(state, str):
            missed += 1
    signals.miss(missed, len(kernels), "kernels")
    return busy


def _read_terminals(terminals: object, signals: _Signals) -> None:
    if not isinstance(terminals, list):
        signals.unread.append("its terminals")
        return
    missed = max(0, len(terminals) - MOST_ROWS)
    for row in terminals[:MOST_ROWS]:
        key = _key("t", _value(row, "name"))
        missed += not signals.add(key, _value(row, "last_activity"), Use.TERMINAL)
    signals.miss(missed, len(terminals), "terminals")


def _read_value(body: object, key: str, use: Use, what: str, signals: _Signals) -> None:
    if not signals.add(use.value, _value(body, key), use):
        signals.unread.append(what)


def _is_nobody(activity: object) -> bool:
    """Return whether our extension says that nobody was there yet."""
    return isinstance(activity, Mapping) and activity.get("person_at", "") is None


def _value(row: object, key: str) -> object:
    return row.get(key) if isinstance(row, Mapping) else None


def _key(kind: str, name: object) -> str:
    """Return a short name of a signal; those without a name of their own share one."""
    if not isinstance(name, str):
        return kind
    return kind + sha256(name.encode("utf-8", "replace")).hexdigest()[:8]


def _moment(value: object, now: datetime) -> datetime | None:
    """Return a moment of ISO 8601 with its zone, at most a day ahead; None for all else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            return None
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if moment - now > CLOCK_AHEAD else moment


def _shorten(names: Sequence[str]) -> tuple[str, ...]:
    """Shorten names to a few that are short and printable.

    Of a long path the end stays, which tells them apart.
    """
    shown = ["".join(c if c.isprintable() else "?" for c in name[-NAME_LENGTH:]) for name in names]
    different = tuple(dict.fromkeys(shown))
    if len(different) <= MOST_NAMES:
        return different
    return (*different[:MOST_NAMES], f"{len(different) - MOST_NAMES} more")
