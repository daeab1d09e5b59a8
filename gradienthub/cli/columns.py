"""Rows for a terminal, in columns as wide as they need."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], gap: int = 2) -> str:
    """Lay the rows out as lines. The last column is not padded. All rows have as many cells.

    What would move a terminal's cursor or colour is shown as a replacement character.
    """
    rows = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "".join(cell.ljust(width + gap) for cell, width in zip(row[:-1], widths[:-1], strict=True))
        + row[-1]
        for row in rows
    )


def _printable(cell: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cell)
