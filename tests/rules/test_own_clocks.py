"""An image's own limits are named, whichever way they are set."""

import pytest

from gradienthub.rules.own_clocks import own_clocks


@pytest.mark.parametrize(
    ("config", "arguments", "named"),
    [
        (
            {"ServerApp": {"shutdown_no_activity_timeout": 600}},
            (),
            "ServerApp.shutdown_no_activity_timeout = 600: after 10 min without activity it ends"
            " the"
            " whole server",
        ),
        (
            {"MappingKernelManager": {"cull_idle_timeout": 3600}},
            (),
            "MappingKernelManager.cull_idle_timeout = 3600: after 1 h without activity it ends idle"
            " kernels, with all that is in their memory",
        ),
        (
            {"NotebookApp": {"shutdown_no_activity_timeout": "60"}},
            (),
            "NotebookApp.shutdown_no_activity_timeout = 60",
        ),
        ({"TerminalManager": {"cull_inactive_timeout": 300}}, (), "it ends idle terminals"),
        (
            {},
            ("jupyterhub-singleuser", "--ServerApp.shutdown_no_activity_timeout=900"),
            "ServerApp.shutdown_no_activity_timeout = 900",
        ),
        (
            {},
            ("start.sh --MappingKernelManager.cull_idle_timeout 120",),
            "MappingKernelManager.cull_idle_timeout = 120",
        ),
        (
            {"ServerApp": {"shutdown_no_activity_timeout": 600}},
            ("--ServerApp.shutdown_no_activity_timeout=30",),
            "ServerApp.shutdown_no_activity_timeout = 30",
        ),
    ],
)
def test_a_limit_that_is_on_is_named_with_what_it_does(config, arguments, named):
    (said,) = own_clocks(config, arguments)
    assert named in said


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"ServerApp": {}},
        {"ServerApp": {"shutdown_no_activity_timeout": 0}},
        {"MappingKernelManager": {"cull_idle_timeout": 0, "cull_interval": 300}},
        {"ServerApp": {"shutdown_no_activity_timeout": None}},
        {"ServerApp": "x"},
        {"ServerApp": {"shutdown_no_activity_timeout": -1}},
        {"ServerApp": {"shutdown_no_activity_timeout": float("nan")}},
        {"ServerApp": {"shutdown_no_activity_timeout": float("inf")}},
    ],
)
def test_what_is_off_or_is_none_is_not(config):
    assert own_clocks(config, ("--ServerApp.port=1", "cull_idle_timeout=3")) == ()
