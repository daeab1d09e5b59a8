"""A dead keeper's row need not expire; a living one's must."""

import os
import subprocess
import sys

from ports import free_port

from gradienthub.service.holder import dead, me


def test_a_process_knows_itself_alive():
    assert not dead(me())
    assert me() != me()


def test_a_process_of_this_machine_that_ended_is_dead():
    ended = subprocess.run(
        [sys.executable, "-c", "from gradienthub.service.holder import me; print(me())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert dead(ended.stdout.strip())


def test_nothing_is_known_of_other_machines_or_of_words_that_name_none():
    name = me()
    elsewhere = "elsewhere:" + name.split(":", 1)[1]
    for holder in (elsewhere, "", "word", "a:b:c", name.replace(":", "")):
        assert not dead(holder)


def test_a_keeper_whose_hub_died_before_it_came_up_ends_at_once(tmp_path):
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = {
        "GRADIENTHUB_DATABASE_URL": f"sqlite:///{tmp_path}/none.sqlite",
        "GRADIENTHUB_HUB_ID": "h",
        "GRADIENTHUB_HUB_PID": gone.stdout.strip(),
        "JUPYTERHUB_API_TOKEN": "t",
        "JUPYTERHUB_API_URL": "http://127.0.0.1:1/hub/api",
        "JUPYTERHUB_SERVICE_PREFIX": "/services/gradient/",
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{free_port()}",
        "JUPYTERHUB_CLIENT_ID": "s",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "gradienthub.service"],
        env=os.environ | told,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "The keeper ends" in ended.stderr
    assert "never retrieved" not in ended.stderr
