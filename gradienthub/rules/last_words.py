"""Last words: which lines of a dead server's log say why it died, and what ended it."""

import re

#: Lines and characters of the part that says why; a deep traceback is cut in its middle.
MOST_LINES, MOST_CHARACTERS = 12, 1200
#: Of one line; more is data, not words.
LONGEST_LINE = 400
#: Lines at the end of a log in which nothing looks like a fault.
PLAIN_LINES = 3

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]")
#: What programs around the server say of themselves at every end: s6, tini, supervisors, shells.
_NOISE = re.compile(
    r"^(s6-[\w-]+: (info|warning)|\[s6-\w+\]|\[(cont-)?(init|finish)(\.d)?\]|\[services\.d\]"
    r"|\[(INFO|DEBUG|WARN|TRACE) +tini |cont-(init|finish): info|(Entered|Running|Done running) "
    r"|Executing the command:|logout$|exit$)"
)
_TRACEBACK = re.compile(r"^\s*Traceback \(most recent call last\):")
_CHAINED = re.compile(
    r"^(The above exception was the direct cause|During handling of the above exception)"
)
#: Jupyter's own lines, "[E 2026-11-27 12:00:00.123 ServerApp] ...", and those of others.
_LEVEL = re.compile(
    r"^\s*\[?(?P<level>[DIWEC]|DEBUG|INFO|WARN(ING)?|ERROR|CRITICAL|FATAL)[\s:\]]"
    r"|^\d{4}-\d\d-\d\d[T ][\d:.,]+\S*[\s|-]+"
    r"(?P<later>DEBUG|INFO|WARN(ING)?|ERROR|CRITICAL|FATAL)\b"
)
_GRAVE = ("E", "C", "ERROR", "CRITICAL", "FATAL")
_MILD = ("W", "WARN", "WARNING")
_FAULT = re.compile(
    r"exec format error|permission denied|no such file or directory|not found"
    r"|address already in use|port \d+ is (already in use|not available)|cannot allocate memory"
    r"|out of memory|segmentation fault|core dumped|illegal instruction|bus error|no space left"
    r"|read-only file system|operation not permitted|oci runtime|unable to (start|find)"
    r"|no module named|cannot open shared object|cuda error|^(.*: )?(killed|aborted)\b"
    r"|\b(fatal|panic|error)\b\s*:|^\w*(Error|Exception)\b",
    re.IGNORECASE,
)
#: What Jupyter says when something ends it, which no person calls a crash.
_ENDED_BY = (
    (
        re.compile(r"Shutting down on /api/shutdown request", re.IGNORECASE),
        "somebody chose Shut Down in its menu",
    ),
    (
        re.compile(
            r"No (kernels|activity).*; ?shutting down|shutting down.*(idle|no activity)",
            re.IGNORECASE,
        ),
        "its image has an idle limit of its own (ServerApp.shutdown_no_activity_timeout)",
    ),
    (
        re.compile(r"received signal \d+, stopping|Received SIG(TERM|INT)", re.IGNORECASE),
        "it was told to stop from outside of the hub, or from inside of it",
    ),
)


def telling_lines(log: str) -> tuple[str, ...]:
    """Return the lines at the end of a log that say why: its last traceback, error or warning.

    Where nothing looks like one, its last lines. Bounded, without colors and control codes.
    """
    lines = [line for line in map(_clean, log.split("\n")) if line.strip()]
    lines = [line for line in lines if not _NOISE.match(line.strip())]
    for grave in (True, False):
        for at in range(len(lines) - 1, -1, -1):
            if _says_why(lines[at], grave=grave) and not _is_inside(lines, at):
                return _shorten(_block(lines, at))
    return _shorten(lines[-PLAIN_LINES:])


def telling_line(log: str) -> str:
    """Return the one line that says most; empty where there is none."""
    lines = telling_lines(log)
    if not lines:
        return ""
    if _TRACEBACK.match(lines[0]):
        return next((line.strip() for line in reversed(lines) if not line[:1].isspace()), "")
    says_why = any(_says_why(lines[0], grave=grave) for grave in (True, False))
    return lines[0 if says_why else -1].strip()


def ended_by(log: str) -> str:
    """Return what ended a server that ended in order, as its own log says; empty if it does not."""
    for line in reversed([_clean(line) for line in log.split("\n")]):
        for pattern, what in _ENDED_BY:
            if pattern.search(line):
                return what
    return ""


def _clean(line: str) -> str:
    # Of a line that was written over again and again, like a download's, the last state counts.
    plain = _ANSI.sub("", line).rstrip("\r").rsplit("\r", 1)[-1]
    kept = "".join(c if c.isprintable() else " " for c in plain.replace("\t", "    "))
    return kept.rstrip()[:LONGEST_LINE]


def _says_why(line: str, *, grave: bool) -> bool:
    if _TRACEBACK.match(line):
        return grave
    level = _LEVEL.match(line)
    name = (level["level"] or level["later"] or "") if level else ""
    if name:
        return name in (_GRAVE if grave else _MILD)
    return grave and bool(_FAULT.search(line))


def _is_inside(lines: list[str], at: int) -> bool:
    """Return whether a line belongs to a traceback that begins before it."""
    begins = _traceback_over(lines, at)
    return begins is not None and begins != at


def _traceback_over(lines: list[str], at: int) -> int | None:
    for start in range(at, -1, -1):
        if _TRACEBACK.match(lines[start]):
            return start if at < _end(lines, start) else None
    return None


def _end(lines: list[str], start: int) -> int:
    """Find the line at which the traceback that begins at `start` names its exception."""
    at = start + 1
    indent = len(lines[start]) - len(lines[start].lstrip())
    while at < len(lines) and len(lines[at]) - len(lines[at].lstrip()) > indent:
        at += 1
    return min(at + 1, len(lines))


def _block(lines: list[str], at: int) -> list[str]:
    if not _TRACEBACK.match(lines[at]):
        end = at + 1
        # What is indented below a line belongs to it.
        while end < len(lines) and lines[end][:1].isspace():
            end += 1
        return lines[at:end]
    return lines[at : _end(lines, at)]


def _shorten(lines: list[str]) -> tuple[str, ...]:
    if len(lines) > MOST_LINES:
        lines = [*lines[:3], "    ...", *lines[3 - MOST_LINES + 1 :]]
    while len(lines) > 1 and sum(map(len, lines)) > MOST_CHARACTERS:
        lines = [lines[0], *lines[2:]]
    return tuple(lines)
