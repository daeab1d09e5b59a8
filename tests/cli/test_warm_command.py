"""gradienthub warm, on a real ledger."""

import uuid
from datetime import UTC, datetime

from gradienthub.ledger import warm_pool as pool_rows
from gradienthub.ledger import warm_slots
from gradienthub.rules.warm import Pool

POOL = """
c.GradientHub.runtimes["python"]["warm"] = True
c.GradientHub.warm = {"t4": {"python": 1}}
"""
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
T4 = Pool(instance_type="t4", runtime="python", count=1)


def waiting(hub, now=NOW):
    """A warm server as the hub makes one."""
    slot_id = str(uuid.uuid4())
    settings = hub.load().settings
    slot = hub.ledger.write(pool_rows.add, settings, {T4: "digest"}, slot_id, now)
    assert slot is not None
    hub.ledger.write(
        warm_slots.note_ready,
        slot_id,
        object_id="c",
        address="127.0.0.1 1",
        used=97_000_000,
        now=now,
    )
    return slot


def test_a_list_shows_what_waits_where_and_what_it_uses(hub):
    hub.write(POOL)
    hub.start_once()
    waiting(hub)
    said = hub.run("warm", "list")
    assert said.code == 0
    words = said.out.splitlines()[1].split()
    assert words[:7] == ["t4", "python", "rack", "GPU-1", "ready", "97", "MB"]
    assert "1 of 1 warm servers." in said.out
    assert "warm server" in hub.run("devices").out


def test_pause_ends_what_waits_and_lets_nobody_claim_it_until_resumed(hub):
    hub.write(POOL)
    hub.start_once()
    waiting(hub)
    assert hub.run("warm", "pause").code == 0
    assert "leaving" in hub.run("warm", "list").out
    assert "Paused by cli" in hub.run("warm", "list").out
    settings = hub.load().settings
    assert hub.ledger.write(pool_rows.add, settings, {T4: "d"}, str(uuid.uuid4()), NOW) is None
    assert hub.run("warm", "resume").out == "Resumed.\n"
    assert hub.run("warm", "resume").out == "It was not paused.\n"
