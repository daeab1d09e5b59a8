"""Groups: what an identity provider says of somebody's groups, as one list of names."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

#: Characters of all group names together; a person in a thousand groups stays below it.
LONGEST_GROUPS = 64_000
#: What the hub's database takes as the name of a group.
LONGEST_NAME = 255
#: Where directories put the name of a group that they send as an object, the most readable first.
NAME_KEYS = ("name", "displayName", "display", "id")
#: Lists in lists are read this deep, and this many things in all.
DEEPEST = 4
MOST = 20_000


@dataclass(frozen=True)
class Groups:
    """The names of somebody's groups.

    `names` None: nothing is known, and what was known before stands; `unknown` says that the
    provider has more than it lists. `trouble` says what could not be used, empty where all could.
    """

    names: tuple[str, ...] | None
    unknown: bool = False
    trouble: str = ""


def clean_groups(said: Any) -> Groups:
    """Return the groups that a provider or a hook named, in whatever shape.

    Objects count by their name, lists in lists are read, and what names no group is left out.
    """
    if said is None:
        return Groups(None)
    if not isinstance(said, Collection) or isinstance(said, str | bytes | bytearray | Mapping):
        return Groups((), trouble=f"they are no list but {type(said).__name__}")
    names: set[str] = set()
    odd = looked = length = 0
    lists: list[tuple[Collection[Any], int]] = [(said, 1)]
    while lists:
        some, depth = lists.pop()
        for one in some:
            looked += 1
            if looked > MOST or length > LONGEST_GROUPS:
                return Groups(None, unknown=True, trouble="they are too many")
            if isinstance(one, list | tuple | set | frozenset):
                if depth < DEEPEST:
                    lists.append((one, depth + 1))
                else:
                    odd += 1
                continue
            name = _name_of(one)
            if name is None:
                odd += 1
            elif name not in names:
                names.add(name)
                length += len(name)
    if length > LONGEST_GROUPS:
        return Groups(None, unknown=True, trouble="they are too many")
    return Groups(tuple(sorted(names)), trouble=f"{odd} of them have no name" if odd else "")


def too_many_to_list(info: Mapping[str, Any], key: str = "groups") -> bool:
    """Return whether the provider says that it has more groups than it lists.

    Azure does so with `_claim_names` that point elsewhere, or with `hasgroups`.
    """
    elsewhere = info.get("_claim_names")
    leaf = key.rsplit(".", 1)[-1]
    if isinstance(elsewhere, Mapping) and any(name in elsewhere for name in ("groups", leaf)):
        return True
    return info.get("hasgroups") in (True, "true", "True")


def _name_of(one: Any) -> str | None:
    if isinstance(one, Mapping):
        found = (one.get(key) for key in NAME_KEYS)
        words = (
            str(word) if isinstance(word, int) and not isinstance(word, bool) else word
            for word in found
        )
        one = next((word for word in words if isinstance(word, str) and word.strip()), None)
    if not isinstance(one, str) or not one.strip() or "\0" in one or len(one) > LONGEST_NAME:
        return None
    try:
        one.encode()
    except UnicodeEncodeError:
        return None  # half a character, which no database takes
    return one
