"""Messages by mail, chat or webhook, through Apprise; no target stops or delays another.

The addresses contain passwords: they are in the operator's file and in Apprise, and nowhere else.
A target is known to people by its line in that file.
"""

import asyncio
import logging
import re
import stat
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Protocol
from urllib.parse import quote

from ..ledger.findings import NewFinding
from ..views.messages import Recipient

log = logging.getLogger("gradienthub")

#: Seconds for one message to one target, with all its tries.
LONGEST = 15.0
#: Messages on their way at once; to one target, so that one that hangs leaves room for others.
AT_ONCE = 8
AT_ONCE_EACH = 2
MOST_WAITING = 1000
#: Seconds before the second and before the third try.
PAUSES = (0.5, 2.0)
#: Libraries below Apprise that write addresses into their logs, some at their lowest level only.
TALKATIVE = ("apprise", "urllib3", "requests_oauthlib", "oauthlib")
#: A name that means nothing more to a chat service once it stands in an address.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,254}")


@dataclass(frozen=True)
class Target:
    """A line of the file: `name` is which, without its secrets; `template` is the line."""

    name: str
    template: str = field(repr=False)

    def address(self, people: Recipient) -> str | None:
        """Return the Apprise address for these people; None where it needs what they do not
        have."""
        values = {
            "{user}": people.name if _PLAIN_NAME.fullmatch(people.name) else "",
            "{email}": people.email,
        }
        address = self.template
        for placeholder, value in values.items():
            if placeholder in address:
                if not value:
                    return None
                address = address.replace(placeholder, quote(value, safe=""))
        return address


def targets_in(text: str) -> tuple[Target, ...]:
    """Return the targets of a file's text; empty lines and those that begin with # are none."""
    targets = []
    for number, line in enumerate(text.splitlines(), 1):
        template = line.strip()
        if template and not template.startswith("#"):
            scheme = re.match(r"[a-z0-9]{1,20}(?=://)", template, re.IGNORECASE)
            name = f"line {number} ({scheme[0].lower()})" if scheme else f"line {number}"
            targets.append(Target(name, template))
    return tuple(targets)


@dataclass(eq=False)
class _Delivery:
    """One message to one target; `outcome` becomes why it failed, "" where it did not."""

    target: Target
    address: str = field(repr=False)
    title: str
    body: str
    outcome: "asyncio.Future[str]"


class Notifier:
    """Sends messages to the targets in a file. Belongs to one event loop and never blocks it."""

    def __init__(self, path: str) -> None:
        """Prepare for the targets of a file, which is read when there is something to send.

        `path` "" has none.
        """
        self.path = path
        self._stamp: tuple[int, ...] | None = None
        self._targets: tuple[Target, ...] = ()
        self._waiting: deque[_Delivery] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._busy: Counter[str] = Counter()
        #: Target -> how many of its threads were given up and have not come back.
        self._hung: Counter[str] = Counter()
        #: Target -> why the last message to it failed.
        self._failing: dict[str, str] = {}

    async def send(self, people: Recipient, title: str, body: str) -> list[str]:
        """Tell these people; the names of the targets that failed. Never raises for a target.

        Returns when all targets took it or failed, which may be after minutes where many
        messages wait: to go on meanwhile, run it as a task.
        """
        if not self.path:
            return []
        targets = await asyncio.to_thread(self._read)
        loop = asyncio.get_running_loop()
        deliveries = [
            _Delivery(target, address, title, body, loop.create_future())
            for target in targets
            if (address := target.address(people))
        ]
        self._waiting.extend(deliveries)
        self._drop_oldest()
        self._start_next()
        outcomes = await asyncio.gather(*(delivery.outcome for delivery in deliveries))
        return [d.target.name for d, why in zip(deliveries, outcomes, strict=True) if why]

    def findings(self) -> list[NewFinding]:
        """Return what is wrong now: targets whose last message failed, and a file that is not to be
        read.

        A target that takes a message again is no longer among them.
        """
        return [
            NewFinding(
                key=f"notify {name}",
                kind="notify",
                why=f"Messages do not reach {name} of notify_file: {why}",
                repair="See that this target runs and that its line is right; `apprise -vv` with"
                " the line sends a test",
            )
            for name, why in self._failing.items()
        ]

    async def close(self) -> None:
        """Give up what waits and what is on its way."""
        for delivery in self._waiting:
            delivery.outcome.cancel()
        self._waiting.clear()
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _read(self) -> tuple[Target, ...]:
        """Return the targets as the file is now, read again only if it changed."""
        try:
            status = Path(self.path).stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                self._targets = targets_in(Path(self.path).read_text())
                # Lines may have moved: what is known of them is of others now.
                self._failing, self._stamp = {}, stamp
        except (OSError, UnicodeDecodeError) as error:
            self._targets, self._stamp = (), None
            self._failing = {"the file": f"it cannot be read: {_why_unread(error)}"}
        return self._targets

    def _drop_oldest(self) -> None:
        dropped = 0
        while len(self._waiting) > MOST_WAITING:
            self._finish(self._waiting.popleft(), "too many messages were waiting")
            dropped += 1
        if dropped:
            log.warning("Dropped messages, those that had waited longest: %s", dropped)

    def _start_next(self) -> None:
        """Start what may start, the oldest first; a target with enough on its way is passed by."""
        for delivery in list(self._waiting):
            if len(self._running) >= AT_ONCE:
                return
            if self._busy[delivery.target.name] < AT_ONCE_EACH:
                self._waiting.remove(delivery)
                self._busy[delivery.target.name] += 1
                task = asyncio.get_running_loop().create_task(self._deliver(delivery))
                self._running.add(task)
                task.add_done_callback(partial(self._delivered, delivery))

    def _delivered(self, delivery: _Delivery, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._busy[delivery.target.name] -= 1
        if task.cancelled():
            delivery.outcome.cancel()
        else:
            self._start_next()

    async def _deliver(self, delivery: _Delivery) -> None:
        name = delivery.target.name
        why = await self._tried(delivery)
        if not why:
            self._failing.pop(name, None)
        elif name not in self._failing:
            log.warning("Messages do not reach %s of notify_file: %s", name, why)
        self._finish(delivery, why)

    def _finish(self, delivery: _Delivery, why: str) -> None:
        if why:
            self._failing[delivery.target.name] = why
        if not delivery.outcome.done():
            delivery.outcome.set_result(why)

    async def _tried(self, delivery: _Delivery) -> str:
        """Send it, and return why it failed or "".

        A target that is known to be down gets one try.
        """
        name, loop = delivery.target.name, asyncio.get_running_loop()
        if self._hung[name]:
            return "an earlier message to it still hangs"
        deadline = loop.time() + LONGEST
        pauses = () if name in self._failing else PAUSES
        for pause in (*pauses, None):
            answer = _in_thread(lambda: _notify(delivery))
            await asyncio.wait({answer}, timeout=deadline - loop.time())
            if not answer.done():
                self._hung[name] += 1
                answer.add_done_callback(lambda _: self._hung.subtract([name]))
                return f"it did not take one within {LONGEST:g} s"
            if not (why := answer.result()) or pause is None or loop.time() + pause > deadline:
                return why
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns")


def _in_thread(work: Callable[[], str]) -> "asyncio.Future[str]":
    """Return the answer of `work`, which runs in a thread of its own.

    Not in a pool's: a pool waits at the end of the process for a thread that hangs.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def tell(why: str) -> None:
        if not answer.done():
            answer.set_result(why)

    def run() -> None:
        why = work()
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(tell, why)

    threading.Thread(target=run, name="notify", daemon=True).start()
    return answer


def _notify(delivery: _Delivery) -> str:
    """Send the message and wait. Return why the target did not take it, or "". Never raises."""
    try:
        import apprise  # noqa: PLC0415 - an extra, and half a second to load
    except ImportError:
        return "the package apprise is not there (pip install 'gradienthub[notify]')"
    _be_quiet()
    try:
        service = _service(apprise, delivery.address)
        if service is None:
            return "Apprise does not understand the line"
        # Plain text: what a target takes as HTML or Markdown is escaped on the way there.
        taken = service.notify(title=delivery.title, body=delivery.body, body_format="text")
    except Exception as error:  # whatever a library raises may quote the address
        return f"it failed with {type(error).__name__}"
    return "" if taken else "it did not take the message"


def _be_quiet() -> None:
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _why_unread(error: OSError | UnicodeDecodeError) -> str:
    return (isinstance(error, OSError) and error.strerror) or "it is not text"


class _Service(Protocol):
    def notify(self, *, title: str, body: str, body_format: str) -> bool | None: ...


def _service(apprise: ModuleType, address: str) -> _Service | None:
    """Return the one target of an address, or None.

    Apprise's own time limit and retries are off.
    """
    asset = apprise.AppriseAsset(service_timeout=0, async_mode=False)
    target = apprise.Apprise.instantiate(address, asset=asset)
    if target is None:
        return None
    target.retry = 0
    service = apprise.Apprise(asset=asset)
    service.add(target)
    sending: _Service = service
    return sending


# -- for `gradienthub check` --------------------------------------------------------------------


@dataclass(frozen=True)
class FileSeen:
    """What a look at a notify_file showed. `away`: why it cannot be read."""

    path: str
    away: str = ""
    everybody_reads: bool = False
    installed: bool = True
    targets: int = 0
    bad_lines: tuple[str, ...] = ()


def look_at(path: str) -> FileSeen:
    """Read the file as the keeper would. Sends nothing."""
    try:
        everybody = bool(Path(path).stat().st_mode & stat.S_IROTH)
        targets = targets_in(Path(path).read_text())
    except (OSError, UnicodeDecodeError) as error:
        return FileSeen(path, away=_why_unread(error))
    try:
        import apprise  # noqa: PLC0415 - as above
    except ImportError:
        return FileSeen(path, everybody_reads=everybody, installed=False, targets=len(targets))
    _be_quiet()
    somebody = Recipient("somebody", "somebody@example.com")
    bad = [t.name for t in targets if _service(apprise, t.address(somebody) or "") is None]
    return FileSeen(path, everybody_reads=everybody, targets=len(targets), bad_lines=tuple(bad))
