"""The command line: how a person meets it all. One module a command, each with `add_parser`.

Every expected fault is one sentence with a cure on standard error: exit code 2 where an argument
is wrong, 1 where something else is.
"""

import argparse
import sys
from collections.abc import Sequence

from traitlets import TraitError

from .._version import __version__
from ..ledger import LedgerAway
from ..ledger.accounts import NoSuchAccount
from ..rules.catalog import ConfigurationFault
from ..rules.refusal import Refused
from . import (
    account,
    adopt,
    approve,
    audit,
    budget,
    check,
    credit,
    demo,
    devices,
    extend,
    findings,
    init,
    leases,
    mount_helper,
    statement,
    stop,
    tier,
    upgrade_db,
    usage,
    verify,
    warm,
)
from .config import UsageFault

COMMANDS = (
    demo,
    init,
    check,
    adopt,
    account,
    tier,
    leases,
    extend,
    stop,
    credit,
    budget,
    approve,
    usage,
    statement,
    verify,
    devices,
    findings,
    audit,
    warm,
    mount_helper,
    upgrade_db,
)
#: The status of a refusal of what makes no sense.
WRONG_ARGUMENT = 400


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    args = parser().parse_args(argv)
    try:
        return int(args.run(args))
    except UsageFault as fault:
        return _say(fault, 2)
    except Refused as refused:
        return _say(refused.text, 2 if refused.status == WRONG_ARGUMENT else 1)
    except NoSuchAccount as fault:
        return _say(fault.args[0], 1)
    except (ConfigurationFault, TraitError) as fault:
        return _say(fault, 1)
    except LedgerAway as away:
        # Drivers write several lines.
        words = " ".join(str(away).split())
        return _say(
            f"The ledger cannot be used now: {words}. See that its database runs and that you are"
            " the hub's own user; `gradienthub check` says more",
            1,
        )
    except BrokenPipeError:
        # The reader (head, less) has enough. Python would complain when it flushes at its end.
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="gradienthub", description="A notebook cloud on your own machines."
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return top


def _say(sentence: object, code: int) -> int:
    print(f"gradienthub: {sentence}".rstrip(".") + ".", file=sys.stderr)
    return code
