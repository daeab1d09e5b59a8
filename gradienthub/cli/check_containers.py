"""What `gradienthub check` finds of containers: what they are given, and whom they reach."""

from collections.abc import Iterator

from ..rules.bridge import lets_neighbors_talk
from ..spawners.networks import NETWORK
from . import check_policy
from .check_result import CheckResult, fault, ok, warn
from .check_scene import Scene


def asked_of_engine(scene: Scene) -> Iterator[CheckResult]:
    """Judge what the configuration asks of the engine beside leases, as each start will be
    judged."""
    hub, spawner = scene.hub, scene.wiring.spawner
    if scene.wiring.engine != "docker" or spawner is None:
        return
    try:
        asked = check_policy.configured_excess(hub, spawner)
    except check_policy.Unreadable as unreadable:
        yield fault("limits", str(unreadable), "correct it; every start fails with it")
        return
    dropped = hub.value(spawner, "unrented") == "drop"
    for excess in asked:
        happens = "is dropped at each start" if dropped else "refuses every start"
        allow = f"; or allow it: {scene.dotted('allowed_host_settings')} = [{excess.name!r}]"
        yield (warn if dropped else fault)(
            "limits",
            f"{excess.name} {happens}: {excess.why}",
            f"remove {excess.setting} from the spawner's configuration; leases bring their own"
            f" devices{'' if excess.never else allow}",
        )
    for entry in hub.value(spawner, "allowed_host_settings"):
        yield warn(
            "limits",
            f"allowed_host_settings has {entry!r}: every notebook may have it",
            f"remove it from {scene.dotted('allowed_host_settings')} where nobody needs it",
        )
    if unjudged := check_policy.unjudged(hub, spawner):
        yield ok(
            "limits",
            f"{', '.join(unjudged)}: what a callable asks of the engine is judged at each start,"
            " and not here",
        )


def network(scene: Scene) -> Iterator[CheckResult]:
    """Check that notebooks do not reach each other's ports."""
    hub, spawner, seen = scene.hub, scene.wiring.spawner, scene.engine
    if scene.wiring.engine != "docker" or spawner is None or seen.away:
        return
    name = str(hub.value(spawner, "network_name"))
    if name == "host" or name.startswith("container:"):
        return  # said by `asked_of_engine`
    if seen.network is None:
        yield _no_network(scene, name)
        return
    if str(hub.value(spawner, "host_ip") or "") in ("0.0.0.0", "::") and not seen.remote:
        yield warn(
            "network",
            "host_ip publishes notebooks on every address of this machine: neighbors and the"
            " network reach their ports",
            f"remove {scene.dotted('host_ip')}; the hub reaches them at 127.0.0.1",
        )
    yield _neighbors(scene, name, lets_neighbors_talk(seen.network, seen.info))


def _no_network(scene: Scene, name: str) -> CheckResult:
    if name == NETWORK:
        return ok("network", f"the hub makes {name} at the first start of a notebook")
    return fault(
        "network",
        f"the engine has no network {name}",
        f"docker network create {name}; or remove {scene.dotted('network_name')}",
    )


def _neighbors(scene: Scene, name: str, why: str) -> CheckResult:
    """Judge whether notebooks of a network reach each other; `why` the engine lets them, or ""."""
    reach = scene.engine.neighbors_reach
    if not why and reach:
        why = "the engine sets no packet filters (iptables is off)"
    if not why:
        tried = " (tried)" if reach is False else ""
        return ok("network", f"{name}: no notebook reaches another{tried}")
    custom = any(tier.custom_images for tier in scene.hub.settings.house.tiers.values())
    whose = ", also those of people's own images," if custom else ""
    return warn(
        "network",
        f"on the network {name} notebooks{whose} reach each other's ports: {why}",
        "let the engine set packet filters (its iptables, and the kernel's br_netfilter)"
        if name == NETWORK
        else f"remove {scene.dotted('network_name')}: the hub then makes a network without"
        " traffic between notebooks; a hub that is a container on it needs it, see docs/limits.md",
    )


def copies(scene: Scene) -> Iterator[CheckResult]:
    """Find containers with this hub's labels that it never made.

    They are left alone and counted for nobody.
    """
    names = {seen.object_id: seen.name for seen in scene.engine.census or ()}
    foreign = [(copy.name, copy.why) for copy in scene.engine.copies]
    foreign += [(names[key], why) for key, why in scene.ledger.copies.items() if key in names]
    for name, why in foreign:
        yield warn(
            "orphans",
            f"{name} has labels of this hub and is not one of its own: {why}",
            "see whose it is (an image may have our labels, and one that was committed from a"
            " notebook has them); the hub counts it for nobody and never removes it",
        )
