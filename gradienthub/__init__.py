"""GradientHub: a notebook cloud on your own machines, as a JupyterHub plugin suite.

Read it in the order of a notebook's life: `rules/` decides, `settings/` says what is configured,
`ledger/` remembers, `views/` put it into words, `spawners/` start and stop, `hub/` sits inside
JupyterHub and `service/` beside it, `configure` joins them, `cli/` is how a person meets it all.
`.importlinter` holds the layers and is the table of contents.
"""

from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .configuration import configure
    from .hub.authenticator import with_tiers

__all__ = ["__version__", "configure", "with_tiers"]


def __getattr__(name: str) -> object:
    # Imported late: `import gradienthub` must not load JupyterHub.
    if name == "configure":
        from .configuration import configure  # noqa: PLC0415

        return configure
    if name == "with_tiers":
        from .hub.authenticator import with_tiers  # noqa: PLC0415

        return with_tiers
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
