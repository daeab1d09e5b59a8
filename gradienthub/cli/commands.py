"""What a command is given to add its parser to."""

import argparse
from typing import TypeAlias

#: What `add_subparsers` returns. A word, because the class takes no parameter while it runs.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
