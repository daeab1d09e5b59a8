"""An image that somebody hostile made, and what its programs try on their neighbors."""

import io
import json
import secrets
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Built on the tests' image, without a network: labels of ours, all GPUs, root, a set-uid shell, no
#: command, a health check, ports of its own, and an entry point that only execs what it is given.
DOCKERFILE = """
FROM {base}
USER root
RUN cp /bin/sh /setuid-shell && chmod 4755 /setuid-shell
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=all HABANA_VISIBLE_DEVICES=all
ENV CUDA_VERSION=12.0 NVIDIA_REQUIRE_CUDA=""
LABEL gradienthub.hub={hub_id} gradienthub.lease={lease} gradienthub.warm={slot}
LABEL gradienthub.devices='["GPU-t4-0","GPU-t4-1"]' gradienthub.notebook={lease}
EXPOSE 22 80 8888 9999
HEALTHCHECK --interval=1s CMD exit 1
STOPSIGNAL SIGSTOP
USER {user}
ENTRYPOINT {entrypoint}
CMD []
"""
#: Runs what it is given as its child, and never becomes it.
NEVER_EXECS = ["/bin/sh", "-c", '"$@"; true', "entry"]
EXECS = ["/bin/sh", "-c", 'exec "$@"', "entry"]


@contextmanager
def hostile_image(
    base: str,
    *,
    hub_id: str,
    lease: str = "x",
    slot: str = "y",
    user: str = "root",
    entrypoint: list[str] = EXECS,
) -> Iterator[str]:
    """Build it; the tag of an image that is gone afterwards."""
    tag = f"gradienthub/hostile:{secrets.token_hex(4)}"
    text = DOCKERFILE.format(
        base=base,
        hub_id=hub_id,
        lease=lease,
        slot=slot,
        user=user,
        entrypoint=json.dumps(entrypoint),
    )
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", tag, "-"],
        input=text.encode(),
        check=True,
        stdout=subprocess.DEVNULL,
        env={"DOCKER_BUILDKIT": "0", "PATH": "/usr/bin:/bin"},
    )
    try:
        yield tag
    finally:
        subprocess.run(["docker", "rmi", "--force", tag], check=False, stdout=subprocess.DEVNULL)


#: What a hostile neighbor tries from inside its own container. Prints what succeeded, as JSON.
ATTACKS = r"""
import ctypes, glob, json, os, socket, subprocess, sys
address, ports, root = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
won = []

def tries(name):
    def decorate(attack):
        try:
            if attack():
                won.append(name)
        except Exception:
            pass
        return attack
    return decorate

@tries("sees frames of the network")
def packet():
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))

@tries("sends forged packets")
def raw():
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

@tries("reads pings of others")
def icmp():
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)

@tries("reaches a neighbor")
def neighbor():
    for port in ports:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((address, port)) == 0:
                return True

@tries("becomes root by a set-uid shell")
def setuid():
    if os.getuid() == 0:
        return False
    said = subprocess.run(["/setuid-shell", "-p", "-c", "id -u; cat /etc/shadow"],
                          capture_output=True, text=True)
    return said.stdout.startswith("0") or "root:" in said.stdout

@tries("reaches the engine")
def engine():
    return [p for p in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd")
            if os.path.exists(p)]

@tries("sees files of others")
def others():
    return os.path.exists(root) or len(os.listdir("/storage/..")) > 40

@tries("sees processes of others")
def processes():
    return any("dockerd" in open(p).read() for p in glob.glob("/proc/[0-9]*/comm"))

@tries("mounts")
def mount():
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0

@tries("makes a device file and opens it")
def device():
    os.mknod("/tmp/device", 0o20666, os.makedev(1, 1))
    return os.open("/tmp/device", os.O_RDONLY)

@tries("opens a device of the machine")
def devices():
    return [p for p in glob.glob("/dev/nvidia*") + glob.glob("/dev/sd*") + glob.glob("/dev/vd*")]

@tries("changes the kernel's settings")
def sysctl():
    with open("/proc/sys/kernel/core_pattern", "w") as file:
        file.write("|/evil")
    return True

@tries("changes its network")
def network():
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.sethostname(b"evil", 4) == 0

@tries("leaves by a changed root")
def chroot():
    os.chroot("/tmp")
    return True

print(json.dumps(won))
"""
#: Children and threads until nothing more is given; says how many there were.
FORK_BOMB = r"""
import os, sys, time
made = []
try:
    for _ in range(20000):
        pid = os.fork()
        if pid == 0:
            time.sleep(30)
            os._exit(0)
        made.append(pid)
except OSError:
    pass
for pid in made:
    os.kill(pid, 9)
print(len(made))
"""


def run_inside(container: Any, program: str, *arguments: str, user: str = "") -> str:
    """Run a Python program in a container, from a file of its own; what it said."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("attack.py")
        data = program.encode()
        entry.size, entry.mode = len(data), 0o644
        tar.addfile(entry, io.BytesIO(data))
    container.put_archive("/tmp", archive.getvalue())
    status, output = container.exec_run(["python3", "/tmp/attack.py", *arguments], user=user)
    assert status == 0, output
    return str(output.decode().strip().splitlines()[-1])
