"""The OpenAPI document of REST v1, made of the table of operations."""

import re
from collections.abc import Callable, Sequence

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from .._version import __version__
from ..ledger import idempotency
from .api import KEY_HEADER, Operation
from .visitor import KeeperHandler

ERROR = {
    "type": "object",
    "required": ["status", "code", "message"],
    "properties": {
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "message": {"type": "string"},
        "hint": {"type": "string"},
        "field": {"type": ["string", "null"]},
        "alternatives": {"type": "array", "items": {"type": "string"}},
        "retry_after": {"type": "integer"},
    },
}
REFUSED = {
    "description": "Refused: what was asked, why not, what to do now.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}

KEY = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "description": "Choose one for each new request; one that is sent again with the same key is"
    f" not done again. Remembered {idempotency.REMEMBERED.days} days.",
    "schema": {"type": "string", "maxLength": idempotency.LONGEST_KEY},
}


def document(operations: Sequence[Operation], server: str = "") -> dict[str, object]:
    """Build the OpenAPI 3.1 document of these operations.

    `server` is the address below which they are.
    """
    answers = [operation.answer for operation in operations]
    bodies = [operation.body for operation in operations if operation.body]
    models = [*dict.fromkeys(answers), *dict.fromkeys(bodies)]
    schemas, definitions = models_json_schema(
        [(model, "serialization" if model in answers else "validation") for model in models],
        ref_template="#/components/schemas/{model}",
    )
    by_model = {model: schema for (model, _), schema in schemas.items()}
    paths: dict[str, dict[str, object]] = {}
    for operation in operations:
        calls = paths.setdefault(f"/{operation.path}", {})
        calls[operation.method.lower()] = _call(operation, by_model.__getitem__)
    return {
        "openapi": "3.1.0",
        "info": {"title": "GradientHub", "version": __version__},
        "servers": [{"url": server}] if server else [],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {"Error": ERROR, **definitions.get("$defs", {})},
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token` and a token of the hub",
                }
            },
        },
    }


def _call(
    operation: Operation, schema_of: Callable[[type[BaseModel]], object]
) -> dict[str, object]:
    call: dict[str, object] = {
        "summary": operation.summary,
        "description": f"Allowed: {operation.who}.",
        "operationId": operation.run.__name__,
        "parameters": _parameters(operation),
        "responses": {
            "200": {
                "description": operation.summary,
                "content": {"application/json": {"schema": schema_of(operation.answer)}},
            },
            "4XX": REFUSED,
            "503": REFUSED,
        },
    }
    if operation.body is not None:
        call["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_of(operation.body)}},
        }
    return call


def _parameters(operation: Operation) -> list[dict[str, object]]:
    schema = TypeAdapter(operation.query).json_schema()
    parameters: list[dict[str, object]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": field}
        for name, field in schema.get("properties", {}).items()
    ]
    return [*parameters, KEY] if operation.keyed else parameters


class OpenApiHandler(KeeperHandler):
    """GET api/v1/openapi.json."""

    def initialize(self, operations: Sequence[Operation]) -> None:
        """Take the whole table of `operations`."""
        self.table = operations

    def set_default_headers(self) -> None:
        """Say which methods there are."""
        super().set_default_headers()
        self.set_header("Allow", "GET")

    async def get(self) -> None:
        """Answer with the document."""
        self.write(document(self.table, f"{self.context.prefix}api/v1"))
