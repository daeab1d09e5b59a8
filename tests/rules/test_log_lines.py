"""What a log line may hold."""

import pytest

from gradienthub.rules.log_lines import cut_queries


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("403 GET /hub/api/x?token=secret (127.0.0.1): No", "403 GET /hub/api/x?… (127.0.0.1): No"),
        ("GET http://h:8000/a/b?code=1&state=2 failed", "GET http://h:8000/a/b?… failed"),
        ("uri='/@/me?token=a', version", "uri='/@/me?…', version"),
        ("GET /x?token", "GET /x?…"),
        ("Is /data full? Yes", "Is /data full? Yes"),
        ("What? No path", "What? No path"),
    ],
)
def test_a_query_is_left_out_and_nothing_else(said, written):
    assert cut_queries(said) == written
