"""Messages go to real HTTP servers of this process: one that works, one down, one that hangs."""

import asyncio
import json
import logging
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import apprise
import pytest

from gradienthub.service import notify
from gradienthub.service.notify import Notifier, look_at, targets_in
from gradienthub.views.messages import Recipient

ANNA = Recipient("anna", "anna@example.org")
BEN = Recipient("ben")
SECRET = "hunter2"


class Webhook(ThreadingHTTPServer):
    """A server that keeps what it is sent and answers `status`; while `held` it does not answer."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Webhook)
        self.status, self.got, self.paths = 200, [], []
        self.free = threading.Event()
        self.free.set()

    @property
    def url(self):
        return f"json://somebody:{SECRET}@127.0.0.1:{self.server_port}"


class _Webhook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append(self.path)
        self.server.got.append(json.loads(body))
        self.server.free.wait(20)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args):
        """Nothing on the test's output."""


@contextmanager
def _serving():
    server = Webhook()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.free.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def webhook():
    with _serving() as server:
        yield server


@pytest.fixture
def hanging():
    with _serving() as server:
        server.free.clear()
        yield server


@pytest.fixture
def down():
    """The address of a port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"json://somebody:{SECRET}@127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(scope="module", autouse=True)
def _loaded():
    """Apprise looks for its plugins at its first use, which takes longer than these tests allow."""
    apprise.Apprise.instantiate("json://localhost")


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes the file of targets and returns its path; times are short."""
    monkeypatch.setattr(notify, "LONGEST", 1.0)
    monkeypatch.setattr(notify, "PAUSES", (0.0, 0.0))
    path = tmp_path / "targets"

    def write(*lines):
        path.write_text("\n".join(lines))
        path.chmod(0o600)
        return str(path)

    return write


async def test_a_message_arrives_as_it_was_written(file, webhook):
    notifier = Notifier(file("# our chat", "", webhook.url))
    assert await notifier.send(ANNA, "“a” stops", "In <b>5 min</b>.\nWhy: idle.") == []
    [got] = webhook.got
    assert (got["title"], got["message"]) == ("“a” stops", "In <b>5 min</b>.\nWhy: idle.")
    assert notifier.findings() == []


async def test_no_file_means_no_messages():
    assert await Notifier("").send(ANNA, "title", "body") == []


async def test_user_and_email_are_filled_in_quoted(file, webhook):
    path = file(f"{webhook.url}/to/{{user}}?+x=1", f"{webhook.url}/mail/{{email}}")
    odd = Recipient("ann+a@example.org", "ann+a@example.org")
    assert targets_in("json://x/{user}")[0].address(odd) == "json://x/ann%2Ba%40example.org"
    assert await Notifier(path).send(odd, "title", "body") == []
    assert sorted(webhook.paths) == ["/mail/ann+a@example.org", "/to/ann+a@example.org"]


async def test_a_line_that_needs_an_address_is_skipped_for_people_without(file, webhook):
    notifier = Notifier(file(f"{webhook.url}/mail/{{email}}", f"{webhook.url}/all"))
    assert await notifier.send(BEN, "title", "body") == []
    assert webhook.paths == ["/all"]


@pytest.mark.parametrize("name", ["a,b", "#general", "@here", "a b", "a/../b", "a&to=b", "a\nb"])
def test_a_name_that_a_chat_service_would_read_otherwise_fills_in_no_line(name):
    [target] = targets_in("slack://TokenA/TokenB/TokenC/@{user}")
    assert target.address(Recipient(name)) is None


async def test_the_file_is_read_again_when_it_changes(file, webhook):
    notifier = Notifier(file(f"{webhook.url}/old"))
    await notifier.send(ANNA, "title", "body")
    file(f"{webhook.url}/new", f"{webhook.url}/second")
    await notifier.send(ANNA, "title", "body")
    assert webhook.paths[0] == "/old" and sorted(webhook.paths[1:]) == ["/new", "/second"]


async def test_a_file_that_is_not_there_is_a_finding_until_it_is(file, webhook, tmp_path):
    notifier = Notifier(str(tmp_path / "targets"))
    assert await notifier.send(ANNA, "title", "body") == []
    [found] = notifier.findings()
    assert "No such file" in found.why
    file(webhook.url)
    await notifier.send(ANNA, "title", "body")
    assert notifier.findings() == [] and len(webhook.got) == 1


async def test_a_target_that_is_down_is_a_finding_and_the_others_get_theirs(file, down, webhook):
    notifier = Notifier(file(down, webhook.url, "nonsense", "json://"))
    failed = await notifier.send(ANNA, "title", "body")
    assert failed == ["line 1 (json)", "line 3", "line 4 (json)"]
    assert len(webhook.got) == 1
    assert {found.key: found.kind for found in notifier.findings()} == {
        "notify line 1 (json)": "notify",
        "notify line 3": "notify",
        "notify line 4 (json)": "notify",
    }


async def test_a_target_that_answers_500_is_tried_three_times_and_then_once(file, webhook):
    webhook.status = 500
    notifier = Notifier(file(f"{webhook.url}?retry=5&wait=0"))
    assert await notifier.send(ANNA, "title", "body") == ["line 1 (json)"]
    assert len(webhook.got) == 3
    await notifier.send(ANNA, "title", "body")
    assert len(webhook.got) == 4
    webhook.status = 200
    assert await notifier.send(ANNA, "title", "body") == []
    assert notifier.findings() == []


async def test_a_target_that_hangs_delays_nobody(file, hanging, webhook, monkeypatch):
    # Long enough for twenty to the other one on a busy machine, and below Apprise's own 4 s.
    monkeypatch.setattr(notify, "LONGEST", 3.0)
    notifier = Notifier(file(hanging.url, webhook.url))
    sent = [asyncio.create_task(notifier.send(ANNA, f"{n}", "body")) for n in range(20)]
    while len(webhook.got) < 20:
        await asyncio.sleep(0.001)
    assert not any(task.done() for task in sent[:2]), "the target that hangs was still waited for"
    assert all(failed == ["line 1 (json)"] for failed in await asyncio.gather(*sent))
    # Two threads hang; nobody waits a second for each of the others behind them.
    assert len(hanging.got) == notify.AT_ONCE_EACH
    hanging.free.set()
    while notifier._hung.total():
        await asyncio.sleep(0.001)
    assert await notifier.send(ANNA, "again", "body") == []


async def test_only_so_many_are_on_their_way_at_once(file, hanging, monkeypatch):
    monkeypatch.setattr(notify, "LONGEST", 5.0)
    notifier = Notifier(file(*[f"{hanging.url}/{n}" for n in range(12)]))
    sent = asyncio.create_task(notifier.send(ANNA, "title", "body"))
    while len(hanging.got) < notify.AT_ONCE:
        await asyncio.sleep(0.001)
    assert threading.active_count() < 30
    assert len(hanging.got) == notify.AT_ONCE and len(notifier._waiting) == 4
    hanging.free.set()
    assert await sent == []
    assert len(hanging.got) == 12


async def test_the_oldest_are_dropped_when_too_many_wait(file, hanging, monkeypatch, caplog):
    monkeypatch.setattr(notify, "MOST_WAITING", 3)
    monkeypatch.setattr(notify, "LONGEST", 5.0)
    notifier = Notifier(file(hanging.url))
    sent = []
    for n in range(8):
        sent.append(asyncio.create_task(notifier.send(ANNA, f"{n}", "body")))
        while len(notifier._waiting) + len(notifier._running) < min(n + 1, 5):
            await asyncio.sleep(0.001)
    await asyncio.wait(sent[2:5])
    hanging.free.set()
    outcomes = await asyncio.gather(*sent)
    assert [bool(failed) for failed in outcomes] == [False] * 2 + [True] * 3 + [False] * 3
    assert sorted(got["title"] for got in hanging.got) == ["0", "1", "5", "6", "7"]
    assert "those that had waited longest: 1" in caplog.text


async def test_closing_gives_up_what_is_on_its_way(file, hanging, monkeypatch):
    monkeypatch.setattr(notify, "LONGEST", 60.0)
    notifier = Notifier(file(hanging.url))
    sent = [asyncio.create_task(notifier.send(ANNA, "title", "body")) for _ in range(4)]
    while len(hanging.got) < 2:
        await asyncio.sleep(0.001)
    await notifier.close()
    assert all(task.cancelled() for task in (await asyncio.wait(sent))[0])


async def test_no_secret_is_logged_found_or_raised(file, down, webhook, hanging, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    for name in notify.TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET)
    webhook.status = 500
    path = file(
        down,
        f"{webhook.url}/{SECRET}?+X-Token={SECRET}",
        hanging.url,
        f"mailto://me:{SECRET}@127.0.0.1:1?to={{email}}&smtp=127.0.0.1&mode=insecure",
        f"slack://{SECRET}",
        f"nosuch://{SECRET}",
        SECRET,
    )
    notifier = Notifier(path)
    failed = await notifier.send(ANNA, "title", "body")
    assert len(failed) == 7
    said = [
        *failed,
        *map(repr, notifier.findings()),
        repr(look_at(path)),
        caplog.text,
        *capfd.readouterr(),
    ]
    said += [repr(target) for target in targets_in(Path(path).read_text())]
    assert not [text for text in said if SECRET in text]
    assert "Messages do not reach line 1 (json)" in caplog.text


def test_check_sees_what_is_wrong_with_the_file(file, webhook, tmp_path):
    path = file(webhook.url, "nosuch://x", "mailto://me:word@example.org?to={email}")
    seen = look_at(path)
    assert (seen.targets, seen.bad_lines, seen.everybody_reads) == (3, ("line 2 (nosuch)",), False)
    (tmp_path / "targets").chmod(0o644)
    assert look_at(path).everybody_reads
    assert look_at(str(tmp_path / "none")).away == "No such file or directory"
