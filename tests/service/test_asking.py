"""Asking notebooks: real servers say what they do, and no bad one does harm."""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import aiohttp
import pytest
from ports import free_port
from yarl import URL

from gradienthub.rules.use import Answer, Use
from gradienthub.service.evidence import IN_FLIGHT, LARGEST_BODY, Address, Notebooks

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MOMENT = "2026-11-23T11:00:00.5Z"
TOKEN = "the-servers-own"


@pytest.fixture
async def notebooks():
    """What is tested, with a patience that tests have too."""
    asking = Notebooks(patience=1.0)
    yield asking
    await asking.close()


# -- real servers -------------------------------------------------------------------------------


class Real:
    """A Jupyter server as a process, and a person's requests to it."""

    def __init__(self, folder, *options):
        port = free_port()
        folders = {"HOME": folder, "JUPYTER_RUNTIME_DIR": folder / "runtime"}
        folders |= {"JUPYTER_CONFIG_DIR": folder / "config", "JUPYTER_DATA_DIR": folder / "data"}
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "jupyter_server",
                    "--no-browser",
                    "--allow-root",
                    "--ServerApp.ip=127.0.0.1",
                    f"--ServerApp.port={port}",
                    "--ServerApp.port_retries=0",
                    "--ServerApp.base_url=/user/mira%40x/",
                    f"--IdentityProvider.token={TOKEN}",
                    f"--ServerApp.root_dir={folder}",
                    *options,
                ],
                env=os.environ | {name: str(path) for name, path in folders.items()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert self.process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        self.address = Address(f"http://127.0.0.1:{port}/user/mira%40x/", TOKEN)

    def _url(self, path):
        # The hub's addresses are quoted, and are left as they are.
        return URL(self.address.url + path, encoded=True)

    async def call(self, method, path, body=None):
        """One request as JupyterLab makes it; its JSON."""
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"token {TOKEN}"}) as session,
            session.request(method, self._url(path), json=body) as answer,
        ):
            assert answer.status < 300, await answer.text()
            return None if answer.status == 204 else await answer.json()

    async def last_activity(self):
        return (await self.call("GET", "api/status"))["last_activity"]

    @asynccontextmanager
    async def running(self, path, code):
        """A notebook whose kernel works on `code`."""
        wanted = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        kernel = (await self.call("POST", "api/sessions", wanted))["kernel"]["id"]
        channels = self._url(f"api/kernels/{kernel}/channels")
        request = {
            "header": {
                "msg_id": "1",
                "username": "",
                "session": "1",
                "version": "5.3",
                "msg_type": "execute_request",
            },
            "parent_header": {},
            "metadata": {},
            "channel": "shell",
            "content": {
                "code": code,
                "silent": False,
                "store_history": False,
                "user_expressions": {},
                "allow_stdin": False,
                "stop_on_error": True,
            },
        }
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"token {TOKEN}"}) as session,
            session.ws_connect(channels) as tab,
        ):
            await tab.send_json(request)
            async for message in tab:
                if message.json()["msg_type"] == "execute_input":
                    break
        yield kernel
        await self.call("DELETE", f"api/kernels/{kernel}")

    def end(self):
        self.process.terminate()
        self.process.wait(20)


def _listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A Jupyter server that the tests of this module share."""
    server = Real(tmp_path_factory.mktemp("real"))
    yield server
    server.end()


async def test_a_silent_busy_kernel_is_seen_with_its_notebook_and_without_a_tab(real):
    asking = Notebooks()
    now = datetime.now(UTC)
    async with real.running("sweep.ipynb", "import time; time.sleep(600)"):
        answer = await asking.ask(real.address, now)
    await asking.close()
    assert answer.busy == ("sweep.ipynb",)
    assert abs(answer.used_at - now) < timedelta(minutes=1)


async def test_an_idle_kernel_and_a_terminal_say_when_they_were_used(real):
    asking = Notebooks()
    now = datetime.now(UTC)
    async with real.running("done.ipynb", "1") as kernel:
        while (await real.call("GET", f"api/kernels/{kernel}"))["execution_state"] != "idle":
            pass
        by_kernel = await asking.ask(real.address, now)
        name = (await real.call("POST", "api/terminals"))["name"]
        by_terminal = await asking.ask(real.address, now)
        await real.call("DELETE", f"api/terminals/{name}")
    nothing = await asking.ask(real.address, now)
    await asking.close()
    assert (by_kernel.busy, by_kernel.used_by) == ((), Use.KERNEL)
    assert (by_terminal.busy, by_terminal.used_by) == ((), Use.TERMINAL)
    assert now - timedelta(seconds=5) < by_kernel.used_at < by_terminal.used_at
    assert nothing == Answer()


async def test_asking_does_not_count_as_use(real):
    asking = Notebooks()
    async with real.running("sweep.ipynb", "import time; time.sleep(600)"):
        before = await real.last_activity()
        for _ in range(120):  # an hour of the keeper's passes
            # Busy, so that all four pages are asked for.
            assert (await asking.ask(real.address, datetime.now(UTC))).busy
        assert await real.last_activity() == before
        await real.call("GET", "api/kernels")
        assert await real.last_activity() > before
    await asking.close()


async def test_requests_to_a_real_server_count_and_the_keepers_questions_do_not(real):
    asking = Notebooks()
    counting = replace(real.address, counts_requests=True)
    await real.call("GET", "api/kernels")
    first = await asking.ask(counting, datetime.now(UTC))
    assert first.used_by is Use.REQUEST
    for _ in range(5):
        assert await asking.ask(counting, datetime.now(UTC)) == first
    await real.call("GET", "api/kernels")
    assert (await asking.ask(counting, datetime.now(UTC))).used_at > first.used_at
    await asking.close()


async def test_a_server_without_terminals_is_known(tmp_path):
    server = Real(tmp_path, "--ServerApp.terminals_enabled=False")
    asking = Notebooks()
    try:
        assert await asking.ask(server.address, datetime.now(UTC)) == Answer()
        stranger = Address(server.address.url, "another")
        assert await asking.ask(stranger, datetime.now(UTC)) is None
    finally:
        await asking.close()
        server.end()


# -- bad servers --------------------------------------------------------------------------------


def page(body, status="200 OK", headers=()):
    """A whole answer."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


KERNEL = {"id": "k", "name": "python3", "execution_state": "idle", "last_activity": MOMENT}
PAGES = {
    "kernels": page([KERNEL]),
    "terminals": page([]),
    "activity": page({"person_at": None}),
    "sessions": page([]),
}


@asynccontextmanager
async def serving(answer):
    """A server of raw bytes: `await answer(which page, request, writer)`."""
    there = SimpleNamespace(requests=[], open=0, most=0)

    async def serve(reader, writer):
        there.open += 1
        there.most = max(there.most, there.open)
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            there.requests.append(request)
            await answer(request.split("?")[0].rsplit("/", 1)[-1], request, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # it was not asked or not read to the end, or the test is over
        finally:
            there.open -= 1
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    there.address = Address(f"http://127.0.0.1:{port}/user/mira/", TOKEN)
    yield there
    server.close()
    await server.wait_closed()
    # What still serves ends with the connection that it serves.
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in [task for task in others if "serving.<locals>.serve" in repr(task)]:
        task.cancel()
        await asyncio.wait([task])


def instead(which, bytes_):
    """Good answers, but `bytes_` for one page."""

    async def answer(name, request, writer):
        writer.write(bytes_ if name == which else PAGES[name])

    return answer


async def never(name, request, writer):
    await asyncio.Event().wait()


async def slow_drip(name, request, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def slow_head(name, request, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless_head(name, request, writer):
    while True:
        writer.write(b"X: " + b"y" * 1000 + b"\r\n")
        await writer.drain()


DEEP = b"[" * 100_000
BAD = {
    "HTML": instead("kernels", page(b"<!doctype html><title>Sign in</title>")),
    "not UTF-8": instead("kernels", page(b'["\xff\xfe"]')),
    "a number of 5,000 digits": instead("kernels", page(b"[" + b"9" * 5000 + b"]")),
    "deeper than Python can follow": instead("kernels", page(DEEP)),
    "an object for a list": instead("kernels", page({"kernels": []})),
    "401": instead("kernels", page(b"", "401 Unauthorized")),
    "403": instead("kernels", page(b"", "403 Forbidden")),
    "404 for kernels": instead("kernels", page(b"", "404 Not Found")),
    "500": instead("kernels", page(b"", "500 Internal Server Error")),
    "no body": instead("kernels", page(b"", "204 No Content")),
    "half a body": instead("kernels", PAGES["kernels"][:-9]),
    "no HTTP": instead("kernels", b"SSH-2.0-OpenSSH_9.2\r\n"),
    "nothing": instead("kernels", b""),
    "a header of 100 kB": instead("kernels", page([], headers=["X: " + "y" * 100_000])),
    "compressed": instead("kernels", page(b"\x1f\x8b", headers=["Content-Encoding: gzip"])),
    "a length that is none": instead("kernels", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    "never": never,
    "a slow drip": slow_drip,
    "a slow head": slow_head,
    "an endless head": endless_head,
}


#: One row or page that cannot be read: what it is called, and the others count.
PARTLY = {
    "no JSON": (instead("terminals", page(b"[{")), "its terminals"),
    "a text for a row": (instead("terminals", page(["1"])), "1 of 1 terminals"),
    "403 for terminals": (instead("terminals", page(b"", "403 Forbidden")), "its terminals"),
    "NaN": (instead("activity", page(b'{"person_at": NaN}')), "what a person does in it"),
    "infinity": (instead("activity", page(b'{"person_at": 1e999}')), "what a person does in it"),
    "nonsense of the extension": (
        instead("activity", page({"person_at": "now"})),
        "what a person does in it",
    ),
    "500 of the extension": (
        instead("activity", page(b"", "500 Internal Server Error")),
        "what a person does in it",
    ),
    "a null for a state": (
        instead("kernels", page([KERNEL, KERNEL | {"execution_state": None}])),
        "1 of 2 kernels",
    ),
    "the year 9999": (
        instead("kernels", page([KERNEL, KERNEL | {"last_activity": "9999-12-31T00:00Z"}])),
        "1 of 2 kernels",
    ),
    "no zone": (
        instead("kernels", page([KERNEL, KERNEL | {"last_activity": "2026-11-23T11:00:00"}])),
        "1 of 2 kernels",
    ),
    "a terminal page that never comes": (None, "its terminals"),
}


async def no_terminals_ever(name, request, writer):
    if name == "terminals":
        await asyncio.Event().wait()
    writer.write(PAGES[name])


@pytest.mark.parametrize("fault", PARTLY)
async def test_what_cannot_be_read_is_named_and_the_others_count(fault, notebooks, caplog):
    caplog.set_level(logging.INFO, "gradienthub")
    answer, unread = PARTLY[fault]
    async with serving(answer or no_terminals_ever) as there:
        answered = await notebooks.ask(there.address, NOW)
    assert answered.unread == (unread,)
    assert answered.used_at == NOW - timedelta(hours=1, seconds=-0.5)
    assert caplog.messages == []


async def test_kernels_that_cannot_be_read_hide_no_terminal(notebooks):
    async def answer(name, request, writer):
        row = {"name": "1", "last_activity": MOMENT}
        pages = PAGES | {"kernels": page(b"", "500 Oops"), "terminals": page([row])}
        writer.write(pages[name])

    async with serving(answer) as there:
        answered = await notebooks.ask(there.address, NOW)
    assert (answered.used_by, answered.unread) == (Use.TERMINAL, ("its kernels",))


async def test_requests_count_only_where_the_runtime_says_so(notebooks):
    async def answer(name, request, writer):
        status = page({"last_activity": "2026-11-23T11:59:57Z", "kernels": 0})
        writer.write({**PAGES, "status": status}[name])

    async with serving(answer) as there:
        plain = await notebooks.ask(there.address, NOW)
        assert not any("api/status" in request for request in there.requests)
        counted = await notebooks.ask(replace(there.address, counts_requests=True), NOW)
    assert plain.used_by is Use.KERNEL
    assert (counted.used_by, NOW - counted.used_at) == (Use.REQUEST, timedelta(seconds=3))


@pytest.mark.parametrize("fault", BAD)
async def test_a_bad_answer_is_unknown_and_logged_once(fault, notebooks, caplog):
    caplog.set_level(logging.INFO, "gradienthub")
    async with serving(BAD[fault]) as there:
        for _ in range(2):
            assert await notebooks.ask(there.address, NOW) is None
    (line,) = caplog.messages
    assert len(line) < 200 and line.isprintable() and TOKEN not in line


async def test_nobody_there_is_unknown(notebooks):
    async with serving(never) as there:
        pass
    assert await notebooks.ask(there.address, NOW) is None
    assert await notebooks.ask(Address("http+unix://%2Frun%2Fx", TOKEN), NOW) is None


async def test_an_answer_of_300_megabytes_is_not_read(notebooks):
    sent = 0

    async def large(name, request, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n[")
        while sent < 300_000_000:
            writer.write(b" " * 65536)
            await writer.drain()
            sent += 65536

    async with serving(large) as there:
        assert await notebooks.ask(there.address, NOW) is None
    # Three pages; what the kernel's buffers took is not ours.
    assert sent < 3 * (LARGEST_BODY + 10_000_000)


async def test_it_is_not_led_to_another_server(notebooks):
    async with serving(instead("", b"")) as other:
        to = f"Location: {other.address.url}api/kernels"
        for status in ("301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent"):
            async with serving(instead("kernels", page(b"", status, [to]))) as there:
                assert await notebooks.ask(there.address, NOW) is None
    assert other.requests == []


async def test_a_proxy_of_the_environment_is_not_used(notebooks, monkeypatch):
    async with serving(never) as proxy, serving(instead("", b"")) as there:
        monkeypatch.setenv("http_proxy", proxy.address.url)
        assert await notebooks.ask(there.address, NOW) is not None
    assert proxy.requests == []


async def test_each_is_shown_its_own_token_and_nobodys_cookie(notebooks):
    cookie = ["Set-Cookie: a=b; Path=/"]
    async with (
        serving(instead("kernels", page([], headers=cookie))) as one,
        serving(instead("", b"")) as two,
    ):
        addresses = {"1": one.address, "2": Address(two.address.url, "twos-own")}
        await notebooks.ask_all(addresses, NOW)
        await notebooks.ask_all(addresses, NOW)
    for there, token in ((one, TOKEN), (two, "twos-own")):
        assert len(there.requests) == 6
        for request in there.requests:
            assert f"Authorization: token {token}\r\n" in request
            assert "no_track_activity=1" in request.splitlines()[0]
            assert "\r\ncookie:" not in request.lower()


async def test_without_terminals_and_extension_it_is_known(notebooks):
    async def answer(name, request, writer):
        absent = name in ("terminals", "activity")
        writer.write(page(b"", "404 Not Found") if absent else PAGES[name])

    async with serving(answer) as there:
        answered = await notebooks.ask(there.address, NOW)
    assert replace(answered, moments={}) == Answer((), NOW - timedelta(hours=1, seconds=-0.5))


async def test_a_notebook_that_answers_again_is_known_again(notebooks, caplog):
    caplog.set_level(logging.INFO, "gradienthub")
    state = "500 Internal Server Error"

    async def answer(name, request, writer):
        writer.write(page([], state) if name != "activity" else PAGES[name])

    async with serving(answer) as there:
        assert await notebooks.ask(there.address, NOW) is None
        state = "200 OK"
        assert await notebooks.ask(there.address, NOW) == Answer()
        state = "500 Internal Server Error"
        assert await notebooks.ask(there.address, NOW) is None
    assert len(caplog.messages) == 2


async def test_a_pass_over_500_asks_only_so_many_at_once():
    full, waiting = asyncio.Event(), 0

    async def answer(name, request, writer):
        nonlocal waiting
        if not full.is_set():
            waiting += 1
            if waiting == IN_FLIGHT:
                full.set()
        await full.wait()
        writer.write(PAGES[name])

    asking = Notebooks(patience=30)
    async with serving(answer) as there:
        base = there.address.url.removesuffix("mira/")
        answers = await asking.ask_all(
            {str(n): Address(f"{base}u{n}/", TOKEN) for n in range(500)}, NOW
        )
        assert there.most == IN_FLIGHT
    await asking.close()
    assert len(answers) == 500 and None not in answers.values()
    assert len(there.requests) == 1500
