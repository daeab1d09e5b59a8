"""Generated requests to everything that REST v1 promises: no 500, and answers as promised."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from test_site import PREFIX, site  # noqa: F401 - a fixture

schemathesis = pytest.importorskip("schemathesis")
from schemathesis.specs.openapi import checks  # noqa: E402

EXAMPLES = 25
#: A cursor is any text to the document, and only a page's own to us: what is valid there may be
#: refused here.
PROMISES = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.mark.slow
@pytest.mark.parametrize("who", ["ada", "bob"])
async def test_no_request_that_the_document_allows_is_answered_with_a_fault(site, who):  # noqa: F811
    at = await site()
    told = (await at.site.ask("GET", "api/v1/openapi.json", at.ada)).body
    base = f"http://127.0.0.1:{at.site.port}{PREFIX}api/v1"
    headers = {"Authorization": f"token {getattr(at, who)}"}
    counts = await asyncio.to_thread(_ask_all, told, base, headers)
    assert min(counts.values()) >= 1
    assert set(counts) == {
        (method.upper(), path) for path, calls in told["paths"].items() for method in calls
    }


def _ask_all(
    told: dict[str, Any], base: str, headers: dict[str, str]
) -> dict[tuple[str, str], int]:
    """How many requests each operation was sent. Fails on the first one answered wrongly."""
    schema = schemathesis.openapi.from_dict(told)
    counts: dict[tuple[str, str], int] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        key = (operation.method.upper(), operation.path)
        counts[key] = 0
        _check(operation, key, base, headers, counts)
    return counts


def _check(
    operation: Any,
    key: tuple[str, str],
    base: str,
    headers: dict[str, str],
    counts: dict[tuple[str, str], int],
) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        answer = case.call(base_url=base, headers=headers)
        assert answer.status_code < 500, (key, answer.text)
        case.validate_response(answer, checks=PROMISES)
        counts[key] += 1

    check()
