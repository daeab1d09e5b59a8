"""The program inside a warm server: imports what a notebook server needs, waits for one line, and
becomes that server.

It is given to the image's own Python as the first line on standard input, which BOOT reads, so that
no image needs to be changed and nobody's list of processes shows a program as a command line;
therefore it knows the standard library only. The second line is an `Identity`. Before it nothing
listens, and there is nothing to steal.

What it cannot make equal to a cold start, it starts cold, in its own place: see `_must_restart`.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import shutil
import site
import stat
import sys
from types import FrameType
from typing import Any, TypedDict

#: `python3 -c BOOT argv...` runs the program that is the first line on standard input, as JSON.
BOOT = "import json;program=json.loads(input());exec(program)"
#: Bytes of the command line in which the server's own command line has to find its place.
ROOM = 4000
#: They keep variables from the moment of their import; they are small, so they are imported again.
FORGOTTEN = ("jupyterhub.singleuser", "jupyterhub.services")
#: An interpreter, its libraries and its locale read these before any program runs.
EARLY = ("PYTHON", "LD_", "LC_", "LANG", "TZ", "MALLOC_", "GLIBC_", "OMP_", "OPENBLAS_", "MKL_")
#: They keep folders below HOME from then on, and nobody keeps anything of theirs: loaded again.
RELOADED = ("sysconfig", "send2trash.plat_other", "jupyterlab.labapp")
#: What they keep changes nothing that a person sees: where a build of Python lies, a copy that only
#: WSGI programs get, and the name in headers of messages that a server writes to its own kernels.
HARMLESS = (
    "sqlalchemy.util.compat",
    "zoneinfo._tzpath",
    "wsgiref.handlers",
    "jupyter_client.session",
)
#: What a start imports beside its extensions, some of it only once it runs.
MODULES = (
    "jupyterhub.singleuser.extension",
    "jupyter_server.serverapp",
    "jupyterlab.labapp",
    "notebook.app",
    "notebook_shim.nbserver",
    "jupyterlab_server",
    "jupyter_lsp",
    "ipykernel",
    "jupyter_lsp.virtual_documents_shadow",
    "ipykernel.kernelspec",
    "IPython",
    "jinja2.ext",
    "jupyter_client.provisioning.local_provisioner",
    "jupyter_core.migrate",
    "terminado",
    "jupyter_server_terminals",
    "jupyter_server.services.security.handlers",
    "jupyter_server.services.shutdown",
    "jupyter_server.nbconvert.handlers",
    "jupyter_server.kernelspecs.handlers",
    "jupyter_server.view.handlers",
    "httpcore",
    "tornado.websocket",
    "tornado.netutil",
    "tornado.platform.asyncio",
    "encodings.idna",
    "tornado.curl_httpclient",
    "tornado.simple_httpclient",
    "sqlite3",
)


class Identity(TypedDict):
    """Whose server it becomes: the second line that it reads. `folders`: inodes by path."""

    env: "dict[str, str]"
    drop: "list[str]"
    argv: "list[str]"
    cwd: str
    folders: "dict[str, int]"


class Message(TypedDict, total=False):
    """One line that it writes."""

    warm: str
    memory: "int | None"
    restart: str
    error: str


class WatchedEnvironment(type(os.environ)):  # type: ignore[misc]
    """The environment, remembering which module looked at which variable while it was imported."""

    seen: dict[str, set[str]] = {}

    def __getitem__(self, key: "str | bytes") -> object:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            name = frame.f_globals.get("__name__", "")
            if name.startswith(FORGOTTEN):
                break
            if frame.f_code.co_name == "<module>" and name != "__main__":
                self.seen.setdefault(os.fsdecode(key), set()).add(name)
                break
            frame = frame.f_back
        return super().__getitem__(key)


def command(argv: list[str]) -> str:
    """Return the path of the server's script."""
    path = shutil.which(argv[0])
    if path is None:
        sys.exit(f"warm: {argv[0]} is not in this image")
    return path


def interpreter(path: str) -> str:
    """Return the interpreter that the script names in its first line."""
    with open(path, "rb") as script:
        first = script.readline().decode("utf-8", "replace").strip()
    words = first[2:].split() if first.startswith("#!") else []
    if len(words) == 2 and os.path.basename(words[0]) == "env":
        words = [shutil.which(words[1]) or ""]
    if len(words) != 1 or not os.path.basename(words[0]).startswith("python"):
        sys.exit(f"warm: {path} is no Python script ({first[:80]})")
    return words[0]


def load() -> None:
    """Import a server and its extensions; what the image does not have is not missed."""
    both: Any = (os.environ, os.environb)
    plain = type(os.environ)
    for variables in both:
        variables.__class__ = WatchedEnvironment
    for name in (*MODULES, *_extensions()):
        try:
            importlib.import_module(name)
        except Exception:  # an extension may do anything; a start says what is wrong with it
            continue
    for variables in both:
        variables.__class__ = plain


def _extensions() -> list[str]:
    try:
        paths = importlib.import_module("jupyter_core.paths")
        config = importlib.import_module("jupyter_server.extension.config")
        manager = config.ExtensionConfigManager(read_config_path=paths.jupyter_config_path())
        server = importlib.import_module("jupyter_server.serverapp")
        handlers = server.JUPYTER_SERVICE_HANDLERS.values()
        services = [name for names in handlers for name in names or ()]
        return [name for name, on in manager.get_jpserver_extensions().items() if on] + services
    except Exception:
        return []


def become(identity: Identity, argv: list[str], script: str) -> None:
    """Be the server that a cold start would have been."""
    before = dict(os.environ)
    for name in identity["drop"]:
        os.environ.pop(name, None)
    os.environ.update(identity["env"])
    os.chdir(identity["cwd"])
    for path, inode in identity["folders"].items():
        if os.stat(path).st_ino != inode:
            say(error=f"{path} is not the folder that was to be mounted")
            sys.exit(3)
    restart = _must_restart(before, identity["argv"] != argv or command(argv) != script)
    say(warm="claimed", restart=restart)
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    os.close(quiet)
    script = command(identity["argv"])
    if restart:
        python = interpreter(script)
        os.execve(python, [python, script, *identity["argv"][1:]], dict(os.environ))
    _add_user_site()
    for name in [name for name in sys.modules if name.startswith(FORGOTTEN)]:
        del sys.modules[name]
    readers = {name for key in _changed(before) for name in WatchedEnvironment.seen.get(key, ())}
    for name in RELOADED:
        if name in readers and name in sys.modules:
            importlib.reload(sys.modules[name])
    sys.argv = [script, *identity["argv"][1:]]
    sys.orig_argv = [interpreter(script), *sys.argv]
    set_title(sys.orig_argv)
    importlib.invalidate_caches()
    runpy.run_path(script, run_name="__main__")


def _must_restart(before: dict[str, str], other_program: bool) -> str:
    """Return why only a cold start would be the same, or nothing: what was read when Python started
    or when a module was imported has another value now, or the person's own packages come first."""
    for key in _changed(before):
        if key.startswith(EARLY) or WatchedEnvironment.seen.get(key, set()).difference(
            RELOADED, HARMLESS
        ):
            return key
    if other_program:
        return "argv"
    user_site = _user_site()
    if user_site and user_site not in sys.path:
        loaded = {name.split(".")[0] for name in sys.modules}
        for name in os.listdir(user_site):
            if name.endswith(".pth") or name.split(".")[0] in loaded | {"usercustomize"}:
                return str(os.path.join(user_site, name))
    return ""


def _changed(before: dict[str, str]) -> list[str]:
    """List variables that have another value than before."""
    return sorted(key for key in {**before, **os.environ} if before.get(key) != os.environ.get(key))


def _user_site() -> str:
    """Return the person's own packages, where Python looks for them and there are some."""
    if not site.ENABLE_USER_SITE:
        return ""
    site.USER_SITE = site.USER_BASE = None
    path = site.getusersitepackages()
    return path if os.path.isdir(path) else ""


def _add_user_site() -> None:
    path = _user_site()
    if path and path not in sys.path:
        here = [sys.path.index(p) for p in site.getsitepackages() if p in sys.path]
        sys.path.insert(min(here, default=len(sys.path)), path)


def say(**words: object) -> None:
    """Send the hub one line: to where its line came from, or into the log that it reads."""
    line = json.dumps(words) + "\n"
    os.write(0 if stat.S_ISSOCK(os.fstat(0).st_mode) else 1, line.encode())


def memory() -> "int | None":
    """Return the bytes of this process that no other shares, after giving back what is not
    needed."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/smaps_rollup") as rows:
            own = [row.split()[1] for row in rows if row.startswith("Private_")]
        return sum(map(int, own)) * 1024
    except (OSError, AttributeError, ValueError):
        return None


def set_title(words: list[str]) -> None:
    """Make the command line of this process `words`, for everybody who lists processes.

    It is written over the one that the process was started with, as setproctitle does it: where
    the last byte is not zero, Linux shows what stands before the first zero. Where there is no
    room, or no Linux, the command line stays as it was.
    """
    title = " ".join(words).encode()
    try:
        with open("/proc/self/stat", "rb") as row:
            # Behind the name, which may hold anything, and a parenthesis. They count from one.
            fields = row.read().rpartition(b")")[2].split()
        begin, end = int(fields[48 - 3]), int(fields[49 - 3])
        if len(title) + 2 > end - begin:
            return
        ctypes.memset(begin, 0, end - begin)
        ctypes.memmove(begin, title, len(title))
        ctypes.memset(end - 1, ord("."), 1)
    except (OSError, ValueError, IndexError):
        return


def run_from_file(program: str, argv: list[str]) -> None:
    """Run the program again as a file in memory, by the interpreter of the server's script.

    A program of `-c` has other flags than a script. The command line has room for the server's.
    """
    python = interpreter(command(argv))
    file = os.memfd_create("warm", 0)
    os.write(file, program.encode())
    os.lseek(file, 0, os.SEEK_SET)
    os.execv(python, [python, f"/proc/self/fd/{file}", " " * ROOM, *argv])


def main() -> None:
    """Load, say so, wait, become."""
    argv = sys.argv[2:]
    script = command(argv)
    set_title([sys.executable, script, *argv[1:]])
    os.close(int(os.path.basename(__file__)))
    del globals()["__file__"]
    sys.path[0] = os.path.dirname(script)
    load()
    say(warm="ready", memory=memory())
    line = sys.stdin.readline()
    if line:
        become(json.loads(line), argv, script)


if __name__ == "__main__":
    if "program" in globals():
        run_from_file(globals()["program"], sys.argv[1:])
    main()
