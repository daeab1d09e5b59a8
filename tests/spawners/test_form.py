"""The spawn form as a function of values, and as HTML."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from home import RUNTIMES
from values import make_lease

from gradienthub.ledger.capacity import Taken
from gradienthub.ledger.leases import Usual
from gradienthub.ledger.offers import Offer
from gradienthub.rules.admission import OpenLease
from gradienthub.rules.duration import parse_duration
from gradienthub.rules.funds import Funds
from gradienthub.rules.lease import Lease
from gradienthub.rules.metering import bill
from gradienthub.rules.money import format_rounded
from gradienthub.rules.phase import Phase
from gradienthub.rules.placement import Load
from gradienthub.rules.refusal import Refused
from gradienthub.rules.tiers import Allowance
from gradienthub.settings import Settings
from gradienthub.spawners import spawn_form
from gradienthub.views.form import Attempt, FormPage, FormView, away_view, build_view
from gradienthub.views.form_fields import FIELDS, MOST_NOTES, entries_of, prefill
from gradienthub.views.start import phases, summary, usual_text
from gradienthub.views.stock import Card

NOW = datetime(2026, 11, 24, 16, 20, tzinfo=UTC)
NOTHING_TAKEN = Taken(leases=(), load=Load())
BOTH_T4 = Load(held_devices=frozenset({"GPU-t4-0", "GPU-t4-1"}))

MakeView = Callable[..., FormView]


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


@pytest.fixture
def allow(settings: Settings) -> Callable[..., Allowance]:
    """An allowance of a tier of the small tables."""

    def make(tier: str = "pro", pays: bool = True, approvals: tuple[str, ...] = ()) -> Allowance:
        return Allowance(
            tier=settings.house.tiers[tier],
            given_by="group pros",
            groups=frozenset(),
            payment_method=pays,
            approvals=frozenset(approvals),
        )

    return make


@pytest.fixture
def view(settings: Settings, allow: Callable[..., Allowance]) -> MakeView:
    """The form of a person of tier pro who typed `values`, unless told otherwise."""

    def make(
        values: Mapping[str, str] | None = None,
        tier: str = "pro",
        *,
        pays: bool = True,
        taken: Taken = NOTHING_TAKEN,
        running: int = 0,
        refused: Refused | None = None,
        notes: Sequence[str] = (),
    ) -> FormView:
        offer = Offer(allow(tier, pays), taken, running, None, Funds())
        attempt = Attempt(values or {}, refused, tuple(notes))
        return build_view(settings.house, offer, attempt, NOW)

    return make


def nothing_taken(allowance: Allowance) -> Offer:
    return Offer(allowance, NOTHING_TAKEN, 0, None, Funds())


def card(view: FormView, name: str) -> Card:
    return next(c for group in view.groups for c in group.cards if c.name == name)


def checked(view: FormView) -> list[str]:
    return [c.name for group in view.groups for c in group.cards if c.checked]


def html(view: FormView) -> str:
    return spawn_form.environment().get_template("gradient/fields.html").render(view=view)


# -- machines -----------------------------------------------------------------------------------


def test_machines_stand_by_kind_with_what_they_are_and_cost(view: MakeView) -> None:
    shown = view()
    assert [group.title for group in shown.groups] == ["Free", "CPU", "GPU", "Multi-GPU"]
    t4x2 = card(shown, "t4x2")
    assert (t4x2.gpu_text, t4x2.host_text) == ("2 × Toy T4 · 32 GB", "4 vCPU · 8 GB RAM")
    assert (t4x2.price, t4x2.price_text) == (1_020_000, "$1.02/h")
    assert card(shown, "c1").gpu_text == "No GPU"


def test_a_runtime_whose_requests_count_says_what_an_open_tab_does(
    make_settings: Callable[..., Settings], allow: Callable[..., Allowance]
) -> None:
    """Somebody at work in an editor was stopped as idle, which no page had said."""
    editor = {"title": "Editor", "image": "acme/editor:1", "counts_requests": True}
    house = make_settings(runtimes=RUNTIMES | {"editor": editor}).house
    made = build_view(house, nothing_taken(allow()), Attempt(), NOW)
    notes = {runtime.name: runtime.note for runtime in made.runtimes}
    assert "an open tab keeps it running" in notes["editor"]
    assert notes["python"] == ""


def test_each_card_has_its_own_session_limit(view: MakeView, settings: Settings) -> None:
    tier = settings.house.tiers["pro"].model_copy(update={"free_session_limit": timedelta(hours=6)})
    allowance = Allowance(tier, "default", frozenset(), True, frozenset())
    free, paid = (
        build_view(
            settings.house, nothing_taken(allowance), Attempt({"instance_type": name}), NOW
        ).cost
        for name in ("free-t4", "t4")
    )
    assert free is not None and paid is not None
    assert free.at_most.note == "session limit of 6 h"
    assert free.at_most.moment == NOW + timedelta(hours=6)
    assert "session limit" not in paid.at_most.note


def test_a_free_machine_says_how_many_are_free(view: MakeView) -> None:
    one = Taken((), Load(held_devices=frozenset({"GPU-t4-0"})))
    t4 = card(view(taken=one), "t4")
    assert (t4.state, t4.note, t4.disabled) == ("free", "1 of 2 free", False)


@pytest.mark.parametrize(
    ("tier", "pays", "name", "says"),
    [
        ("free", False, "t4", "tier Pro"),
        ("pro", False, "t4", "no payment method"),
        ("pro", True, "a100", "needs an approval"),
    ],
)
def test_a_locked_machine_cannot_be_chosen_and_says_what_it_needs(
    view: MakeView, tier: str, pays: bool, name: str, says: str
) -> None:
    locked = card(view({"instance_type": name}, tier, pays=pays), name)
    assert (locked.state, locked.disabled, locked.checked) == ("locked", True, False)
    assert says in locked.note


def test_a_taken_machine_says_when_the_next_is_free_at_the_latest(view: MakeView) -> None:
    ends = NOW + timedelta(hours=2)
    lease = OpenLease("1", "somebody", "n", "theirs", "t4", 510_000, hard_end=ends)
    t4 = card(view(taken=Taken((lease,), BOTH_T4)), "t4")
    assert (t4.state, t4.note, t4.next_free) == ("none", "None of 2 free.", ends)
    assert t4.disabled


def test_a_taken_machine_without_a_known_end_says_so(view: MakeView) -> None:
    t4 = card(view(taken=Taken((), BOTH_T4)), "t4")
    assert (t4.note, t4.next_free) == ("None of 2 free. No end is known.", None)


def test_a_machine_that_no_host_carries_says_so(
    settings: Settings, allow: Callable[..., Allowance]
) -> None:
    house = replace(settings.house, hosts=())
    shown = build_view(house, nothing_taken(allow()), Attempt(), NOW)
    assert card(shown, "t4").note == "No host here carries it."
    assert not shown.can_start and shown.cost is None


def test_the_first_machine_that_can_start_is_chosen_until_somebody_chooses(view: MakeView) -> None:
    assert checked(view()) == ["free-cpu"]
    assert checked(view({"instance_type": "t4"})) == ["t4"]


def test_a_taken_machine_that_was_asked_for_can_be_asked_for_again(view: MakeView) -> None:
    refused = Refused("no_capacity", "All 2 T4 are in use.", field="instance_type")
    shown = view({"instance_type": "t4"}, taken=Taken((), BOTH_T4), refused=refused)
    t4 = card(shown, "t4")
    assert (t4.checked, t4.disabled, t4.refused) == (True, False, True)


def test_a_full_account_is_told_before_it_tries(view: MakeView) -> None:
    assert view(running=3).full and not view(running=2).full


# -- runtimes, intervals, end time --------------------------------------------------------------


def test_only_runtimes_of_the_tier_are_shown_and_its_default_is_chosen(view: MakeView) -> None:
    assert [r.name for r in view(tier="free").runtimes] == ["python"]
    assert [r.name for r in view().runtimes if r.checked] == ["python"]
    assert [r.name for r in view({"runtime": "torch"}).runtimes if r.checked] == ["torch"]


def test_a_custom_image_is_offered_only_where_the_tier_has_any(view: MakeView) -> None:
    assert view(tier="free").custom is None
    custom = view({"runtime": "custom", "image": "ghcr.io/acme/x:1"}).custom
    assert custom is not None and custom.checked
    assert (custom.image, custom.patterns) == ("ghcr.io/acme/x:1", "ghcr.io/acme/*")


def test_an_interval_of_ones_own_stands_among_the_tiers(view: MakeView) -> None:
    shown = view({"shutdown_after": "45m"})
    assert [c.value for c in shown.intervals] == ["30m", "45m", "1h", "6h"]
    assert [c.value for c in shown.intervals if c.checked] == ["45m"]


@pytest.mark.parametrize("typed", ["13h", "1m", "soon", "-5", "never", "9" * 400])
def test_an_interval_that_the_tier_has_not_leaves_its_default(view: MakeView, typed: str) -> None:
    for tier, chosen in (("free", ["1h"]), ("pro", [])):
        shown = view({"shutdown_after": typed}, tier)
        assert [c.value for c in shown.intervals if c.checked] == chosen


def test_never_is_a_choice_only_where_the_tier_lets_notebooks_idle(view: MakeView) -> None:
    assert "never" not in [c.value for c in view().intervals]
    flat = view(tier="flat").intervals[-1]
    assert (flat.value, flat.checked) == ("never", True)


# -- cost ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["free-cpu", "c1", "t4", "t4x2"])
@pytest.mark.parametrize("interval", ["5m", "30m", "1h", "6h", "12h"])
def test_every_figure_is_the_bill_of_the_time_it_names(
    view: MakeView, settings: Settings, name: str, interval: str
) -> None:
    shown = view(
        {
            "instance_type": name,
            "shutdown_after": interval,
            "stop_at": "2026-11-25T04:50",
            "utc_offset": "60",
        }
    )
    assert shown.cost is not None
    price = card(shown, name).price
    chosen = next(c for c in shown.intervals if c.checked)
    span = parse_duration(interval)
    ends = datetime(2026, 11, 25, 3, 50, tzinfo=UTC)
    stops = min(NOW + span, ends)
    assert chosen.cost == format_rounded(bill(price, [(NOW, NOW + span)]))
    assert shown.cost.walk_away.text == format_rounded(bill(price, [(NOW, stops)]))
    assert shown.cost.walk_away.moment == stops
    assert shown.cost.at_most.text == format_rounded(bill(price, [(NOW, ends)]))
    assert shown.cost.at_most.moment == ends


def test_at_most_is_the_session_limit_or_the_earlier_end_time(view: MakeView) -> None:
    cost = view(tier="free").cost
    assert cost is not None and "session limit of 12 h" in cost.at_most.note
    assert cost.at_most.moment == NOW + timedelta(hours=12)
    cost = view({"stop_at": "2026-11-24T18:00"}, "free").cost
    assert cost is not None and cost.at_most.note == "the end time you chose"


def test_an_end_time_that_is_past_ends_nothing(view: MakeView) -> None:
    shown = view({"stop_at": "2026-11-24T16:19"}, "free")
    assert shown.cost is not None and shown.stop_at_utc is None
    assert shown.cost.at_most.moment == NOW + timedelta(hours=12)
    assert shown.stop_at == "2026-11-24T16:19", "what was typed is kept"


def test_what_nothing_ends_has_no_upper_limit_and_says_so(view: MakeView) -> None:
    cost = view({"instance_type": "t4", "shutdown_after": "never"}, "flat").cost
    assert cost is not None
    assert cost.at_most.text == "No upper limit"
    assert (cost.walk_away.text, cost.walk_away.note) == (
        "No upper limit",
        "nothing stops it when idle",
    )


def test_a_free_machine_costs_nothing_at_most(view: MakeView) -> None:
    cost = view({"instance_type": "free-cpu", "shutdown_after": "never"}, "flat").cost
    assert cost is not None
    assert (cost.at_most.text, cost.walk_away.text) == ("$0.00", "$0.00")


def test_without_an_interval_no_figure_is_invented(view: MakeView) -> None:
    cost = view({"instance_type": "t4"}).cost
    assert cost is not None
    assert (cost.walk_away.text, cost.walk_away.note) == ("–", "choose when it stops")


# -- refusals -----------------------------------------------------------------------------------


def test_a_refusal_keeps_every_entry_and_prices_every_way_on(view: MakeView) -> None:
    typed = {
        "display_name": "Maps",
        "instance_type": "t4",
        "runtime": "torch",
        "shutdown_after": "6h",
        "interface": "notebook",
        "stop_at": "2026-11-25T18:00",
        "utc_offset": "60",
    }
    refused = Refused(
        "no_capacity",
        "All 2 T4 are in use.",
        "C1 is free now.",
        field="instance_type",
        alternatives=("c1", "gone"),
    )
    shown = view(typed, refused=refused, taken=Taken((), BOTH_T4))
    assert dict(shown.entries) == typed
    assert shown.notice is not None
    assert (shown.notice.code, shown.notice.status) == ("no_capacity", 503)
    assert [way.label for way in shown.notice.alternatives] == ["Start on C1, $0.02/h"]
    assert shown.notice.again is not None and shown.notice.again.label == "Try T4 again, $0.51/h"
    page = html(shown)
    for kept in ('value="Maps"', 'value="2026-11-25T18:00"'):
        assert kept in page
    assert page.count('aria-invalid="true"') == 1


def test_what_will_be_refused_again_offers_no_second_try(view: MakeView) -> None:
    refused = Refused("type_not_in_tier", "T4 is not in tier Free.", field="instance_type")
    notice = view({"instance_type": "t4"}, "free", refused=refused).notice
    assert notice is not None and notice.again is None


HOSTILE = [
    '"><script>alert(1)</script>',
    "{{ 7 * 7 }}",
    "'; DROP TABLE leases; --",
    "\x00\x1b[31m",
    "٣" * 40,
    "1e999",
    "a" * 5000,
    "2026-02-30T25:61",
    "0001-01-01T00:00",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_entries_stay_text(view: MakeView, text: str) -> None:
    typed = dict.fromkeys(FIELDS, text)
    refused = Refused("bad_option", f"It is {text}.", field="stop_at")
    page = html(view(typed, refused=refused, notes=[text]))
    assert "<script" not in page
    assert "49" not in page or "{{" not in text


# -- links --------------------------------------------------------------------------------------


def test_a_link_fills_in_what_the_person_could_choose(
    settings: Settings, allow: Callable[..., Allowance]
) -> None:
    entries, notes = prefill(
        {
            "opt-instance_type": "t4",
            "runtime": "torch",
            "shutdown_after": "6h",
            "stop_at": "2026-11-25T18:00:00+01:00",
            "display_name": "Maps",
        },
        settings.house,
        allow(),
        NOW,
    )
    assert notes == []
    assert entries == {
        "instance_type": "t4",
        "runtime": "torch",
        "shutdown_after": "6h",
        "stop_at": "2026-11-25T17:00",
        "display_name": "Maps",
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("instance_type", "a100"),  # needs an approval
        ("instance_type", "nonesuch"),
        ("runtime", "nonesuch"),
        ("image", "evil.example/x"),
        ("image", "--privileged"),
        ("shutdown_after", "never"),
        ("shutdown_after", "99h"),
        ("stop_at", "2020-01-01T00:00:00Z"),
        ("interface", "terminal"),
        ("display_name", "x" * 61),
        ("display_name", "\x07"),
        ("runtime", "x" * 301),
        ("_xsrf_", "<script>"),
        ("opt-", "1"),
    ],
)
def test_a_links_word_that_could_not_be_chosen_is_left_out_and_named(
    settings: Settings, allow: Callable[..., Allowance], key: str, value: str
) -> None:
    entries, notes = prefill({key: value}, settings.house, allow(), NOW)
    assert entries == {}
    assert len(notes) == 1


def test_a_link_of_a_thousand_words_is_answered_shortly(
    settings: Settings, allow: Callable[..., Allowance]
) -> None:
    _, notes = prefill({f"x{i}": "1" for i in range(1000)}, settings.house, allow(), NOW)
    assert len(notes) == MOST_NOTES + 1
    assert notes[-1].startswith("992 more")


@pytest.mark.parametrize(
    ("stored", "entries"),
    [
        ({"instance_type": "t4"}, {"instance_type": "t4", "interface": "lab"}),
        (
            {"instance_type": "t4", "shutdown_after": None, "interface": "notebook"},
            {"instance_type": "t4", "shutdown_after": "never", "interface": "notebook"},
        ),
        (
            {"instance_type": "t4", "image": "a/b:1", "stop_at": "2026-11-25T18:00:00+00:00"},
            {"instance_type": "t4", "interface": "lab", "runtime": "custom", "image": "a/b:1"},
        ),
        ({"nonsense": 1}, {}),
        (None, {}),
    ],
)
def test_stored_options_fill_in_the_next_form(
    stored: Mapping[str, Any] | None, entries: dict[str, str]
) -> None:
    assert entries_of(stored) == entries


# -- the page itself ----------------------------------------------------------------------------


def test_the_fields_need_no_script_and_nothing_from_elsewhere(view: MakeView) -> None:
    page = html(view({"display_name": "Maps"}))
    assert "<script" not in page and "onclick" not in page and "//" not in page
    for name in (
        "display_name",
        "instance_type",
        "runtime",
        "interface",
        "shutdown_after",
        "stop_at",
        "utc_offset",
    ):
        assert f'name="{name}"' in page
    assert "Time zone: <span data-zone>UTC</span>" in page


def test_while_the_ledger_is_away_entries_are_kept_and_nothing_starts() -> None:
    away = Refused("ledger_away", "The ledger does not answer.", "Try again in a minute.")
    shown = away_view({"instance_type": "t4", "bad": "x"}, away, NOW, FormPage())
    assert not shown.can_start
    assert shown.entries == (("instance_type", "t4"),)
    assert shown.notice is not None and shown.notice.status == 503


# -- phases of a start --------------------------------------------------------------------------


def lease(phase: str, /, **moments: float) -> Lease:
    """A lease in that phase; moments are seconds after admission."""
    at = {f"{name}_at": NOW + timedelta(seconds=s) for name, s in moments.items()}
    columns = {"phase_at": NOW, "admitted_at": NOW, "host": "rack", "devices": ("GPU-t4-0",)} | at
    return make_lease(phase=Phase(phase), **columns)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("row", "now"),
    [
        (None, "admitted"),
        (lease("admitted"), "preparing"),
        (lease("preparing"), "preparing"),
        (lease("waiting", phase=1), "waiting"),
        (lease("turn", turn=2), "starting"),
        (lease("starting", turn=2), "starting"),
        (lease("answering", turn=2, started=3), "answering"),
    ],
)
def test_a_start_is_in_one_phase_at_a_time(row: Any, now: str) -> None:
    steps = phases(row, 0, later(5))
    names = [step.name for step in steps]
    assert [step.name for step in steps if step.state == "now"] == [now]
    at = names.index(now)
    assert {step.state for step in steps[:at]} <= {"done"}
    assert {step.state for step in steps[at + 1 :]} == {"todo"}


def test_an_answered_start_is_done_with_the_times_it_took() -> None:
    steps = phases(lease("answered", turn=2, started=3, answered=7), 0, later(60))
    assert {step.state for step in steps} == {"done"}
    assert {s.name: s.seconds for s in steps if s.seconds} == {"starting": 1.0, "answering": 4.0}


@pytest.mark.parametrize(
    ("place", "says"),
    [(0, "You are next"), (1, "1 start is before"), (7, "7 starts are before")],
)
def test_a_waiting_start_says_its_place_in_line(place: int, says: str) -> None:
    step = phases(lease("waiting", phase=1), place, later(4))[2]
    assert says in step.detail
    assert step.seconds == 3.0


@pytest.mark.parametrize(
    ("row", "where"),
    [
        (lease("ended", ended=9), "preparing"),
        (lease("ended", turn=2, ended=9), "starting"),
        (lease("ended", turn=2, started=3, ended=9), "answering"),
    ],
)
def test_a_failed_start_says_how_far_it_came(row: Any, where: str) -> None:
    failed = [step for step in phases(row, 0, later(99), failed=True) if step.state == "failed"]
    assert [step.name for step in failed] == [where]


def test_progress_only_grows() -> None:
    rows = [
        None,
        lease("preparing"),
        lease("waiting"),
        lease("turn", turn=2),
        lease("answering", turn=2, started=3),
        lease("answered", answered=4),
    ]
    progress = [summary(phases(row, 0, later(5)))[0] for row in rows]
    assert progress == sorted(progress) and progress[0] > 0 and progress[-1] < 100


@pytest.mark.parametrize(
    ("usual", "says"),
    [
        (None, ""),
        (
            Usual(timedelta(seconds=4), timedelta(seconds=6), 30),
            "Usually 4.0 s, 9 of 10 within 6.0 s",
        ),
        (
            Usual(timedelta(seconds=31), timedelta(seconds=65), 9),
            "Usually 31 s, 9 of 10 within 1 min 5 s",
        ),
        (Usual(timedelta(seconds=4), timedelta(seconds=6), 2), "Usually 4.0 s"),
        (Usual(timedelta(0), timedelta(0), 1), "Usually under 0.1 s"),
    ],
)
def test_the_usual_time_says_no_more_than_is_known(usual: Usual | None, says: str) -> None:
    assert usual_text(usual) == says
