"""REST v1 of the keeper: operations on the ledger, each a function of a visitor and parsed input.

An operation says its method, path, input and answer as pydantic models; the handlers and the
OpenAPI document are made of the same table.
"""

import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..ledger import idempotency
from ..rules.refusal import Refused, shown
from .visitor import KeeperHandler

M = TypeVar("M", bound=BaseModel)
#: Bytes of a request's body.
LONGEST_BODY = 16_384
LARGEST_PAGE = 200
#: A user name of 255 characters, each of four bytes, in base64.
LONGEST_CURSOR = 1500
KEY_HEADER = "Idempotency-Key"


class Input(BaseModel):
    """A query string or a body: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, str_max_length=500)


class Nothing(Input):
    """No input."""


class Paging(Input):
    """A page of a list; `after` is `next` of the page before."""

    limit: int = Field(default=50, ge=1, le=LARGEST_PAGE)
    after: str = Field(default="", max_length=LONGEST_CURSOR)


class Keyed(Input):
    """A key of the sender's choice: what was done under it is not done again."""

    key: str = Field(default="", max_length=idempotency.LONGEST_KEY)


class Page(BaseModel, Generic[M]):
    """A page of a list, the newest first; `next` is null on the last one."""

    items: list[M]
    next: str | None = None


Run = Callable[..., Awaitable[BaseModel]]


@dataclass(frozen=True)
class Operation:
    """One call: `run(handler, input, **path names)` answers `answer`; `who` may, in words.

    `keyed`: the header Idempotency-Key makes retrying it safe.
    """

    method: str
    path: str
    run: Run
    answer: type[BaseModel]
    summary: str
    who: str
    query: type[Input] = Nothing
    body: type[Input] | None = None
    keyed: bool = False


class ApiHandler(KeeperHandler):
    """All methods of one path."""

    operations: dict[str, Operation]

    def initialize(self, operations: dict[str, Operation]) -> None:
        """Take the `operations` of this address by method."""
        self.operations = operations

    async def get(self, **path: str) -> None:
        """Read."""
        await self._run("GET", path)

    async def post(self, **path: str) -> None:
        """Change."""
        await self._run("POST", path)

    async def put(self, **path: str) -> None:
        """Set."""
        await self._run("PUT", path)

    async def delete(self, **path: str) -> None:
        """Take away."""
        await self._run("DELETE", path)

    @property
    def idempotency_key(self) -> str:
        """What the header of that name says, or nothing. Refuses what is no key."""
        return parsed(Keyed, {"key": self.request.headers.get(KEY_HEADER, "")}, "bad_query").key

    async def _run(self, method: str, path: dict[str, str]) -> None:
        operation = self.operations.get(method)
        if operation is None:
            raise Refused("bad_method", f"{method} does nothing here.", f"Known: {self._known()}.")
        inputs = {"query": self._query(operation)}
        if operation.body is not None:
            inputs["body"] = self._body(operation.body)
        elif self.request.body.strip():
            # What is said there would be dropped.
            self._body(Nothing)
        answer = await operation.run(self, **inputs, **path)
        self.set_header("Content-Type", "application/json")
        self.finish(answer.model_dump_json())

    def _known(self) -> str:
        return ", ".join(sorted(self.operations))

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Write an error in the one shape. A wrong method also names those that are known."""
        if status_code == 405:
            self.set_header("Allow", self._known())
        super().write_error(status_code, **kwargs)

    def _query(self, operation: Operation) -> Input:
        fields = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        # The hub's own token may stand in the address, and is not ours to judge.
        fields.pop("token", None)
        fields.pop("_xsrf", None)
        return parsed(operation.query, fields, "bad_query")

    def _body(self, model: type[Input]) -> Input:
        if len(self.request.body) > LONGEST_BODY:
            raise Refused(
                "bad_body",
                f"The body has {len(self.request.body)} bytes.",
                f"At most {LONGEST_BODY} are taken.",
            )
        try:
            fields = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError):
            raise Refused("bad_body", "The body is not JSON.", "Send a JSON object.") from None
        if not isinstance(fields, dict):
            raise Refused("bad_body", "The body is not a JSON object.")
        return parsed(model, fields, "bad_body")


def parsed(model: type[M], fields: Mapping[str, object], code: str) -> M:
    """Return the input, or a refusal that names the field."""
    if "\\u0000" in json.dumps(fields):
        # No text to PostgreSQL.
        raise Refused(code, "There is a zero byte in the input.", "Send text.")
    try:
        return model.model_validate(fields)
    except ValidationError as fault:
        error = fault.errors()[0]
        field = ".".join(str(part) for part in error["loc"])[:60]
        known = ", ".join(model.model_fields) or "none"
        raise Refused(
            code, f"{shown(field)}: {error['msg']}.", f"Known names: {known}.", field=field
        ) from None
    except RecursionError:
        raise Refused(code, "The input is nested too deeply.") from None


def encode_cursor(*key: datetime | date | int | str) -> str:
    """Encode where a page ended as an opaque word. A key may have any characters."""
    parts = [part.isoformat() if isinstance(part, date) else str(part) for part in key]
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(after: str, parts: int) -> list[str] | None:
    """Decode a cursor of so many parts; None for an empty one. Refuses what we did not encode."""
    if not after:
        return None
    try:
        text = base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)).decode()
        key = json.loads(text)
    except (ValueError, binascii.Error, RecursionError):
        raise _bad_cursor(after) from None
    if not isinstance(key, list) or len(key) != parts:
        raise _bad_cursor(after)
    if not all(isinstance(part, str) and part and "\0" not in part for part in key):
        raise _bad_cursor(after)
    return key


def decode_time_cursor(after: str) -> tuple[datetime, str] | None:
    """Decode a cursor of a moment and an id. Refuses what we did not encode."""
    key = decode_cursor(after, 2)
    if key is None:
        return None
    try:
        at = datetime.fromisoformat(key[0])
        # The first and the last hours of all time are beyond it in another zone.
        if at.tzinfo is not None and is_id(key[1]):
            return at.astimezone(UTC), key[1]
    except (ValueError, OverflowError):
        pass
    raise _bad_cursor(after)


def decode_number_cursor(after: str) -> int | None:
    """Decode a cursor of one number. Refuses what we did not encode."""
    key = decode_cursor(after, 1)
    if key is None:
        return None
    if not key[0].isdecimal() or len(key[0]) > 18:
        raise _bad_cursor(after)
    return int(key[0])


def _bad_cursor(after: str) -> Refused:
    return Refused(
        "bad_query",
        f"after: {shown(after)} is not where a page ended.",
        "Send `next` of the page before, or nothing.",
        field="after",
    )


def is_id(word: str) -> bool:
    """Return whether it could be an id of ours. What could not is asked of no database."""
    return re.fullmatch(r"[0-9a-f-]{36}", word) is not None


#: Pattern, handler and what the handler is initialized with.
Route = tuple[str, type[ApiHandler], dict[str, dict[str, Operation]]]


def routes(prefix: str, operations: Sequence[Operation]) -> list[Route]:
    """Return the handlers of a table; `{name}` in a path is one segment."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    made: list[Route] = []
    for path, methods in by_path.items():
        pattern = path.replace("{", "(?P<").replace("}", ">[^/]+)")
        made.append((f"{prefix}api/v1/{pattern}", ApiHandler, {"operations": methods}))
    return made
