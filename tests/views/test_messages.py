from datetime import UTC, datetime, timedelta

import pytest
from values import make_lease

from gradienthub.ledger.watches import Watched
from gradienthub.rules.catalog import InstanceType
from gradienthub.rules.idleness import Deadlines, Reason, Stop, Warn
from gradienthub.rules.use import Evidence
from gradienthub.views.lease_view import Conditions, running_view
from gradienthub.views.messages import Recipient, recipient, stopped_message, warning_message

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
PAGE = "https://hub.example.org/hub/home"
MINUTES = timedelta(minutes=1)
P5000 = InstanceType(
    name="p5000",
    title="P5000",
    gpu_model="Quadro P5000",
    gpus=1,
    gpu_memory=16,
    cpus=8,
    memory=30,
    price="0.78",
)
HOSTILE = (
    "a\r\nBcc: all@example.org\x00\u202e <!channel> @everyone [click](http://evil) " + "x" * 900
)


def view(*, ends_at=NOW + timedelta(hours=3), stopped=False, **columns):
    """A running (or stopped) P5000 for an hour, idle for 50 minutes of one hour."""
    lease = make_lease(
        **{
            "id": "lease-1",
            "display_name": "Thesis",
            "server_name": "thesis",
            "account_name": "anna",
            "instance_type": "p5000",
            "cpus": 8,
            "memory": 30,
            "runtime": "python",
            "image": None,
            "tier": "pro",
            "host": "rack",
            "price": 780_000,
            "currency": "USD",
            "admitted_at": NOW - 61 * MINUTES,
            "answered_at": NOW - 60 * MINUTES,
            "stop_requested_at": NOW if stopped else None,
            "ended_at": None,
            "reason": None,
            "stopped_by": None,
            "stop_note": None,
            "shutdown_after": timedelta(hours=1),
            "used_at": None,
            "used_by": None,
            "custom_image": False,
            "started_at": NOW - 60 * MINUTES,
            "seen_at": NOW,
        }
        | columns
    )
    run = Watched(
        lease,
        Deadlines(timedelta(hours=1), session_ends_at=ends_at),
        Evidence(used_at=NOW - 50 * MINUTES),
    )
    return running_view(run, P5000, Conditions(), NOW)


def test_an_idle_warning_says_what_when_why_the_cost_and_how_to_keep_it():
    warn = Warn(Reason.IDLE, NOW + 10 * MINUTES, 15 * MINUTES, "idle for 1 h")
    title, body = warning_message(view(), warn, PAGE)
    assert title == "“Thesis” stops in 10 min: idle for 1 h"
    assert body.splitlines() == [
        "Notebook “Thesis” of anna on P5000 · 16 GB GPU · 8 vCPU · 30 GB stops at"
        " 2026-11-23 17:10 UTC, in 10 min.",
        "Why: idle for 1 h.",
        "Cost so far: $0.78 ($0.78/h).",
        f"To keep it, use it or press Extend at {PAGE}. Extend keeps it until"
        " 2026-11-23 18:00 UTC for at most $0.78 more.",
    ]


@pytest.mark.parametrize(
    ("reason", "why", "keep"),
    [
        (
            Reason.UNKNOWN_USE,
            "its use could not be read since 10:02 UTC on 1 Mar",
            "It does not say whether it is used. To keep it, press Extend",
        ),
        (
            Reason.NO_WORK,
            "busy without work since 10:02 UTC on 1 Mar",
            "A cell may wait for input, or hang. To keep it, let it work or press Extend",
        ),
    ],
)
def test_each_soft_stop_says_what_it_is_for_before_and_after(reason, why, keep):
    title, body = warning_message(view(), Warn(reason, NOW + 5 * MINUTES, 5 * MINUTES, why), PAGE)
    assert title == f"“Thesis” stops in 5 min: {why}"
    assert f"Why: {why}." in body
    assert f"{keep} at {PAGE}" in body
    title, body = stopped_message(view(stopped=True), Stop(reason, why), PAGE)
    assert title == f"“Thesis” was stopped: {why}"
    assert f"Why: {why}." in body


def test_a_warning_of_a_session_limit_does_not_offer_extend():
    warn = Warn(Reason.SESSION_LIMIT, NOW + 5 * MINUTES, 5 * MINUTES, "its tier's session limit")
    _, body = warning_message(view(ends_at=NOW + 5 * MINUTES), warn, PAGE)
    assert body.endswith(
        "It cannot be kept longer: its tier's session limit. Save your work; it can be started"
        " again afterwards."
    )


def test_without_an_address_of_the_page_none_is_named():
    warn = Warn(Reason.STOP_AT, NOW + 5 * MINUTES, 5 * MINUTES, "the end time its owner chose")
    _, body = warning_message(view(), warn)
    assert "To keep it, press Extend." in body and "http" not in body


def test_a_stop_says_how_long_it_ran_what_it_cost_and_what_was_noted():
    seen = view(stopped=True, stop_note="The rack is moved.\nSorry")
    title, body = stopped_message(seen, Stop(Reason.ADMIN, ""), PAGE)
    assert title == "“Thesis” was stopped: an administrator stopped it"
    assert "was stopped at 2026-11-23 17:00 UTC after 1 h.\n" in body
    assert "Note: “The rack is moved.\N{REPLACEMENT CHARACTER}Sorry”\n" in body
    assert "Cost so far: $0.78 ($0.78/h).\n" in body
    assert body.endswith(f"Its files are kept; start it again at {PAGE}.")


def test_what_is_free_is_called_free():
    _, body = stopped_message(view(stopped=True, price=0), Stop(Reason.IDLE, "idle for 1 h"))
    assert "It is free.\n" in body and "Why: idle for 1 h.\n" in body


@pytest.mark.parametrize("reason", Reason)
def test_a_hostile_name_stays_a_name_in_every_message(reason):
    seen = view(stopped=True, display_name=HOSTILE, account_name=HOSTILE, stop_note=HOSTILE)
    running = view(display_name=HOSTILE, account_name=HOSTILE)
    for title, body in (
        warning_message(running, Warn(reason, NOW + MINUTES, MINUTES, HOSTILE[:40]), PAGE),
        stopped_message(seen, Stop(reason, HOSTILE[:40]), PAGE),
    ):
        assert title.isprintable() and len(title) < 160
        assert all(line.isprintable() for line in body.split("\n")) and len(body) < 1200
        for character in "<>@[]`\r\u202e":
            assert character not in title + body


@pytest.mark.parametrize(
    ("claims", "email"),
    [
        ({"email": "anna@example.org"}, "anna@example.org"),
        ({"email": "anna@example.org", "email_verified": True}, "anna@example.org"),
        ({"email": "anna@example.org", "email_verified": "true"}, "anna@example.org"),
        ({"email": "anna@example.org", "email_verified": False}, ""),
        ({"email": "anna@example.org", "email_verified": None}, ""),
        ({}, ""),
        ({"email": ["anna@example.org"]}, ""),
        ({"email": "anna@example.org,all@example.org"}, ""),
        ({"email": "anna@example.org\nBcc: all@example.org"}, ""),
        ({"email": "Anna <anna@example.org>"}, ""),
        ({"email": "a@b.org?to=x@y.org"}, ""),
        ({"email": "a" * 250 + "@example.org"}, ""),
    ],
)
def test_only_a_plain_verified_address_is_used(claims, email):
    assert recipient("anna", claims) == Recipient("anna", email)
