"""Batches: many ids in as many statements as databases need."""

from collections.abc import Collection, Iterator

#: Values in one statement, below every database's limit.
AT_ONCE = 500


def split_ids(ids: Collection[str]) -> Iterator[list[str]]:
    """Split ids into batches that fit one statement each, in a stable order."""
    ordered = sorted(ids)
    return (ordered[first : first + AT_ONCE] for first in range(0, len(ordered), AT_ONCE))
