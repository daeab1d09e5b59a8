"""Admission: each refusal in its exact words, and no history that exceeds a cap or a host."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from inspect import getsource
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradienthub.rules import admission
from gradienthub.rules.admission import (
    Entitled,
    House,
    OpenLease,
    Plan,
    Situation,
    admit,
    alternatives,
    entitle,
    lock,
    next_free,
)
from gradienthub.rules.catalog import Catalog, InstanceType, Runtime, rows_from
from gradienthub.rules.funds import Funds
from gradienthub.rules.metering import quote
from gradienthub.rules.options import parse_options
from gradienthub.rules.phase import SlotState
from gradienthub.rules.placement import Host, Load, Placement, room
from gradienthub.rules.refusal import Refused
from gradienthub.rules.tiers import Allowance, Tier, refuse_notebook
from gradienthub.rules.warm import Slot, WarmChoice

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SMALL = {"cpus": 8, "memory": 30}

TYPES: dict[str, Any] = {
    "free-cpu": {"title": "Free-CPU", "cpus": 2, "memory": 2, "price": 0},
    "free-p5000": {"title": "Free-P5000", "gpu_model": "P5000", "gpus": 1, **SMALL, "price": 0},
    "c3": {"title": "C3", "cpus": 2, "memory": 2, "price": "0.018"},
    "p4000": {"title": "P4000", "gpu_model": "P4000", "gpus": 1, **SMALL, "price": "0.51"},
    "p5000": {"title": "P5000", "gpu_model": "P5000", "gpus": 1, **SMALL, "price": "0.78"},
    "p5000x2": {
        "title": "P5000x2",
        "gpu_model": "P5000",
        "gpus": 2,
        "cpus": 16,
        "memory": 60,
        "price": "1.56",
    },
    "v100": {
        "title": "V100",
        "gpu_model": "V100",
        "gpus": 1,
        **SMALL,
        "price": "2.30",
        "needs_approval": True,
    },
}
RUNTIMES: dict[str, Any] = {
    "python": {"title": "Python 3", "image": "acme/python:1"},
    "torch": {"title": "PyTorch", "image": "acme/torch:2"},
    "cuda": {"title": "CUDA", "image": "acme/cuda:12", "needs_gpu": True},
}
INTERVALS = {"shutdown_choices": ["30m", "1h", "6h"], "shutdown_min": "5m", "shutdown_max": "12h"}
TIERS: dict[str, Any] = {
    "free": {
        **INTERVALS,
        "title": "Free",
        "instance_types": ["free"],
        "session_limit": "12h",
        "runtimes": ["python"],
        "shutdown_default": "1h",
    },
    "pro": {
        **INTERVALS,
        "title": "Pro",
        "order": 1,
        "max_running": 3,
        "default_runtime": "python",
        "custom_images": ["ghcr.io/acme/*"],
        "instance_types": ["free", "c3", "p4000", "p5000", "p5000x2"],
    },
    "team": {
        **INTERVALS,
        "title": "Team",
        "order": 2,
        "max_running": 50,
        "max_running_free": None,
        "shutdown_required": False,
    },
}


def a_host(name: str, *models: str, **keys: Any) -> Host:
    devices = [{"uuid": f"GPU-{name}-{i}", "model": model} for i, model in enumerate(models)]
    return Host.model_validate(
        {"name": name, "cpus": 64, "memory": 256, "devices": devices, **keys}
    )


def a_house(*hosts: Host, currency: str = "USD", runtimes: Any = None) -> House:
    catalog = Catalog(
        currency=currency,
        instance_types=rows_from(InstanceType, TYPES, "types"),
        runtimes=rows_from(Runtime, RUNTIMES if runtimes is None else runtimes, "runtimes"),
    )
    return House(catalog, {t.name: t for t in rows_from(Tier, TIERS, "tiers")}, hosts)


RACK = a_host("rack", "P5000", "P5000", "P4000")
HOUSE = a_house(RACK)


def person(tier: str = "pro", given_by: str = "default", **keys: Any) -> Allowance:
    known = {"groups": frozenset(), "payment_method": True, "approvals": frozenset()}
    return Allowance(HOUSE.tiers[tier], given_by, **{**known, **keys})


def a_type(name: str) -> InstanceType:
    found = HOUSE.catalog.instance_type(name)
    assert found is not None
    return found


def lease(instance_type: str = "p5000", notebook: str = "other", **keys: Any) -> OpenLease:
    known = {
        "id": f"lease-{notebook}",
        "account_id": "somebody",
        "notebook_id": f"notebook-{notebook}",
        "price": a_type(instance_type).price,
        "hard_end": None,
    }
    return OpenLease(title=notebook, instance_type=instance_type, **{**known, **keys})


def asked(allowance: Allowance, house: House = HOUSE, **options: Any) -> Entitled | Refused:
    known = {"instance_type": "p5000", "shutdown_after": "1h"}
    body = {key: value for key, value in {**known, **options}.items() if value != "left out"}
    return entitle(parse_options(body), allowance, house, NOW)


def start(
    allowance: Allowance,
    house: House = HOUSE,
    *,
    own: tuple[OpenLease, ...] = (),
    everybody: tuple[OpenLease, ...] = (),
    load: Load | None = None,
    slots: tuple[Slot, ...] = (),
    image_failures: int = 0,
    silent_starts: Sequence[tuple[datetime, datetime]] = (),
    **options: Any,
) -> Plan | Refused:
    entitled = asked(allowance, house, **options)
    if isinstance(entitled, Refused):
        return entitled
    situation = Situation(
        account_id="anna",
        notebook_id="notebook",
        leases=(*(replace(lease, account_id="anna") for lease in own), *everybody),
        load=load or Load(),
        slots=slots,
        image_failures=image_failures,
        silent_starts=silent_starts,
    )
    return admit(entitled, allowance, house, situation, NOW)


def held(*devices: str, **cpus: float) -> Load:
    return Load(cpus=cpus, held_devices=frozenset(devices))


BOTH_P5000 = held("GPU-rack-0", "GPU-rack-1")


# -- what is admitted ----------------------------------------------------------------------------


def test_an_admitted_start_says_what_it_gets_at_which_price_until_when():
    plan = start(person("free", payment_method=False), instance_type="free-p5000")
    assert plan == Plan(
        entitled=Entitled(
            instance_type=a_type("free-p5000"),
            runtime=HOUSE.catalog.runtime("python"),
            image="acme/python:1",
            shutdown_after=HOUR,
            stop_at=None,
            interface="lab",
        ),
        allowance=person("free", payment_method=False),
        choice=WarmChoice(Placement("rack", ("GPU-rack-0",)), None, ()),
        price=0,
        currency="USD",
        session_ends_at=NOW + 12 * HOUR,
    )


def test_the_plan_names_the_warm_server_that_it_claims_with_its_device_and_those_that_make_way():
    where = {"host": "rack", "instance_type": "p5000", "cpus": 8, "memory": 30}
    torch, python = (
        Slot(
            **where,
            id=name,
            runtime=name,
            image=RUNTIMES[name]["image"],
            devices=(device,),
            state=SlotState.READY,
        )
        for name, device in (("torch", "GPU-rack-0"), ("python", "GPU-rack-1"))
    )
    warm = Load(warm_devices=frozenset({"GPU-rack-0", "GPU-rack-1"}))
    plan = start(person(), load=warm, slots=(torch, python))
    assert isinstance(plan, Plan)
    assert (plan.choice.claims, plan.choice.evicts) == ("python", ())
    assert plan.placement == Placement("rack", ("GPU-rack-1",))
    cold = start(person(), load=warm, slots=(torch,), runtime="python")
    assert isinstance(cold, Plan)
    assert cold.choice.claims is None
    assert cold.choice.evicts == (("torch",) if cold.placement.devices == torch.devices else ())


def test_a_tier_without_session_limit_sets_no_end():
    plan = start(person())
    assert isinstance(plan, Plan)
    assert (plan.price, plan.session_ends_at) == (780_000, None)


@pytest.mark.parametrize(
    ("tier", "machine", "hours"),
    [
        ("pro", "free-cpu", 6),
        ("pro", "c3", None),
        ("free", "free-cpu", 6),
        ("free3", "free-cpu", 3),
    ],
)
def test_a_free_machine_ends_at_its_own_limit_in_every_tier(tier, machine, hours):
    """One line of cron held a free GPU for ever."""
    allowance = person(tier.removesuffix("3"))
    limits = {"free_session_limit": 6 * HOUR}
    limits |= {"session_limit": 3 * HOUR} if tier == "free3" else {}
    allowance = replace(allowance, tier=allowance.tier.model_copy(update=limits))
    plan = start(allowance, instance_type=machine)
    assert isinstance(plan, Plan)
    assert plan.session_ends_at == (NOW + hours * HOUR if hours else None)


@pytest.mark.parametrize(
    ("most", "count", "code"),
    [
        (2, 0, None),
        (2, 1, None),
        (2, 2, "too_many_notebooks"),
        (2, 150, "too_many_notebooks"),
        (None, 150, None),
    ],
)
def test_named_notebooks_are_counted_against_the_tier(most, count, code):
    allowance = person()
    allowance = replace(allowance, tier=allowance.tier.model_copy(update={"max_notebooks": most}))
    refused = refuse_notebook(count, allowance)
    assert (refused and refused.code) == code
    if refused:
        assert f"There are {count} named notebooks already" in refused.message


def test_there_is_a_cap_on_notebooks_where_nobody_sets_one():
    assert person().tier.max_notebooks == 100


def test_the_plan_has_the_price_that_was_quoted_and_the_currency_of_the_catalog():
    plan = start(person(), a_house(RACK, currency="EUR"))
    assert isinstance(plan, Plan)
    offer = quote(
        plan.price,
        Funds(plan.currency),
        NOW,
        shutdown_after=plan.entitled.shutdown_after,
        session_limit=None,
        stop_at=None,
    )
    assert (offer.per_hour, offer.currency, offer.if_you_walk_away) == (780_000, "EUR", 780_000)


@pytest.mark.parametrize(
    ("tier", "written", "interval"),
    [
        ("free", "left out", HOUR),
        ("free", "30m", 30 * MINUTE),
        ("pro", "5m", 5 * MINUTE),
        ("pro", "12h", 12 * HOUR),
        ("pro", "47m", 47 * MINUTE),
        ("team", "left out", None),
        ("team", None, None),
    ],
)
def test_a_shutdown_interval_lies_within_the_tiers_bounds(tier, written, interval):
    entitled = asked(person(tier), instance_type="free-cpu", shutdown_after=written)
    assert isinstance(entitled, Entitled)
    assert entitled.shutdown_after == interval


def test_an_allowed_custom_image_is_used_as_it_is_written():
    entitled = asked(person(), image="ghcr.io/acme/train:1.4")
    assert isinstance(entitled, Entitled)
    assert (entitled.image, entitled.runtime, entitled.custom_image) == (
        "ghcr.io/acme/train:1.4",
        None,
        True,
    )


def test_a_runtime_that_needs_a_gpu_starts_on_a_machine_that_has_one():
    entitled = asked(person(), runtime="cuda")
    assert isinstance(entitled, Entitled)
    assert (entitled.image, entitled.custom_image) == ("acme/cuda:12", False)


def test_an_end_time_is_kept():
    entitled = asked(person(), stop_at="2026-11-23T18:01:00+01:00")
    assert isinstance(entitled, Entitled)
    assert entitled.stop_at == NOW + MINUTE


def test_an_approval_opens_the_machine_it_names_and_no_other():
    v100 = a_type("v100")
    assert lock(v100, person("team", approvals=frozenset({"v100"})), HOUSE.tiers) is None
    assert lock(v100, person("team", approvals=frozenset({"p5000"})), HOUSE.tiers) is not None


def test_a_paid_machine_does_not_count_against_the_free_ones():
    plan = start(person(), own=(lease("free-cpu"),))
    assert isinstance(plan, Plan)


def test_a_free_machine_of_yesterday_that_costs_today_still_counts_as_free():
    """A lease keeps its price; the cap looks at leases, not at today's catalog."""
    no = start(person(), instance_type="free-cpu", own=(lease("p4000", price=0),))
    assert isinstance(no, Refused)
    assert no.code == "too_many_running"


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_a_custom_image_that_failed_less_than_three_times_may_be_tried(failures):
    assert isinstance(start(person(), image="ghcr.io/acme/x", image_failures=failures), Plan)


def test_a_runtime_is_never_refused_for_failures_of_custom_images():
    assert isinstance(start(person(), image_failures=9), Plan)


# -- the exact words of every no -----------------------------------------------------------------

GOLDEN: list[tuple[str, Any, str, str | None, str]] = [
    (
        "unknown_instance_type",
        lambda: start(person("free"), instance_type="a100"),
        "instance_type",
        None,
        "There is no instance type “a100”. Yours are: free-cpu, free-p5000.",
    ),
    (
        "unknown_instance_type",
        lambda: entitle(
            parse_options({"instance_type": "a100"}),
            person(),
            House(Catalog(instance_types=(), runtimes=()), HOUSE.tiers, ()),
            NOW,
        ),
        "instance_type",
        None,
        "There is no instance type “a100”. Your tier has none: ask your administrator.",
    ),
    (
        "type_not_in_tier",
        lambda: start(person("free", "group lab-bio")),
        "instance_type",
        None,
        "P5000 is not in tier Free (from group lab-bio). It needs tier Pro: ask your"
        " administrator.",
    ),
    (
        "type_not_in_tier",
        lambda: start(person("free"), replace(HOUSE, tiers={"free": HOUSE.tiers["free"]})),
        "instance_type",
        None,
        "P5000 is not in tier Free (from default). No tier has it: ask your administrator.",
    ),
    (
        "tier_cannot_pay",
        lambda: start(replace(person(), tier=person().tier.model_copy(update={"funding": "none"}))),
        "instance_type",
        None,
        "P5000 costs $0.78/h, and tier Pro is for free machines. Ask your administrator for another"
        " tier, or choose a free machine.",
    ),
    (
        "payment_method_required",
        lambda: start(person(payment_method=False)),
        "instance_type",
        None,
        "P5000 costs $0.78/h, and your account has no payment method. Ask your administrator to"
        " record"
        " one, or choose a free machine.",
    ),
    (
        "payment_method_required",
        lambda: start(person(payment_method=False), a_house(RACK, currency="EUR")),
        "instance_type",
        None,
        "P5000 costs €0.78/h, and your account has no payment method. Ask your administrator to"
        " record"
        " one, or choose a free machine.",
    ),
    (
        "approval_required",
        lambda: start(person("team"), instance_type="v100"),
        "instance_type",
        None,
        "V100 needs an approval, and you have none. Ask your administrator for it, with a reason.",
    ),
    (
        "image_not_allowed",
        lambda: start(person("free"), instance_type="free-cpu", image="acme/x"),
        "image",
        None,
        "The image “acme/x” is not allowed in tier Free. Choose a runtime: this tier has no custom"
        " images.",
    ),
    (
        "image_not_allowed",
        lambda: start(person(), image="docker.io/acme/x"),
        "image",
        None,
        "The image “docker.io/acme/x” is not allowed in tier Pro. Choose a runtime, or an image"
        " like"
        " ghcr.io/acme/*.",
    ),
    (
        "unknown_runtime",
        lambda: start(person(), runtime="cobol"),
        "runtime",
        None,
        "There is no runtime “cobol”. Yours are: python, torch, cuda.",
    ),
    (
        "unknown_runtime",
        lambda: start(person("free"), a_house(RACK, runtimes={}), instance_type="free-cpu"),
        "runtime",
        None,
        "There is no runtime to start with. Your tier has none: ask your administrator.",
    ),
    (
        "unknown_runtime",
        lambda: start(person(), a_house(RACK, runtimes={"r": {"title": "R"}})),
        "runtime",
        None,
        "There is no runtime “python”. Yours are: r.",
    ),
    (
        "runtime_not_in_tier",
        lambda: start(person("free"), instance_type="free-cpu", runtime="torch"),
        "runtime",
        None,
        "PyTorch is not in tier Free. Yours are: python.",
    ),
    (
        "bad_option",
        lambda: start(person(), instance_type="c3", runtime="cuda"),
        "runtime",
        None,
        "CUDA needs a GPU, and C3 has none. Choose a machine with a GPU, or another runtime.",
    ),
    (
        "interval_required",
        lambda: start(person(), shutdown_after="left out"),
        "shutdown_after",
        None,
        "No shutdown interval was chosen. Choose after how much idleness it stops: 30 min, 1 h, 6"
        " h.",
    ),
    (
        "interval_not_allowed",
        lambda: start(person(), shutdown_after=None),
        "shutdown_after",
        None,
        "A notebook of tier Pro must stop when idle. Choose after how much idleness it stops: 30"
        " min,"
        " 1 h, 6 h.",
    ),
    (
        "interval_not_allowed",
        lambda: start(person(), shutdown_after="299"),
        "shutdown_after",
        None,
        "A shutdown interval of 4 min 59 s is not allowed in tier Pro. Choose between 5 min and"
        " 12 h.",
    ),
    (
        "interval_not_allowed",
        lambda: start(person(), shutdown_after="366d"),
        "shutdown_after",
        None,
        "A shutdown interval of 366 d is not allowed in tier Pro. Choose between 5 min and 12 h.",
    ),
    (
        "bad_stop_at",
        lambda: start(person(), stop_at="2026-11-23T17:00:00+00:00"),
        "stop_at",
        None,
        "The end time 2026-11-23 17:00 UTC is not in the future. Choose a later one, or leave it"
        " out.",
    ),
    (
        "bad_stop_at",
        lambda: start(person(), stop_at="9999-12-31T23:59:59Z"),
        "stop_at",
        None,
        "The end time 9999-12-31 23:59 UTC is more than 366 days away. Choose an earlier one, or"
        " leave"
        " it out.",
    ),
    (
        "still_stopping",
        lambda: start(
            person(), everybody=(lease(notebook="thesis", notebook_id="notebook", stopping=True),)
        ),
        None,
        "0:00:10",
        "“thesis” is still stopping. Its machine is free once the engine says so: try again in a"
        " moment.",
    ),
    (
        "still_stopping",
        lambda: start(person(), own=(lease(notebook="thesis", notebook_id="notebook"),)),
        None,
        "0:01:00",
        "“thesis” runs already. It is the server of another user name of yours, or from before the"
        " hub"
        " lost its database: reload the list of your notebooks in a minute, or stop it there.",
    ),
    (
        "image_failing",
        lambda: start(person(), image="ghcr.io/acme/x", image_failures=3),
        "image",
        None,
        "The image “ghcr.io/acme/x” started 3 times within an hour and never answered. It needs"
        " jupyterhub-singleuser 6 inside. Read its log, correct it, or choose a runtime.",
    ),
    (
        "never_answering",
        lambda: start(person(), silent_starts=[(NOW - 10 * MINUTE, NOW - 3 * MINUTE)]),
        None,
        timedelta(minutes=50),
        "Your last starts on paid machines had their machine and never answered, and cost nothing."
        " The next is possible at 17:50 UTC on 23 Nov. Look for a configuration or a start-up file"
        " in"
        " your notebook's folder that hangs; on a free machine you can look at it now. An"
        " administrator can see the end of each start's log.",
    ),
    (
        "too_many_running",
        lambda: start(person("free"), instance_type="free-cpu", own=(lease("free-cpu", "thesis"),)),
        None,
        None,
        "1 of 1 notebooks of tier Free are in use: “thesis”. Stop one first.",
    ),
    (
        "too_many_running",
        lambda: start(
            person(),
            own=(lease(notebook="a"), lease(notebook="b", stopping=True), lease(notebook="c")),
        ),
        None,
        None,
        "3 of 3 notebooks of tier Pro are in use: “a”, “b”, “c”. One of them is stopping: wait a"
        " moment.",
    ),
    (
        "too_many_running",
        lambda: start(
            person(), instance_type="free-p5000", own=(lease(notebook="a"), lease("free-cpu", "b"))
        ),
        None,
        None,
        "1 of 1 free notebooks are in use: “b”. Stop one first.",
    ),
    (
        "no_capacity",
        lambda: start(
            person(),
            load=BOTH_P5000,
            everybody=(lease(hard_end=NOW + 20 * MINUTE), lease(hard_end=NOW + 3 * HOUR)),
        ),
        "instance_type",
        "0:20:00",
        "All 2 P5000 are in use. The next is free by 17:20 UTC at the latest. P4000 is free now.",
    ),
    (
        "no_capacity",
        lambda: start(
            person(),
            load=held("GPU-rack-0", "GPU-rack-1", "GPU-rack-2"),
            everybody=(lease(hard_end=NOW + DAY),),
        ),
        "instance_type",
        "1:00:00",
        "All 2 P5000 are in use. The next is free by 17:00 UTC on Tue 24 Nov at the latest.",
    ),
    (
        "no_capacity",
        lambda: start(
            person(),
            load=held("GPU-rack-0", "GPU-rack-1", "GPU-rack-2"),
            everybody=(lease(hard_end=NOW - MINUTE),),
        ),
        "instance_type",
        "0:01:00",
        "All 2 P5000 are in use. The next is being freed: try again in a moment.",
    ),
    (
        "no_capacity",
        lambda: start(person(), load=BOTH_P5000, everybody=(lease(),)),
        "instance_type",
        "0:01:00",
        "All 2 P5000 are in use. No end is known: try again in a while. P4000 is free now.",
    ),
    (
        "no_capacity",
        lambda: start(person(), instance_type="p4000", load=held("GPU-rack-2")),
        "instance_type",
        "0:01:00",
        "The only P4000 is in use. No end is known: try again in a while. P5000, Free-P5000,"
        " P5000x2"
        " are free now.",
    ),
    (
        "no_capacity",
        lambda: start(person(), a_house(a_host("cpus"))),
        "instance_type",
        None,
        "No host here carries P5000. Ask your administrator.",
    ),
    (
        "no_capacity",
        lambda: start(person(), a_house(a_host("small", "P4000"))),
        "instance_type",
        None,
        "No host here carries P5000. P4000 is free now.",
    ),
    (
        "no_capacity",
        lambda: start(person(), a_house(a_host("lab", "P5000", groups=["lab-bio"]))),
        "instance_type",
        None,
        "No host here carries P5000. Ask your administrator.",
    ),
]


@pytest.mark.parametrize(
    ("code", "ask", "where", "retry_after", "words"),
    GOLDEN,
    ids=[f"{row[0]}-{number}" for number, row in enumerate(GOLDEN)],
)
def test_a_refusal_says_what_was_asked_why_not_and_what_to_do(code, ask, where, retry_after, words):
    no = ask()
    assert isinstance(no, Refused)
    assert no.text == words
    assert (no.code, no.field) == (code, where)
    assert str(no.retry_after) == str(retry_after)


def test_every_code_of_admission_has_its_exact_words_here():
    codes = set(re.findall(r'Refused\(\s*"(\w+)"', getsource(admission)))
    assert {row[0] for row in GOLDEN} == codes


def test_a_long_list_of_names_is_cut_and_says_so():
    runtimes = {f"r{number:02}": {"title": "R"} for number in range(30)}
    no = asked(person(), a_house(RACK, runtimes=runtimes), runtime="cobol")
    assert isinstance(no, Refused)
    assert no.hint.endswith("r18, r19, ….")


def test_a_hostile_name_of_a_notebook_is_shown_harmless():
    own = tuple(lease(notebook="\x1b[31m" + "x" * 99) for _ in range(9))
    no = start(person(), own=own)
    assert isinstance(no, Refused)
    assert no.text.isprintable()
    assert len(no.text) < 500


def test_what_is_wrong_with_the_request_comes_before_what_others_hold():
    no = start(person(), load=BOTH_P5000, shutdown_after="1d", own=(lease(),) * 3)
    assert isinstance(no, Refused)
    assert no.code == "interval_not_allowed"


# -- what else is free, and when -----------------------------------------------------------------


def test_alternatives_are_of_the_same_kind_and_nearest_in_price():
    assert [t.name for t in alternatives(a_type("p5000"), person(), HOUSE, Load())] == [
        "p4000",
        "free-p5000",
        "p5000x2",
    ]
    assert [t.name for t in alternatives(a_type("c3"), person(), HOUSE, Load())] == ["free-cpu"]


def test_alternatives_are_machines_that_this_person_may_rent():
    poor = person(payment_method=False)
    assert [t.name for t in alternatives(a_type("p5000"), poor, HOUSE, Load())] == ["free-p5000"]


def test_a_free_machine_is_no_alternative_for_who_has_one_already():
    no = start(person(), instance_type="p4000", load=held("GPU-rack-2"), own=(lease("free-cpu"),))
    assert isinstance(no, Refused)
    assert no.alternatives == ("p5000", "p5000x2")


def free_by(
    wanted: str,
    *leases: OpenLease,
    hosts: tuple[Host, ...] = (RACK,),
    load: Load | None = None,
    groups: tuple[str, ...] = (),
) -> datetime | None:
    return next_free(a_type(wanted), replace(HOUSE, hosts=hosts), leases, load=load, groups=groups)


SOON, LATER = NOW + HOUR, NOW + 2 * HOUR


def test_the_next_is_free_when_the_first_on_the_same_devices_ends():
    assert free_by("p5000", lease(hard_end=LATER), lease("free-p5000", hard_end=SOON)) == SOON
    assert (
        free_by("p5000", lease("p5000x2", hard_end=LATER), lease("p4000", hard_end=SOON)) == LATER
    )
    assert free_by("p5000", lease(hard_end=None)) is None
    assert free_by("p5000") is None


def test_one_free_device_is_not_promised_to_a_machine_that_needs_two():
    one, two = lease(hard_end=SOON), lease("p5000x2", hard_end=LATER)
    assert free_by("p5000x2", one) is None
    assert free_by("p5000x2", one, two) == LATER


def test_a_lease_of_a_type_that_is_no_longer_offered_promises_nothing():
    assert free_by("p5000", replace(lease(hard_end=SOON), instance_type="gone")) is None


def test_a_device_is_not_promised_where_cpus_or_memory_lack():
    small = a_host("rack", "P5000", "P5000", cpus=16, memory=60)
    one = lease("free-p5000", hard_end=SOON)
    assert free_by("p5000", one, hosts=(small,), load=Load({"rack": 16}, {"rack": 60})) == SOON
    assert free_by("p5000", one, hosts=(small,), load=Load({"rack": 17}, {"rack": 60})) is None
    assert free_by("p5000", one, hosts=(small,), load=Load({"rack": 16}, {"rack": 61})) is None


def test_a_small_machine_does_not_make_room_for_a_big_one():
    full = Load({"rack": 64}, {"rack": 64})
    assert free_by("c3", lease("free-cpu", hard_end=SOON), load=full) == SOON
    assert free_by("p4000", lease("p5000", hard_end=SOON), load=full) is None


def test_a_device_on_a_host_that_is_reserved_for_others_is_promised_to_nobody_else():
    hosts = RACK, a_host("lab", "P5000", groups=["lab-bio"])
    one = lease(hard_end=SOON)
    assert free_by("p5000", one, hosts=hosts) is None
    assert free_by("p5000", one, hosts=hosts, groups=("lab-bio",)) == SOON


# -- no history exceeds a cap or a host ----------------------------------------------------------


@dataclass
class World:
    """Accounts, and what they run."""

    running: list[tuple[OpenLease, InstanceType, Placement]] = field(default_factory=list)

    def leases(self, account: str | None = None) -> list[OpenLease]:
        return [one for one, _, _ in self.running if account in (None, one.account_id)]

    def load(self) -> Load:
        cpus: dict[str, float] = {}
        memory: dict[str, float] = {}
        for _, what, where in self.running:
            cpus[where.host] = cpus.get(where.host, 0) + what.cpus
            memory[where.host] = memory.get(where.host, 0) + what.memory
        return Load(cpus, memory, frozenset(d for _, _, p in self.running for d in p.devices))

    def ask(self, account: str, wanted: str, now: datetime, number: int) -> Plan | Refused:
        allowance = PEOPLE[account]
        options = parse_options({"instance_type": wanted, "shutdown_after": "1h"})
        entitled = entitle(options, allowance, CROWDED, now)
        if isinstance(entitled, Refused):
            return entitled
        situation = Situation(account_id=account, leases=self.leases(), load=self.load())
        plan = admit(entitled, allowance, CROWDED, situation, now)
        if isinstance(plan, Plan):
            name = f"n{number}"
            made = OpenLease(
                f"lease-{number}", account, name, name, wanted, plan.price, plan.session_ends_at
            )
            self.running.append((made, plan.entitled.instance_type, plan.placement))
        return plan


CROWDED = a_house(
    a_host("rack", "P5000", "P5000", "P4000", cpus=24, memory=64),
    a_host("lab", "P5000", "P5000", "P5000", groups=["lab-bio"]),
    a_host("plain", cpus=4, memory=8, cpu_overcommit=2),
)
PEOPLE = {
    "anna": person("free", payment_method=False),
    "ben": person("pro"),
    "cleo": person("pro", groups=frozenset({"lab-bio"})),
    "dora": person("team", groups=frozenset({"lab-bio"}), approvals=frozenset({"v100"})),
}
STARTS = st.tuples(st.sampled_from(sorted(PEOPLE)), st.sampled_from(sorted(TYPES)))
HISTORIES = st.lists(STARTS | st.integers(0, 40), max_size=50)


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_no_history_exceeds_a_cap_a_device_or_a_host(history):
    """A pair is a start that somebody asks for; a number is the end of one that runs."""
    world = World()
    for number, step in enumerate(history):
        now = NOW + number * MINUTE
        if isinstance(step, int):
            if world.running:
                world.running.pop(step % len(world.running))
            continue
        account, wanted = step
        before = world.load()
        outcome = world.ask(account, wanted, now, number)
        if isinstance(outcome, Refused):
            assert world.load() == before
            for name in outcome.alternatives:
                assert isinstance(World(list(world.running)).ask(account, name, now, number), Plan)
    devices = [device for _, _, where in world.running for device in where.devices]
    assert len(devices) == len(set(devices))
    load = world.load()
    for host in CROWDED.hosts:
        assert load.cpus.get(host.name, 0) <= host.cpus * host.cpu_overcommit
        assert load.memory.get(host.name, 0) <= host.memory
    for account, allowance in PEOPLE.items():
        own, tier = world.leases(account), allowance.tier
        assert len(own) <= tier.max_running
        free = [one for one in own if one.price == 0]
        assert tier.max_running_free is None or len(free) <= tier.max_running_free
    for one, what, where in world.running:
        host = next(h for h in CROWDED.hosts if h.name == where.host)
        assert host.open_to(PEOPLE[one.account_id].groups)
        assert PEOPLE[one.account_id].tier.allows_type(what)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(STARTS, st.none() | st.integers(1, 99)), max_size=30),
    st.sampled_from(sorted(PEOPLE)),
    st.sampled_from(sorted(TYPES)),
)
def test_a_promised_moment_is_kept_if_nobody_else_starts(starts, account, wanted):
    world = World()
    for number, ((who, what), minutes) in enumerate(starts):
        if isinstance(world.ask(who, what, NOW, number), Plan):
            made, kind, where = world.running[-1]
            end = minutes and NOW + minutes * MINUTE
            world.running[-1] = (replace(made, hard_end=end), kind, where)
    groups = PEOPLE[account].groups
    promised = next_free(a_type(wanted), CROWDED, world.leases(), load=world.load(), groups=groups)
    if promised is None:
        return
    world.running = [
        row for row in world.running if row[0].hard_end is None or row[0].hard_end > promised
    ]
    assert room(a_type(wanted), CROWDED.hosts, world.load(), groups).free


@given(st.integers(0, 9), st.integers(0, 9), st.sampled_from(["free", "pro", "team"]))
@settings(deadline=None)
def test_who_is_at_a_cap_gets_nothing_more_and_who_is_below_gets_it(free, paid, tier):
    allowance = person(tier)
    own = tuple(lease("free-cpu" if n < free else "c3", f"n{n}") for n in range(free + paid))
    outcome = start(allowance, instance_type="free-cpu", own=own)
    at_cap = len(own) >= allowance.tier.max_running
    at_free_cap = (
        allowance.tier.max_running_free is not None and free >= allowance.tier.max_running_free
    )
    if at_cap or at_free_cap:
        assert isinstance(outcome, Refused)
        assert outcome.code == "too_many_running"
    else:
        assert isinstance(outcome, Plan)
