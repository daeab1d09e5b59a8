"""An engine of these tests' own, that may be killed."""

import tempfile
from pathlib import Path

import pytest
from private_engine import PrivateEngine


@pytest.fixture(scope="module")
def engine():
    # A socket's path has to be short.
    made = PrivateEngine(Path(tempfile.mkdtemp(prefix="gh-")))
    try:
        made.make()
        yield made
    finally:
        made.close()
