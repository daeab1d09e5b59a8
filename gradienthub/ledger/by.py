"""By: who acts, at which hub, and when; what the audit writes beside each act."""

from dataclasses import dataclass
from datetime import datetime

LONGEST_ACTOR = 255


@dataclass(frozen=True)
class By:
    """Who acts, at which hub, and when. A long name is cut to what a column takes."""

    hub_id: str
    actor: str
    now: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "actor", self.actor[:LONGEST_ACTOR])
