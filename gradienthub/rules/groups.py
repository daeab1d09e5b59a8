"""Groups: what an identity provider says of somebody's groups, as one list of names."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

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


def clean_groups(listed: object) -> Groups:
    """Return the groups that a provider or a hook named, in whatever shape.

    Objects count by their name, lists in lists are read, and what names no group is left out.
    """
    if listed is None:
        return Groups(None)
    if not isinstance(listed, Collection) or isinstance(listed, str | bytes | bytearray | Mapping):
        return Groups((), trouble=f"they are no list but {type(listed).__name__}")
    names: set[str] = set()
    nameless = looked = length = 0
    lists: list[tuple[Collection[object], int]] = [(listed, 1)]
    while lists:
        some, depth = lists.pop()
        for group in some:
            looked += 1
            if looked > MOST or length > LONGEST_GROUPS:
                return Groups(None, unknown=True, trouble="they are too many")
            if isinstance(group, list | tuple | set | frozenset):
                if depth < DEEPEST:
                    lists.append((group, depth + 1))
                else:
                    nameless += 1
                continue
            name = _name_of(group)
            if name is None:
                nameless += 1
            elif name not in names:
                names.add(name)
                length += len(name)
    if length > LONGEST_GROUPS:
        return Groups(None, unknown=True, trouble="they are too many")
    trouble = f"{nameless} of them have no name" if nameless else ""
    return Groups(tuple(sorted(names)), trouble=trouble)


def too_many_to_list(info: Mapping[str, object], key: str = "groups") -> bool:
    """Return whether the provider says that it has more groups than it lists.

    Azure does so with `_claim_names` that point elsewhere, or with `hasgroups`.
    """
    elsewhere = info.get("_claim_names")
    leaf = key.rsplit(".", 1)[-1]
    if isinstance(elsewhere, Mapping) and any(name in elsewhere for name in ("groups", leaf)):
        return True
    return info.get("hasgroups") in (True, "true", "True")


def _name_of(group: object) -> str | None:
    name = group
    if isinstance(group, Mapping):
        words = (
            str(word) if isinstance(word, int) and not isinstance(word, bool) else word
            for word in (group.get(key) for key in NAME_KEYS)
        )
        name = next((word for word in words if isinstance(word, str) and word.strip()), None)
    if not isinstance(name, str) or not name.strip() or "\0" in name or len(name) > LONGEST_NAME:
        return None
    try:
        name.encode()
    except UnicodeEncodeError:
        return None  # half a character, which no database takes
    return name
