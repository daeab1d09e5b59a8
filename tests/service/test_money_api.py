"""Money over REST v1: what a start costs, what was used, statements, credits, approvals."""

import asyncio
from types import SimpleNamespace

from gradienthub.ledger import By, account_acts, accounts, credits
from gradienthub.rules.money import MICRO

T4 = 510_000


async def _run_an_hour(at: SimpleNamespace) -> None:
    """bob runs a t4 for an hour, which is $0.51."""
    options = {"instance_type": "t4", "shutdown_after": "1h"}
    assert (await at.home.start_server("bob", **options)).status == 201
    at.home.clock.advance(hours=1)
    await at.keeper.one_pass()


async def test_a_quote_says_what_a_start_costs(bank):
    at = await bank()
    body = {"instance_type": "t4", "shutdown_after": "1h"}
    said = await at.ask("POST", "quote", "bob", body)
    assert said.status == 200, said
    assert (said.body["per_hour"], said.body["if_you_walk_away"]) == (T4, T4)
    assert (said.body["balance"], said.body["left_after"]) == (20 * MICRO, 20 * MICRO - T4)
    assert said.body["money_ends"] == said.body["ends_by"]
    assert said.body["at_most"] <= 20 * MICRO
    assert said.body["refused"] is None
    # Eve has nothing, and learns the price all the same.
    poor = await at.ask("POST", "quote", "eve", body)
    assert (poor.body["per_hour"], poor.body["refused"]["code"]) == (T4, "no_credit")


NO_QUOTE = [
    ({"instance_type": "h900"}, "unknown_instance_type", "instance_type"),
    ({"instance_type": ""}, "no_instance_type", "instance_type"),
    ({"instance_type": "a100"}, "approval_required", "instance_type"),
    ({"shutdown_after": "1s"}, "interval_not_allowed", "shutdown_after"),
    ({"shutdown_after": "soon"}, "bad_interval", "shutdown_after"),
    ({"shutdown_after": True}, "bad_body", "shutdown_after.int"),
    ({"stop_at": "yesterday"}, "bad_stop_at", "stop_at"),
    ({"image": "acme/other"}, "image_not_allowed", "image"),
    ({"colour": "red"}, "bad_body", "colour"),
]


async def test_a_quote_refuses_as_a_start_does(bank):
    at = await bank()
    for changes, code, field in NO_QUOTE:
        body = {"instance_type": "t4", "shutdown_after": "1h"} | changes
        said = await at.ask("POST", "quote", "bob", body)
        assert (said.body["code"], said.body["field"]) == (code, field), said


async def test_usage_and_a_statement_have_what_ran(bank):
    at = await bank()
    await _run_an_hour(at)
    assert (await at.ask("GET", "accounts/bob", "bob")).body["running"] == T4
    await at.home.api("DELETE", "/users/bob/server")
    own = await at.ask("GET", "usage", "bob")
    assert [(row["what"], row["charged"], row["leases"]) for row in own.body["items"]] == [
        ("t4", T4, 1)
    ]
    assert (await at.ask("GET", "usage", "eve")).body["items"] == []
    month = own.body["first"][:7]
    listed = await at.ask("GET", "statements", "bob")
    assert listed.body["items"] == [{"month": month, "over": False}]
    said = (await at.ask("GET", f"statements/{month}", "bob")).body
    assert (said["credits"], said["charges"], said["closing"]) == (20 * MICRO, -T4, 20 * MICRO - T4)
    assert [entry["kind"] for entry in said["entries"]] == ["credit", "charge"]
    assert said["entries"][1]["from"] < said["entries"][1]["until"]
    by_admin = await at.ask("GET", f"statements/{month}?user=bob", "ada")
    assert by_admin.body["head"] == said["head"]
    by_user = (await at.ask("GET", "usage?by=user", "ada")).body["items"]
    assert [(row["what"], row["charged"]) for row in by_user] == [("bob", T4)]
    by_type = (await at.ask("GET", "usage?by=type&all=1", "ada")).body["items"]
    assert [(row["what"], row["charged"]) for row in by_type] == [("t4", T4)]
    assert (await at.ask("GET", "usage?by=group", "ada")).body["items"] == []


NO_MONTHS = ["2026-13", "9999-12", "0000-01", "2026-1", "x", "%00", "٢٠٢٦-11"]


async def test_what_is_no_month_has_no_statement(bank):
    at = await bank()
    for month in NO_MONTHS:
        said = await at.ask("GET", f"statements/{month}", "bob")
        assert (said.status, said.body["code"]) == (404, "not_found"), said


NO_RANGES = ["first=2026-11-02&last=2026-11-01", "first=2020-01-01", "first=9999-12-31", "by=cat"]


async def test_a_range_that_makes_no_sense_is_refused(bank):
    at = await bank()
    for query in NO_RANGES:
        said = await at.ask("GET", f"usage?{query}", "bob")
        assert (said.status, said.body["code"]) == (400, "bad_query"), said


async def test_the_money_is_the_owners_and_the_admins(bank):
    at = await bank()
    month = "2026-11"
    for method, path, body in (
        ("GET", "accounts", None),
        ("GET", "accounts/bob", None),
        ("GET", "accounts/bob/credits", None),
        ("GET", "statements?user=bob", None),
        ("GET", f"statements/{month}?user=bob", None),
        ("GET", "usage?user=bob", None),
        ("GET", "usage?by=user", None),
        ("GET", "approvals?all=1", None),
        ("POST", "accounts/bob/credits", {"amount": "1", "reason": "me"}),
        ("POST", "accounts/eve/credits", {"amount": "1", "reason": "me"}),
        ("POST", "accounts/eve/approvals", {"instance_type": "a100", "grant": True}),
        ("DELETE", "accounts/bob/approvals/a100", None),
        ("GET", "budgets", None),
        ("POST", "accounts/bob/credits/taken", {"amount": "1", "reason": "me"}),
        ("PUT", "accounts/eve/tier", {"tier": "pro"}),
        ("PUT", "accounts/eve/budget", {}),
        ("PUT", "accounts/eve/payment_method", {"there": True}),
        ("PUT", "budgets", {"group": "lab", "hard": "1"}),
    ):
        said = await at.ask(method, path, "eve", body)
        assert (said.status, said.body["code"]) == (403, "not_allowed"), (path, said)
    assert (await at.ask("GET", "accounts/nobody", "ada")).status == 404
    ledger, hub_id = at.keeper.ledger, at.keeper.context.hub_id
    eve = await ledger.aread(accounts.find, hub_id=hub_id, name="eve")
    assert await ledger.aread(credits.list_credits, eve.id) == []


async def test_a_credit_is_given_and_written_down(bank):
    at = await bank()
    assert (at.given["amount"], at.given["given_by"]) == (20 * MICRO, "ada")
    body = {"amount": "12.50", "reason": "Thesis", "expires": "90d", "currency": "USD"}
    given = (await at.ask("POST", "accounts/bob/credits", "ada", body)).body
    assert given["amount"] == 12_500_000
    assert given["expires_at"] > given["given_at"]
    listed = (await at.ask("GET", "accounts/bob/credits", "bob")).body["items"]
    assert sorted(row["amount"] for row in listed) == [12_500_000, 20 * MICRO]
    assert (await at.ask("GET", "accounts/bob", "bob")).body["available"] == 32_500_000
    assert [row["detail"]["reason"] for row in await at.keeper.audit("credit")] == [
        "Thesis",
        "Course",
    ]
    first = (await at.ask("GET", "accounts?limit=2", "ada")).body
    rest = (await at.ask("GET", f"accounts?limit=2&after={first['next']}", "ada")).body
    names = [row["name"] for row in first["items"] + rest["items"]]
    assert names == sorted(names) and {"ada", "bob", "eve"} <= set(names)
    assert rest["next"] is None


async def test_accounts_are_paged_whatever_characters_their_names_have(bank):
    at = await bank()
    ledger, now = at.keeper.ledger, at.home.clock()
    by = By(at.keeper.context.hub_id, "ada", now)
    hard = {"auth0|64af1", "auth0|64af2|", "a&b=c", '["x"]', "\N{PARTY POPPER}" * 255}
    for name in hard:
        await ledger.awrite(account_acts.prepare, by, name)
    names, after = [], ""
    while after is not None:
        page = (await at.ask("GET", f"accounts?limit=1&after={after}", "ada")).body
        names += [row["name"] for row in page["items"]]
        after = page["next"]
    assert len(names) == len(set(names)) and hard | {"ada", "bob", "eve"} <= set(names)


async def test_a_request_that_is_sent_again_with_its_key_is_done_once(bank):
    at = await bank()
    key = {"Idempotency-Key": "invoice-7"}
    body = {"amount": "5", "reason": "Invoice 7"}
    path = "accounts/bob/credits"
    first = await at.ask("POST", path, "ada", body, **key)
    again = await at.ask("POST", path, "ada", body, **key)
    assert (first.status, again.status) == (200, 200), again
    assert again.body == first.body
    # A request is what it means, not how it is written.
    same = {"amount": " 5.00", "reason": "Invoice 7", "currency": "USD"}
    assert (await at.ask("POST", path, "ada", same, **key)).body == first.body
    both = await asyncio.gather(
        *(
            at.ask(
                "POST",
                "accounts/bob/credits/taken",
                "ada",
                {"amount": "2", "reason": "r"},
                **{"Idempotency-Key": "back"},
            )
            for _ in range(4)
        )
    )
    assert {said.status for said in both} == {200}
    assert (await at.ask("GET", "accounts/bob", "ada")).body["balance"] == 23 * MICRO
    # The key is of that request only: another amount, another person, another act.
    for other_path, other in (
        (path, body | {"amount": "50"}),
        ("accounts/eve/credits", body),
        ("accounts/bob/credits/taken", body),
    ):
        said = await at.ask("POST", other_path, "ada", other, **key)
        assert (said.status, said.body["code"]) == (409, "key_used"), said
    too_long = await at.ask("POST", path, "ada", body, **{"Idempotency-Key": "k" * 81})
    assert (too_long.status, too_long.body["field"]) == (400, "key")
    assert (await at.ask("GET", "accounts/bob", "ada")).body["balance"] == 23 * MICRO
    # Without one each request is another, and after a month a key is forgotten.
    assert (await at.ask("POST", path, "ada", body)).status == 200
    at.home.clock.advance(days=31)
    assert (await at.ask("POST", path, "ada", body, **key)).body["id"] != first.body["id"]


async def test_a_refused_request_leaves_its_key_free(bank):
    at = await bank()
    key = {"Idempotency-Key": "k"}
    path = "accounts/bob/credits"
    wrong = await at.ask("POST", path, "ada", {"amount": "-5", "reason": "r"}, **key)
    assert wrong.status == 400
    right = await at.ask("POST", path, "ada", {"amount": "5", "reason": "r"}, **key)
    assert right.status == 200, right


async def test_what_administrators_set_is_set_by_rest(bank):
    at = await bank()
    taken = await at.ask(
        "POST", "accounts/bob/credits/taken", "ada", {"amount": "25", "reason": "By mistake"}
    )
    assert taken.body["balance"] == -5 * MICRO
    tier = await at.ask("PUT", "accounts/bob/tier", "ada", {"tier": "pro"})
    assert (tier.body["tier"], tier.body["given_by"]) == ("pro", "ada")
    assert (await at.ask("PUT", "accounts/bob/tier", "ada", {"tier": None})).body["tier"] != "pro"
    there = await at.ask("PUT", "accounts/bob/payment_method", "ada", {"there": False})
    assert there.body["payment_method"] is False
    limits = {"soft": "10", "hard": "20.50"}
    own = await at.ask("PUT", "accounts/bob/budget", "ada", limits)
    assert [(b["soft"], b["hard"]) for b in own.body["budgets"]] == [(10 * MICRO, 20_500_000)]
    group = await at.ask("PUT", "budgets", "ada", {"group": "lab/öl", "hard": "7"})
    assert [(b["user"], b["group"], b["hard"]) for b in group.body["items"]] == [
        ("bob", None, 20_500_000),
        (None, "lab/öl", 7 * MICRO),
    ]
    assert (await at.ask("GET", "budgets", "ada")).body == group.body
    assert (await at.ask("PUT", "accounts/bob/budget", "ada", {})).body["budgets"] == []
    await at.ask("POST", "accounts/bob/approvals", "ada", {"instance_type": "a100", "grant": True})
    gone = await at.ask("DELETE", "accounts/bob/approvals/a100", "ada")
    assert gone.body["approvals"] == []
    for path, body, field in (
        ("accounts/bob/tier", {"tier": "gold"}, "tier"),
        ("accounts/bob/budget", {"soft": "9", "hard": "8"}, "soft"),
        ("accounts/bob/budget", {"hard": "-1"}, "hard"),
        ("budgets", {"group": "", "hard": "1"}, "group"),
        ("accounts/bob/payment_method", {"there": "perhaps"}, "there"),
    ):
        said = await at.ask("PUT", path, "ada", body)
        assert (said.status, said.body["field"]) == (400, field), said


NO_CREDITS = [
    ({"amount": "-5"}, "amount"),
    ({"amount": "0"}, "amount"),
    ({"amount": "1e30"}, "amount"),
    ({"amount": "0.0000001"}, "amount"),
    ({"amount": "NaN"}, "amount"),
    ({"amount": "Infinity"}, "amount"),
    ({"amount": "5 EUR"}, "amount"),
    ({"amount": "٥"}, "amount"),
    ({"amount": 5}, "amount"),
    ({"amount": "5", "currency": "EUR"}, "currency"),
    ({"amount": "5", "reason": "  "}, "reason"),
    ({"amount": "5", "reason": "x" * 401}, "reason"),
    ({"amount": "5", "expires": "-1d"}, "expires"),
    ({"amount": "5", "expires": "9999d"}, "expires"),
    ('{"amount": NaN, "reason": "r"}', "amount"),
]


async def test_an_amount_that_is_none_is_refused_with_its_field(bank):
    at = await bank()
    for body, field in NO_CREDITS:
        sent = body if isinstance(body, str) else {"reason": "r"} | body
        said = await at.ask("POST", "accounts/bob/credits", "ada", sent)
        assert (said.status, said.body["code"], said.body["field"]) == (400, "bad_body", field), (
            said
        )
        assert (await at.ask("GET", "accounts/bob", "bob")).body["balance"] == 20 * MICRO


async def test_a_machine_is_asked_for_and_granted(bank):
    at = await bank()
    asked = await at.ask(
        "POST", "approvals", "bob", {"instance_type": "a100", "reason": "Large models"}
    )
    assert [row["granted"] for row in asked.body["items"]] == [None], asked
    waiting = (await at.ask("GET", "approvals?all=1", "ada")).body["items"]
    assert [(row["account_name"], row["reason"]) for row in waiting] == [("bob", "Large models")]
    path = "accounts/bob/approvals"
    grant = {"instance_type": "a100", "grant": True, "answer": "Until summer"}
    granted = await at.ask("POST", path, "ada", grant)
    assert granted.body["approvals"] == ["a100"], granted
    mine = (await at.ask("GET", "approvals", "bob")).body["items"]
    assert [(row["granted"], row["answer"]) for row in mine] == [(True, "Until summer")]
    body = {"instance_type": "a100", "shutdown_after": "1h"}
    assert (await at.ask("POST", "quote", "bob", body)).status == 200
    twice = await at.ask("POST", path, "ada", {"instance_type": "a100", "grant": False})
    assert (twice.status, twice.body["code"]) == (404, "not_found")
    unknown = await at.ask("POST", "approvals", "bob", {"instance_type": "h9", "reason": "r"})
    assert unknown.body["code"] == "unknown_instance_type"
