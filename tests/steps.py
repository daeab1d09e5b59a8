"""The steps of a start, for tests that want a lease in one of its phases."""

from gradienthub.ledger import leases
from gradienthub.rules.phase import Phase

COLD = (Phase.PREPARING, Phase.WAITING, Phase.TURN, Phase.STARTING, Phase.ANSWERING)


def columns_of(tx, lease_id):
    """Return all that a lease has, by name; None where there is none."""
    lease = leases.describe(tx, lease_id)
    return lease and dict(vars(lease))


def reach(tx, lease_id, phase, at):
    """Take a cold start to one of its phases, as a hub would."""
    for step in COLD[: COLD.index(phase) + 1]:
        assert leases.note_phase(tx, lease_id, step, at), step


def answer(tx, lease_id, at):
    """Let the server of a lease answer, which a warm one does as soon as it is started."""
    leases.note_phase(tx, lease_id, Phase.STARTING, at)
    return leases.note_answered(tx, lease_id, at)
