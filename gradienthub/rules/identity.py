"""Identity: whose login this is, decided from what the provider says and what the ledger knows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

#: Where providers put what never changes about a person, the strongest first.
SUBJECT_KEYS = ("oid", "sub", "id", "user_id", "uid")
#: How far two readings of one creation time may lie apart where one of them has no fraction of a
#: second: MySQL cuts it, or rounds it up.
TOLERANCE = timedelta(seconds=2)
#: The same where both have one: what databases round away of it.
ROUNDED = timedelta(milliseconds=10)


#: What programs write for a person whom they do not know, in any case.
NOBODY = frozenset(
    {
        "-1",
        "none",
        "null",
        "nil",
        "undefined",
        "nan",
        "n/a",
        "na",
        "unknown",
        "anonymous",
        "(null)",
        "<null>",
        "[]",
        "{}",
        "[object object]",
    }
)


def names_nobody(word: str) -> bool:
    """Return whether a provider's word stands for nobody: empty, a dash, only zeros, "null".

    A person is never known by it: everybody without a word of their own would share one account.
    """
    bare = word.strip().strip("\"'").lower()
    return not bare.strip("0-.:_ ") or bare in NOBODY


@dataclass(frozen=True)
class HubUser:
    """A user of the hub. SQLite gives ids out again, and some databases cut creation times."""

    id: int
    created: datetime
    name: str


@dataclass(frozen=True)
class Subject:
    """Who an identity provider says somebody is.

    `subject` is its best word, empty where it has no stable one. `keys` are all its stable words
    by the key that each came from; without them the key of `subject` is unknown.
    """

    provider: str = ""
    subject: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> Mapping[str, str]:
        """Every stable word by its key; an empty key is an unknown one."""
        return self.keys or ({"": self.subject} if self.subject else {})


@dataclass(frozen=True)
class Word:
    """A subject that names an account. `rank` orders an account's words: the oldest is lowest.

    An empty provider or key is an unknown one and matches all.
    """

    provider: str
    key: str
    subject: str
    rank: int = 0


@dataclass(frozen=True)
class Bound:
    """A hub user that an account belongs to. `present` False: the hub has no such user now."""

    user: HubUser
    present: bool = True
    #: An account that an administrator took this user off: its subject does not bind them again.
    apart_from: str | None = None


class Closed(StrEnum):
    """Why an account is closed."""

    DELETED = "deleted"  # the hub deleted its user
    REPLACED = "replaced"  # another person logged in as its user
    MERGED = "merged"  # an administrator moved it into another account
    SET_ASIDE = "set_aside"  # an administrator bound its user to another account


@dataclass(frozen=True)
class Candidate:
    """An account that a login may belong to, with all that names it."""

    account_id: str
    name: str
    users: tuple[Bound, ...] = ()
    words: tuple[Word, ...] = ()
    closed: Closed | None = None
    #: An administrator made it before its owner's first login.
    prepared: bool = False


class Verdict(StrEnum):
    """Whose login it is."""

    SAME = "same"  # the account that this hub user has
    BOUND = "bound"  # an account that the subject names; the hub user is bound to it
    LINKED = "linked"  # as BOUND, and the account has another hub user: one account, two names
    PREPARED = "prepared"  # an account that waited for this person
    OPENED = "opened"  # somebody new


@dataclass(frozen=True)
class LoginAccount:
    """The account of a login, None for a new one, and what changes.

    `leaves` is the account that this hub user had and has no more; `closes` says whether it is
    closed by that. `trusted` False: the facts of this login are not its account's.
    """

    verdict: Verdict
    why: str
    account_id: str | None = None
    leaves: str | None = None
    closes: bool = False
    trusted: bool = True


class _Says(StrEnum):
    SAME = "same"
    OTHER = "other"
    ELSEWHERE = "elsewhere"
    UNKNOWN = "unknown"


def whose_login(
    user: HubUser,
    who: Subject | None,
    candidates: Iterable[Candidate],
    *,
    refresh: bool = False,
    moved: Mapping[str, str] | None = None,
) -> LoginAccount:
    """Answer whose login this is.

    The account that the subject names comes first, then the account of this hub user unless its
    subject of the same provider and key is another one, then an account that was prepared, then a
    new one. `who` None: a look at a hub user without a login. `refresh`: the provider speaks of a
    session that goes on, so nothing is closed or opened by it. `moved` maps a provider to the one
    before it whose names it took over.
    """
    accounts = [c for c in candidates if c.closed is not Closed.MERGED]
    own = _account_of_user(user, accounts)
    says = _compare(own, who, moved or {}) if own else _Says.UNKNOWN
    if own and says is _Says.SAME:
        return LoginAccount(Verdict.SAME, "the provider names the same subject", own.account_id)
    named = _find_named(user, who, accounts, own, moved or {})
    if refresh and own and (named or says in (_Says.OTHER, _Says.ELSEWHERE)):
        why = "the provider names another subject for a session that goes on"
        return LoginAccount(Verdict.SAME, why, own.account_id, trusted=False)
    if named:
        return _bind(user, named, own)
    if own and says is _Says.UNKNOWN:
        return LoginAccount(Verdict.SAME, "it is the account of this hub user", own.account_id)
    if own:
        return _replace(user, own, says)
    if waiting := _find_prepared(user, accounts):
        why = "an administrator prepared an account for this name"
        return LoginAccount(Verdict.PREPARED, why, waiting.account_id)
    return LoginAccount(Verdict.OPENED, "nobody here has this subject or this hub user")


def _replace(user: HubUser, own: Candidate, says: _Says) -> LoginAccount:
    """Open a new account for a hub user whose name another person has now."""
    if says is _Says.ELSEWHERE:
        why = f"the name {user.name} comes from another provider now"
    else:
        why = f"the provider gave the name {user.name} to another subject"
    closes = _is_only_user(own, user)
    return LoginAccount(Verdict.OPENED, why, leaves=own.account_id, closes=closes)


def _bind(user: HubUser, named: Candidate, own: Candidate | None) -> LoginAccount:
    """Bind the hub user to the account that the subject names."""
    leaves = own.account_id if own else None
    closes = own is not None and _is_only_user(own, user)
    if named.prepared:
        verdict, why = Verdict.PREPARED, "an administrator prepared an account for this subject"
    elif others := sorted(
        b.user.name for b in named.users if b.present and b.user.name not in ("", user.name)
    ):
        verdict, why = Verdict.LINKED, f"the same subject is known as {', '.join(others)}"
    else:
        verdict, why = Verdict.BOUND, "the provider's subject names this account"
    return LoginAccount(verdict, why, named.account_id, leaves=leaves, closes=closes)


def same_moment(first: datetime, other: datetime) -> bool:
    """Return whether two readings are of one creation time: equal, or one lost its fraction.

    A user who is made again gets the same id within seconds, so that nothing wider is the same.
    """
    apart = abs(first - other)
    if (first.microsecond == 0) != (other.microsecond == 0):
        return apart <= TOLERANCE
    return apart <= ROUNDED


def _account_of_user(user: HubUser, candidates: list[Candidate]) -> Candidate | None:
    """Return the account whose hub user this is: the open one, of those the nearest in time."""
    owners = []
    for candidate in candidates:
        for bound in candidate.users:
            if not _is_user(bound, user):
                continue
            apart = abs(bound.user.created - user.created)
            owners.append((apart != timedelta(0), candidate.closed is not None, apart, candidate))
    return min(owners, key=lambda row: row[:3])[3] if owners else None


def _find_named(
    user: HubUser,
    who: Subject | None,
    candidates: list[Candidate],
    own: Candidate | None,
    moved: Mapping[str, str],
) -> Candidate | None:
    """Return the account that the subject names; a deleted user's is not opened by it."""
    named = [
        c
        for c in candidates
        if c is not own
        and not (own and _is_kept_apart(own, c, user))
        and c.closed is not Closed.DELETED
        and _compare(c, who, moved) is _Says.SAME
    ]
    if not named:
        return None
    return min(named, key=lambda c: (c.closed is not None, c.prepared, c.name != user.name))


def _find_prepared(user: HubUser, candidates: list[Candidate]) -> Candidate | None:
    """Return the account that waits for this name; one that waits for a subject is not it."""
    waiting = [c for c in candidates if c.prepared and not c.closed and c.name == user.name]
    return next((c for c in waiting if not c.words), None)


def _compare(candidate: Candidate, who: Subject | None, moved: Mapping[str, str]) -> _Says:
    """Return what the login's subject says of an account.

    The oldest key that both have decides: a provider that adds a key says nothing new, and a new
    key does not outvote the old one.
    """
    if who is None or not candidate.words:
        return _Says.UNKNOWN
    same_kind = [
        word
        for word in sorted(candidate.words, key=lambda w: (w.rank, _strength(w.key)))
        if word.provider in ("", who.provider)
    ]
    if not same_kind:
        providers = {word.provider for word in candidate.words}
        expected = moved.get(who.provider)
        return _Says.UNKNOWN if expected in providers else _Says.ELSEWHERE
    for word in same_kind:
        if not word.key or "" in who.words:
            values = who.words.values()
            # A word without its key: one that is the same is enough, and one that is not the same
            # may be another person's.
            if word.subject in values:
                return _Says.SAME
            if values and not any(w.subject in values for w in same_kind):
                return _Says.OTHER
        elif word.key in who.words:
            of_key = {w.subject for w in same_kind if w.key == word.key}
            return _Says.SAME if who.words[word.key] in of_key else _Says.OTHER
    return _Says.UNKNOWN


def _strength(key: str) -> int:
    return SUBJECT_KEYS.index(key) if key in SUBJECT_KEYS else len(SUBJECT_KEYS)


def _is_only_user(candidate: Candidate, user: HubUser) -> bool:
    """Return whether the account has no other user at the hub."""
    return not any(bound.present and not _is_user(bound, user) for bound in candidate.users)


def _is_kept_apart(own: Candidate, other: Candidate, user: HubUser) -> bool:
    return any(b.apart_from == other.account_id for b in own.users if _is_user(b, user))


def _is_user(bound: Bound, user: HubUser) -> bool:
    return bound.user.id == user.id and same_moment(bound.user.created, user.created)
