"""Log lines: what must not stand in one."""

import re

#: A path or address, then a query to the end of the word.
_QUERY = re.compile(r"""(/[^\s?"'<>]*)\?[^\s"'<>)]+""")


def cut_queries(text: str) -> str:
    """Return the text with the query of each address left out: tokens and codes may stand there."""
    return _QUERY.sub(r"\1?…", text) if "?" in text else text
