"""START AND STOP: the mixin that every engine's spawner stands behind, and the engines.

Lives in the hub process. Decides nothing: `rules/` does. Engines are strangers to each other and
to the ledger: `.importlinter` names the few modules that know it.
"""
