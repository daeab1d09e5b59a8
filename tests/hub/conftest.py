"""Fixtures of the hub's room."""

import pytest
from jupyterhub.crypto import CryptKeeper


@pytest.fixture
def keys(monkeypatch):
    """The hub has a key to encrypt with."""
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", "ab" * 32)
    CryptKeeper.clear_instance()
    yield
    CryptKeeper.clear_instance()
