"""Engines' words for a device that cannot be given, and for all that is something else."""

import pytest

from gradienthub.rules.device_faults import blamed_devices

A, B = "GPU-1111aaaa-0000-0000-0000-000000000001", "GPU-2222bbbb-0000-0000-0000-000000000002"
HOOK = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed:"
    " runc create failed: unable to start container process: error during container init: error"
    " running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy'\n"
    "nvidia-container-cli: "
)


@pytest.mark.parametrize(
    ("message", "blamed"),
    [
        (f"{HOOK}device error: {A}: unknown device: unknown", (A,)),
        (f"{HOOK}initialization error: nvml error: driver not loaded: unknown", (A, B)),
        (f"{HOOK}detection error: nvml error: gpu is lost: unknown", (A, B)),
        ('could not select device driver "" with capabilities: [[gpu]]', (A, B)),
        ('could not select device driver "cdi"', (A, B)),
        (f"CDI device injection failed: unresolvable CDI devices nvidia.com/gpu={B}", (B,)),
        (
            'error gathering device information while adding custom device "/dev/nvidia1": no such'
            " file"
            " or directory",
            (A, B),
        ),
        ("OCI runtime create failed: nvidia-container-runtime: executable file not found", (A, B)),
    ],
)
def test_the_devices_that_the_engine_blames_are_told(message, blamed):
    assert blamed_devices(message, (A, B)) == blamed


@pytest.mark.parametrize(
    "message",
    [
        "No such image: acme/torch:9",
        "driver failed programming external connectivity: Bind for 127.0.0.1:8888 failed: port is"
        " already allocated",
        "failed to copy files: write /var/lib/docker/x: no space left on device",
        'invalid mount config for type "bind": bind source path does not exist: /srv/x',
        'OCI runtime create failed: exec: "jupyterhub-singleuser": executable file not found in'
        " $PATH",
        "exec user process caused: exec format error",
        'Conflict. The container name "/gradient-x" is already in use',
        "",
    ],
)
def test_what_is_not_a_devices_fault_blames_none(message):
    assert blamed_devices(message, (A, B)) == ()
    assert blamed_devices("nvidia-container-cli: device error", ()) == ()


def test_a_cdi_name_is_found_by_what_the_engine_calls_it():
    named = (f"nvidia.com/gpu={A}", "nvidia.com/gpu=0")
    assert blamed_devices(f"unresolvable CDI devices nvidia.com/gpu={A}", named) == (named[0],)
    # A single digit stands for anything; then all of the start are meant.
    assert blamed_devices("unresolvable CDI devices nvidia.com/gpu=0", named) == named
