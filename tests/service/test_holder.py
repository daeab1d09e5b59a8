"""A dead keeper's row need not expire; a living one's must."""

import subprocess
import sys

from gradienthub.service.holder import dead, me


def test_a_process_knows_itself_alive():
    assert not dead(me())
    assert me() != me()


def test_a_process_of_this_machine_that_ended_is_dead():
    ended = subprocess.run(
        [sys.executable, "-c", "from gradienthub.service.holder import me; print(me())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert dead(ended.stdout.strip())


def test_nothing_is_known_of_other_machines_or_of_words_that_name_none():
    name = me()
    elsewhere = "elsewhere:" + name.split(":", 1)[1]
    for holder in (elsewhere, "", "word", "a:b:c", name.replace(":", "")):
        assert not dead(holder)
