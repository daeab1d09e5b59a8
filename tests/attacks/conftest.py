"""Real containers under a real hub, for those who attack it."""

import sys
from pathlib import Path

# What every engine promises is asked with the same small server.
sys.path.insert(0, str(Path(__file__).parent.parent / "spawners"))
