"""The money's pages: Usage, statements to print and to keep, Accounts."""

import csv
import io
import json
from datetime import date
from types import SimpleNamespace

from home import plain
from traitlets.config import Config

from gradienthub.ledger.usage import Day
from gradienthub.views.chart import Scale, chart


async def _ran(at: SimpleNamespace) -> str:
    """bob ran a t4 for an hour, which is $0.51; the month."""
    options = {"instance_type": "t4", "shutdown_after": "1h"}
    assert (await at.home.start_server("bob", **options)).status == 201
    at.home.clock.advance(hours=1)
    await at.keeper.one_pass()
    await at.home.api("DELETE", "/users/bob/server")
    return f"{at.home.clock():%Y-%m}"


async def test_usage_shows_what_one_has_and_used(bank):
    at = await bank()
    empty = await at.page("usage", "eve")
    assert "Nothing was charged this month" in empty.text
    month = await _ran(at)
    shown = await at.page("usage", "bob")
    words = plain(shown.text)
    assert "Balance $19.49" in words, words
    assert "Available $19.49" in words
    assert "The highest is" in words and "&#34;$0.51&#34;" in shown.text
    assert "T4 1.00 h $0.51" in words
    assert f"statements/{month}?format=csv" in shown.text
    assert "accounts" not in shown.text
    assert "$0.51" not in (await at.page("usage", "eve")).text


async def test_usage_of_another_month_is_a_link_away(bank):
    at = await bank()
    month = await _ran(at)
    assert f'usage?month={month}"' in (await at.page("usage", "bob")).text
    at.home.clock.advance(days=31)
    assert "Nothing was charged this month" in (await at.page("usage", "bob")).text
    past = plain((await at.page(f"usage?month={month}", "bob")).text)
    assert "T4 1.00 h $0.51" in past and "This month" in past
    empty = plain((await at.page("usage?month=2020-02", "bob")).text)
    assert "Nothing was charged in February 2020" in empty
    for nonsense in ("2999-01", "%22x", "2026-13"):
        assert (await at.page(f"usage?month={nonsense}", "bob")).status == 404, nonsense


async def test_one_asks_for_a_machine_and_sees_the_answer(bank):
    at = await bank()
    page = await at.page("usage", "bob")
    assert "Machines on request" in page.text and "Ask for it" in page.text
    nothing = await at.page("usage", "bob", {"instance_type": "a100", "reason": " "})
    assert nothing.status == 400 and "asked for with a reason" in nothing.text
    unknown = await at.page("usage", "bob", {"instance_type": "<x>", "reason": "Why not"})
    assert unknown.status == 400 and "<x>" not in unknown.text
    form = {"instance_type": "a100", "reason": "<b>Large</b> models"}
    said = await at.page("usage", "bob", form)
    assert (said.status, said.headers["Location"].endswith("usage?said=asked")) == (303, True)
    waits = (await at.page("usage?said=asked", "bob")).text
    assert "it waits for an answer: &lt;b&gt;Large&lt;/b&gt; models" in waits
    assert "It is asked for." in waits and "Change the reason" in waits
    assert "Large" not in (await at.page("usage", "eve")).text
    no = {"action": "decide", "instance_type": "a100", "answer": "Not <yet>", "grant": "no"}
    assert (await at.page("accounts/bob", "ada", no)).status == 303
    refused = (await at.page("usage", "bob")).text
    assert "Not &lt;yet&gt;" in refused and "Ask again" in refused
    at.home.clock.advance(seconds=1)
    assert (await at.page("usage", "bob", form)).status == 303
    yes = {"action": "decide", "instance_type": "a100", "answer": "Go on", "grant": "yes"}
    assert (await at.page("accounts/bob", "ada", yes)).status == 303
    granted = plain((await at.page("usage", "bob")).text)
    assert "You may use it. ada wrote: Go on" in granted


async def test_a_statement_is_read_and_kept(bank):
    at = await bank()
    month = await _ran(at)
    said = await at.page(f"statements/{month}", "bob")
    words = plain(said.text)
    assert "Opening $0.00 Credits $20.00 Charges -$0.51 Closing $19.49" in words, words
    # With its day in every zone: a statement is not "today".
    assert f"{month}-" in words and "<time" not in said.text
    as_csv = await at.page(f"statements/{month}?format=csv", "bob")
    assert as_csv.headers["Content-Disposition"] == f'attachment; filename="statement-{month}.csv"'
    rows = list(csv.DictReader(io.StringIO(as_csv.text)))
    assert [row["kind"] for row in rows] == ["credit", "charge", "closing"]
    as_json = json.loads((await at.page(f"statements/{month}?format=json", "bob")).text)
    assert as_json["closing"] == 19_490_000
    assert (await at.page(f"statements/{month}?user=bob", "eve")).status == 403
    other = await at.page(f"statements/{month}?user=bob", "ada")
    assert "Statement" in other.text and "format=csv&amp;user=bob" in other.text
    no_month = await at.page("statements/%22x", "bob")
    assert no_month.status == 404


async def test_accounts_are_for_who_runs_the_money(bank):
    at = await bank()
    for path in ("accounts", "accounts/bob", "accounts/eve"):
        assert (await at.page(path, "eve")).status == 403, path
    assert (
        await at.page("accounts/eve", "eve", {"action": "payment", "there": "yes"})
    ).status == 403
    words = plain((await at.page("accounts", "ada")).text)
    assert "bob prepaid yes $20.00 $0.00 $20.00" in words, words


async def test_an_admin_gives_what_is_asked_for(bank):
    at = await bank()
    asked = {"instance_type": "a100", "reason": "<b>Large</b> models"}
    assert (await at.ask("POST", "approvals", "bob", asked)).status == 200
    assert "&lt;b&gt;Large&lt;/b&gt; models" in (await at.page("accounts", "ada")).text
    for form in (
        {"action": "credit", "amount": "5.25", "reason": "Exam", "expires": "30d", "key": "a"},
        {"action": "credit", "amount": "5.25", "reason": "Exam", "expires": "30d", "key": "a"},
        {"action": "take", "amount": "1", "reason": "By mistake", "key": "b"},
        {"action": "budget", "soft": "10", "hard": "20"},
        {"action": "decide", "instance_type": "a100", "answer": "Go on", "grant": "yes"},
        {"action": "tier", "tier": "pro"},
        {"action": "payment", "there": "no"},
    ):
        done = await at.page("accounts/bob", "ada", form)
        assert (done.status, done.headers["Location"].split("?")[1]) == (
            303,
            f"said={form['action']}",
        ), done
    words = plain((await at.page("accounts/bob?said=credit", "ada")).text)
    assert "The credit is given." in words and "Exam" in words
    assert "warns at $10.00, stops at $20.00" in words, words
    said = (await at.ask("GET", "accounts/bob", "ada")).body
    assert (said["balance"], said["tier"], said["payment_method"], said["approvals"]) == (
        24_250_000,
        "pro",
        False,
        ["a100"],
    )
    assert {row["actor"] for row in await at.keeper.audit("approve")} == {"ada"}
    gone = await at.page("accounts/bob", "ada", {"action": "withdraw", "instance_type": "a100"})
    assert gone.status == 303
    assert (await at.ask("GET", "accounts/bob", "ada")).body["approvals"] == []


async def test_a_group_has_a_budget(bank):
    at = await bank()
    done = await at.page("accounts", "ada", {"group": "lab", "soft": "5", "hard": "9"})
    assert (done.status, done.headers["Location"].split("?")[1]) == (303, "said=budget"), done
    words = plain((await at.page("accounts?said=budget", "ada")).text)
    assert "The budget is set." in words and "lab $5.00 $9.00 $0.00 ada" in words, words
    wrong = await at.page("accounts", "ada", {"group": "lab<", "soft": "9", "hard": "5"})
    assert wrong.status == 400 and "soft is above hard" in wrong.text
    assert 'value="lab&lt;"' in wrong.text
    assert (await at.page("accounts", "eve", {"group": "lab", "hard": "900"})).status == 403
    assert (await at.page("accounts", "ada", {"group": "lab"})).status == 303
    assert "$9.00" not in (await at.page("accounts", "ada")).text


async def test_what_is_refused_is_said_and_what_was_written_is_kept(bank):
    at = await bank()
    for form, word in (
        ({"action": "credit", "amount": "-5", "reason": "Exam<"}, "amount"),
        ({"action": "credit", "amount": "5", "reason": ""}, "reason"),
        ({"action": "budget", "soft": "20", "hard": "10"}, "soft is above hard"),
        ({"action": "decide", "instance_type": "a100", "grant": "no"}, "No request"),
        ({"action": "tier", "tier": "gold"}, "There is no tier"),
        ({"action": "rob"}, "no such action"),
    ):
        said = await at.page("accounts/bob", "ada", form)
        assert said.status in (400, 404) and "Not done" in said.text, (form, said)
        assert word in plain(said.text), (form, plain(said.text))
        if "Exam<" in form.values():
            assert 'value="Exam&lt;"' in said.text
    assert (await at.ask("GET", "accounts/bob", "ada")).body["balance"] == 20_000_000


def _day(day: int, machine: str, charged: int) -> Day:
    return Day(date(2026, 11, day), machine, 1, 3600.0, charged)


def test_a_chart_has_every_day_and_machines_in_the_order_of_their_tones():
    used = [_day(2, "b", 3), _day(2, "a", 6), _day(30, "a", 1), _day(4, "c", 0)]
    tones = {"a": 1, "b": 2, "c": 3}
    scale = Scale("USD", lambda one: one.charged, lambda value: f"${value:.0f}")
    made = chart(used, date(2026, 11, 1), date(2026, 12, 1), scale, tones, {"a": "P5000"})
    assert made is not None
    assert (len(made.days), made.days[0], made.days[29]) == (30, "1 Nov", "30 Nov")
    assert [(one.title, one.tone, sum(one.values)) for one in made.series] == [
        ("P5000", 1, 7),
        ("b", 2, 3),
    ]
    assert (made.series[0].values[1], made.series[0].words[1]) == (6, "$6")
    assert made.says == "The highest is 2 November with $9."
    assert json.loads(json.dumps(made.data))["series"][1]["values"][1] == 3


def test_a_month_of_nothing_has_no_chart():
    scale = Scale("USD", lambda one: one.charged, str)
    month = (date(2026, 11, 1), date(2026, 12, 1))
    assert chart([_day(1, "a", 0)], *month, scale, {"a": 1}, {}) is None


def costs_and_promises(c: Config) -> None:
    """Give the tier of the bank's people a price a month and storage."""
    tiers = c.GradientHub.tiers
    terms = {"price_per_month": "8", "storage": 200}
    c.GradientHub.tiers = tiers | {"prepaid": tiers["prepaid"] | terms}


async def test_what_the_tier_costs_a_month_and_its_storage_are_shown(bank):
    at = await bank(costs_and_promises)
    for path, name in (("usage", "bob"), ("accounts/bob", "ada")):
        words = plain((await at.page(path, name)).text)
        assert "price $8.00 a month not charged here" in words and "Storage 200 GB" in words, path
    purse = (await at.ask("GET", "accounts/bob", "bob")).body
    assert (purse["tier_per_month"], purse["storage"]) == (8_000_000, 200)
    month = await _ran(at)
    sentence = "The tier Prepaid costs $8.00 a month, which is not in this statement."
    for path, name in ((f"statements/{month}", "bob"), (f"statements/{month}?user=bob", "ada")):
        assert sentence in plain((await at.page(path, name)).text), path
    at.home.clock.advance(days=31)
    assert sentence not in plain((await at.page(f"statements/{month}", "bob")).text)


async def test_a_tier_without_a_price_and_storage_says_nothing_of_them(bank):
    at = await bank()
    month = await _ran(at)
    for path in ("usage", f"statements/{month}"):
        text = plain((await at.page(path, "bob")).text)
        assert "a month" not in text and "Storage" not in text, path
