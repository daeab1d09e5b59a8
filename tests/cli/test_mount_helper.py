"""gradienthub mount-helper: a socket for the hub's user, two verbs, ids and no paths."""

import json
import os
import socket
import stat
import subprocess
import threading
import uuid

import pytest

from gradienthub.cli import main
from gradienthub.cli.mount_helper import answer, listen
from gradienthub.spawners.warm_mounts import HelperMounts, MountFault, Mounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root binds folders")
NOBODY = 65534


@pytest.fixture
def helper(tmp_path):
    """A storage folder with one notebook and one account, and a helper that serves it."""
    for mine in (tmp_path, *tmp_path.parents):
        if mine.stat().st_uid == os.geteuid() and str(mine).startswith("/tmp/"):
            mine.chmod(0o755)
    root = tmp_path / "storage"
    root.mkdir()
    os.chown(root, NOBODY, NOBODY)
    mounts = Mounts(root)
    listening = listen(mounts, tmp_path / "socket", NOBODY)

    def serve():
        while True:
            try:
                answer(listening, mounts, NOBODY)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield HelperMounts(root, tmp_path / "socket")
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    subprocess.run(["umount", "-R", root / "warm"], check=True)


def folders(helper):
    """A person's two folders and a slot's."""
    slot, notebook, account = (str(uuid.uuid4()) for _ in range(3))
    for kind, name in (("notebooks", notebook), ("accounts", account)):
        (helper.root / kind / name).mkdir(parents=True)
        (helper.root / kind / name / kind).write_text("mine")
    helper.make(slot)
    return slot, notebook, account


def said(helper, line):
    """What the helper answers to a line."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(helper.helper))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        return json.loads(connection.makefile().readline())


def said_to(user, helper):
    """What the helper answers to an empty request of that user, or why it could not be asked."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.setuid(user)
            words = str(said(helper, b"{}\n"))
        except OSError as error:
            words = str(error)
        os.write(writing, words.encode())
        os._exit(0)
    os.close(writing)
    os.wait()
    with os.fdopen(reading) as words:
        return words.read()


def test_folders_arrive_and_go_and_nothing_in_them_is_touched(helper):
    slot, notebook, account = folders(helper)
    helper.prepare()
    helper.bind(slot, notebook, account)
    home, storage = helper.make(slot)
    assert (home / "notebooks").read_text() == "mine"
    assert (storage / "accounts").read_text() == "mine"
    helper.clear(slot)
    helper.clear(slot)
    assert not home.exists()
    assert (helper.root / "notebooks" / notebook / "notebooks").read_text() == "mine"
    assert helper.slots() == []


def test_only_the_hubs_user_can_open_the_socket_and_is_heard(helper):
    mode = helper.helper.stat()
    assert stat.S_IMODE(mode.st_mode) == 0o600
    assert mode.st_uid == NOBODY
    assert "Permission denied" in said_to(1000, helper)
    assert "verb" in said_to(NOBODY, helper)
    # Who got hold of the socket another way is asked who it is.
    helper.helper.chmod(0o666)
    assert "user 1000 is not the hub's" in said_to(1000, helper)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"verb": "mount", "slot": "/etc"}', "is not a verb"),
        (b'{"verb": "unbind", "slot": "../../etc"}', "is not an id"),
        (
            b'{"verb": "bind", "slot": "SLOT", "notebook": "../x", "account": "SLOT"}',
            "is not an id",
        ),
        (b'{"verb": "bind", "slot": "SLOT", "notebook": ["a"], "account": "b"}', "is not an id"),
        (b'{"verb": "unbind"}', "slot"),
        (b"[]", "indices"),
        (b"nonsense", "Expecting value"),
        (b"{" * 5000, "Expecting"),
        (b"", "Expecting value"),
    ],
)
def test_what_is_no_request_is_refused_in_words_and_the_helper_goes_on(helper, line, words):
    slot = str(uuid.uuid4())
    assert words in said(helper, line.replace(b"SLOT", slot.encode()) + b"\n")["fault"]
    helper.unbind(slot)


def test_a_link_in_the_way_leads_nowhere(helper, tmp_path):
    slot, notebook, account = folders(helper)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    home, _ = helper.make(slot)
    home.rmdir()
    home.symlink_to(elsewhere)
    with pytest.raises(MountFault, match="home"):
        helper.bind(slot, notebook, account)
    with open("/proc/self/mountinfo") as rows:
        assert str(elsewhere) not in rows.read()


def test_without_a_helper_the_hub_says_what_to_start(tmp_path):
    away = HelperMounts(tmp_path, tmp_path / "nobody-listens")
    with pytest.raises(MountFault, match="start `gradienthub mount-helper` as root"):
        away.prepare()


def test_an_unknown_user_is_a_sentence(tmp_path, capsys):
    assert (
        main(
            [
                "mount-helper",
                f"--storage-root={tmp_path}",
                f"--socket={tmp_path / 's'}",
                "--hub-user=nobody-of-that-name",
            ]
        )
        == 1
    )
    assert "There is no user" in capsys.readouterr().err
