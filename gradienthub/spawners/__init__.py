"""START AND STOP: the mixin that every engine's spawner stands behind, and the engines.

Lives in the hub process. May use the ledger only through `context.py` and `base.py`. Decides
nothing: `rules/` does. Engines are strangers to each other.
"""
