"""The lines of a dead server's log that say why, of logs as they are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradienthub.rules.last_words import (
    LONGEST_LINE,
    MOST_CHARACTERS,
    MOST_LINES,
    ended_by,
    telling_line,
    telling_lines,
)

TRACEBACK = """\
Traceback (most recent call last):
  File "/opt/conda/bin/jupyterhub-singleuser", line 5, in <module>
    from jupyterhub.singleuser import main
ModuleNotFoundError: No module named 'jupyterhub'
"""
CHAINED = """\
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    d["x"]
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
    raise RuntimeError("no configuration") from None
RuntimeError: no configuration
"""
JUPYTER = """\
[I 2026-11-27 12:00:00.123 ServerApp] jupyterlab | extension was successfully linked.
[W 2026-11-27 12:00:00.200 ServerApp] nbclassic: not installed
[E 2026-11-27 12:00:00.900 SingleUserLabApp] Failed to connect to Hub API at 'http://hub:8081/'.
    Is the Hub accessible at this URL (from host: 3f2a)?
    Make sure to set c.JupyterHub.hub_ip.
[I 2026-11-27 12:00:01.000 ServerApp] Shutting down 12 extensions
"""
IN_USE = """\
[I 2026-11-27 12:00:00.123 ServerApp] Extension package jupyterlab took 0.4 s to import
[C 2026-11-27 12:00:01.123 ServerApp] ERROR: the Jupyter server could not be started because \
port 8888 is not available.
[I 2026-11-27 12:00:01.223 ServerApp] Exiting
"""
S6 = (
    "s6-rc: info: service legacy-services: starting\n"
    + TRACEBACK
    + "[cont-finish.d] executing container finish scripts...\n[cont-finish.d] done.\n"
    "[s6-finish] waiting for services.\n[s6-finish] sending all processes the TERM signal.\n"
    "s6-rc: info: service s6rc-oneshot-runner successfully stopped\n"
)


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (TRACEBACK, "ModuleNotFoundError: No module named 'jupyterhub'"),
        (TRACEBACK + "\n\n", "ModuleNotFoundError: No module named 'jupyterhub'"),
        (CHAINED, "RuntimeError: no configuration"),
        (S6, "ModuleNotFoundError: No module named 'jupyterhub'"),
        (
            JUPYTER,
            "[E 2026-11-27 12:00:00.900 SingleUserLabApp] Failed to connect to Hub API at"
            " 'http://hub:8081/'.",
        ),
        (
            IN_USE,
            "[C 2026-11-27 12:00:01.123 ServerApp] ERROR: the Jupyter server could not be started"
            " because port 8888 is not available.",
        ),
        (
            "starting\nexec /usr/bin/start.sh: exec format error\n",
            "exec /usr/bin/start.sh: exec format error",
        ),
        (
            "standard_init_linux.go:228: exec user process caused: exec format error\n",
            "standard_init_linux.go:228: exec user process caused: exec format error",
        ),
        (
            "/start.sh: line 3: /notebooks/.profile: Permission denied\nlogout\n",
            "/start.sh: line 3: /notebooks/.profile: Permission denied",
        ),
        (
            "mkdir: cannot create directory '/home/x': Read-only file system\n",
            "mkdir: cannot create directory '/home/x': Read-only file system",
        ),
        (
            "[WARN  tini (7)] Tini is not running as PID 1\n"
            "[FATAL tini (7)] exec jupyterhub-singleuser failed: No such file or directory\n",
            "[FATAL tini (7)] exec jupyterhub-singleuser failed: No such file or directory",
        ),
        ("sh: 1: jupyterhub-singleuser: not found\n", "sh: 1: jupyterhub-singleuser: not found"),
        (
            "bash: jupyterhub-singleuser: command not found\n",
            "bash: jupyterhub-singleuser: command not found",
        ),
        (
            "OSError: [Errno 98] Address already in use\n",
            "OSError: [Errno 98] Address already in use",
        ),
        ("loading the model\nKilled\n", "Killed"),
        (
            "run.sh: line 9:    31 Killed                  python train.py\n",
            "run.sh: line 9:    31 Killed                  python train.py",
        ),
        (
            "terminate called after throwing an instance of 'std::bad_alloc'\nAborted (core"
            " dumped)\n",
            "Aborted (core dumped)",
        ),
        (
            "jupyter: error while loading shared libraries: libz.so.1: cannot open shared object"
            " file: No"
            " such file or directory\n",
            "jupyter: error while loading shared libraries: libz.so.1: cannot open shared object"
            " file: No"
            " such file or directory",
        ),
        (
            "2026-11-27 12:00:00,123 - ERROR - no licence\n2026-11-27 12:00:01,000 - INFO - bye\n",
            "2026-11-27 12:00:00,123 - ERROR - no licence",
        ),
        ("\x1b[31mERROR: bad configuration\x1b[0m\ngood bye\n", "ERROR: bad configuration"),
        (
            "[W 2026-11-27 12:00:00.200 ServerApp] A thing is odd\n[I 2026 ServerApp] bye\n",
            "[W 2026-11-27 12:00:00.200 ServerApp] A thing is odd",
        ),
        ("one\ntwo\nthree\nfour\n", "four"),
        ("Downloading  10%\rDownloading 100%\n", "Downloading 100%"),
        ("", ""),
        ("\n\n  \n", ""),
    ],
)
def test_the_line_that_says_why_is_told(log, line):
    assert telling_line(log) == line


def test_a_traceback_is_told_whole_and_what_comes_after_it_is_not():
    assert telling_lines(S6) == tuple(TRACEBACK.splitlines())
    assert telling_lines(JUPYTER)[1:] == (
        "    Is the Hub accessible at this URL (from host: 3f2a)?",
        "    Make sure to set c.JupyterHub.hub_ip.",
    )


def test_an_error_after_a_traceback_counts_and_a_warning_before_it_does_not():
    assert telling_line(TRACEBACK + "ERROR: giving up\n") == "ERROR: giving up"
    assert telling_line("[W 2026 ServerApp] odd\n" + TRACEBACK).startswith("ModuleNotFoundError")


def test_a_deep_traceback_keeps_both_ends():
    frames = "".join(f'  File "m{n}.py", line {n}, in f\n    f()\n' for n in range(500))
    log = f"Traceback (most recent call last):\n{frames}RecursionError: maximum depth\n"
    told = telling_lines(log)
    assert len(told) <= MOST_LINES
    assert told[0].startswith("Traceback")
    assert told[-1] == "RecursionError: maximum depth"
    assert telling_line(log) == "RecursionError: maximum depth"


@given(st.text(max_size=400))
def test_no_log_breaks_it_and_what_is_told_is_bounded_and_printable(log):
    told = telling_lines(log * 7)
    assert len(told) <= MOST_LINES
    assert sum(map(len, told)) <= MOST_CHARACTERS + LONGEST_LINE
    assert all(line.isprintable() for line in told)
    assert "\n" not in telling_line(log)


@pytest.mark.parametrize(
    ("log", "what"),
    [
        ("[I 2026 ServerApp] Shutting down on /api/shutdown request.\n", "Shut Down in its menu"),
        (
            "[I 2026 ServerApp] No kernels for 3600 seconds; shutting down.\n",
            "idle limit of its own",
        ),
        (
            "[C 2026 ServerApp] received signal 15, stopping\n[I 2026] Shutting down 3 kernels\n",
            "told to stop",
        ),
        ("bye\n", ""),
        ("", ""),
    ],
)
def test_what_ended_a_server_in_order_is_read_from_its_log(log, what):
    assert what in ended_by(log)
    assert bool(what) == bool(ended_by(log))
