"""SETTINGS: every trait of `c.GradientHub` with its help, and what they resolve to.

It looks at nothing but the traits, the preset and this machine's size, and starts nothing. What it
writes is `data_dir` with the hub's id, where no `hub_id` is set.
"""

from .house import this_machine
from .hub import GradientHub, Published, Settings, kept_hub_id
from .keeper import KeeperPolicy

__all__ = [
    "GradientHub",
    "KeeperPolicy",
    "Published",
    "Settings",
    "kept_hub_id",
    "this_machine",
]
