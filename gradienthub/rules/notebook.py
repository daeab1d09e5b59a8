"""Name a notebook: the same words on pages, in REST, mail, statements and on the command line."""

from collections.abc import Mapping

#: The notebook whose server has no name, until its owner gives it one.
UNNAMED = "Default notebook"


def title_of(display_name: str | None, server_name: str | None) -> str:
    """Return what people call a notebook: its own name, else its server's."""
    return display_name or server_name or UNNAMED


def find_titled(title: str, titles: Mapping[str, str]) -> str | None:
    """Return the server name of the notebook that is called so in any case, or None.

    `titles` are those of one person's notebooks by server name.
    """
    wanted = title.casefold()
    return next((name for name, other in titles.items() if other.casefold() == wanted), None)
