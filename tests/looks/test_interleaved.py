"""Looks at interleaved experiments: from slates and clicks to a verdict that is carried out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.looks.interleaved_units import read_interleaved
from experiments.models import ExcludedUnit, InterleavedUnit
from experiments.programme.queue import waiting_versions
from experiments.stats.interleaved_credit import DraftedSlate, credit_of
from experiments.stats.interleaving import BINS, MAX_SCORE
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from tests.support import builders
from tests.support.interleaving import OURS, THEIRS, Visits

WINDOW = 60.0
POLICY = {"window_seconds": WINDOW, "minimum_run_seconds": 0.0, "planned_units": 400}


@pytest.fixture
def experiment(shop):
    return builders.interleave(shop, **POLICY)


def test_users_who_like_the_treatments_items_prefer_it(shop, experiment):
    visits = Visits(shop, experiment)
    for n in range(120):
        visits.serve(f"u{n}", likes=THEIRS if n % 3 else ())
    visits.commit()
    look = look_at_experiment(experiment_id=experiment.pk)
    assert (look.action, look.parsed_result.variant) == ("prefer", "treatment")
    (shown,) = look.parsed_result.preferences
    assert (shown.units, shown.losses) == (120, 0)
    assert shown.interval[0] > 0
    assert "users prefer treatment: p = " in look.reason
    experiment.refresh_from_db()
    decision = experiment.decisions.get()
    assert (experiment.state, decision.action, decision.promoted) == ("ended", "prefer", None)
    # It goes on to the test that may promote it: nothing was promoted, and it waits again.
    challenger = experiment.variants.get(key="treatment").model_version
    assert challenger.alias == "challenger"
    assert challenger in waiting_versions(shop.surface)
    assert shop.surface.versions.champions().get() == shop.champion


def test_users_who_like_the_controls_items_reject_the_treatment(shop, experiment):
    visits = Visits(shop, experiment)
    for n in range(120):
        visits.serve(f"u{n}", likes=OURS if n % 3 else ())
    visits.commit()
    look = look_at_experiment(experiment_id=experiment.pk)
    assert (look.action, look.parsed_result.variant) == ("roll_back", "treatment")
    assert "users prefer the control" in look.reason
    assert experiment.variants.get(key="treatment").model_version.alias == "rejected"


def test_it_promotes_where_the_policy_says_so(shop):
    experiment = builders.interleave(shop, **POLICY, promote=True)
    visits = Visits(shop, experiment)
    for n in range(120):
        visits.serve(f"u{n}", likes=THEIRS)
    visits.commit()
    assert look_at_experiment(experiment_id=experiment.pk).action == "ship"


def test_a_units_score_is_that_of_its_slates_in_its_window(shop, experiment):
    visits = Visits(shop, experiment)
    first = visits.serve("u", likes=("i9",))
    second = visits.serve("u", likes=("i0", "i8"), later=30)
    visits.serve("u", likes=THEIRS, later=WINDOW + 1)  # after its window
    visits.commit()
    look_at_experiment(experiment_id=experiment.pk)
    row = InterleavedUnit.objects.get(experiment=experiment)
    state = experiment.interleaving
    by_hand = []
    for draft, liked in ((first, {"i9"}), (second, {"i0", "i8"})):
        slate = DraftedSlate(tuple(draft["teams"]), tuple(draft["ranks"]), tuple(draft["rest"]))
        ranks_of = {(1, 0): "i0", (2, 0): "i1", (0, 1): "i9", (0, 2): "i8"}
        clicked = [n for n, ranks in enumerate(slate.ranks) if ranks_of[tuple(ranks)] in liked]
        by_hand.append(credit_of(slate, clicked, decay=0.7)[0].score)
    assert row.score == pytest.approx(sum(by_hand))
    assert (row.team, row.slates, row.failed) == (1, 2, 0)
    # Each slate counts over the root of its number.
    weighted = by_hand[0] + by_hand[1] / 2**0.5
    (counted,) = read_interleaved(experiment, builders.now()).scores
    assert counted.bins == {round(weighted / MAX_SCORE * BINS): 1}
    assert counted.score == pytest.approx(sum(by_hand))
    # One that a version before wrote stays as it was.
    InterleavedUnit.objects.update(weighted=None)
    (counted,) = read_interleaved(experiment, builders.now()).scores
    assert counted.bins == {round(sum(by_hand) / MAX_SCORE * BINS): 1}
    # The coin had dealt out both rounds: i9 or i0 first, i8 or i1 third.
    assert {tuple(places) for places, _ in state.swaps} <= {(1, 2), (3, 4)}


def test_a_score_is_written_once_and_excluded_units_leave_it(shop, experiment):
    visits = Visits(shop, experiment)
    for n in range(6):
        visits.serve(f"u{n}", likes=THEIRS)
    visits.commit()
    look_at_experiment(experiment_id=experiment.pk)
    before = read_interleaved(experiment, builders.now())
    assert look_at_experiment(experiment_id=experiment.pk) is None  # nothing new
    assert InterleavedUnit.objects.filter(experiment=experiment).count() == 6
    ExcludedUnit.objects.create(project=shop.project, unit_id="u0", reason="bot")
    after = read_interleaved(experiment, builders.now())
    assert (before.scores[0].units, after.scores[0].units) == (6, 5)


def test_who_is_still_in_its_window_waits(shop, experiment):
    visits = Visits(shop, experiment)
    visits.at = builders.now() - timedelta(seconds=WINDOW / 2)
    visits.serve("u", likes=THEIRS)
    visits.commit()
    look_at_experiment(experiment_id=experiment.pk)
    assert not InterleavedUnit.objects.filter(experiment=experiment).exists()


@pytest.mark.parametrize(
    ("failing", "action", "who"), [(0, "halt", "the control"), (1, "roll_back", "'treatment'")]
)
def test_versions_that_fail_often_end_it(shop, experiment, failing, action, who):
    visits = Visits(shop, experiment)
    for n in range(120):
        visits.serve(f"u{n}", failed=visits.variants[failing] if n % 40 == 0 else None)
    visits.commit()
    look = look_at_experiment(experiment_id=experiment.pk)
    assert (look.action, look.reason) == (
        action, f"{who} failed in 2.5% of the recommendations, must be at most 1%",
    )  # fmt: skip
    challenger = experiment.treatments.get().model_version
    assert challenger.alias == ("challenger" if action == "halt" else "rejected")
    # What an older version writes, or has written, does not say who failed.
    rows = InterleavedUnit.objects.filter(experiment=experiment)
    rows.update(version_failed=None, control_failed=0)
    assert sum(rows.values_list("failed", flat=True)) == 3
    assert read_interleaved(experiment, builders.now()).failed == {}
    old = look.inputs | {"interleaved": look.inputs["interleaved"] | {"failed": 3}}
    recomputed = take_look(LookInput.from_json(old))
    assert (recomputed.action, recomputed.reason) == (
        "halt", "a version failed in 2.5% of the recommendations, must be at most 1%",
    )  # fmt: skip


def test_it_ends_without_a_preference_when_its_time_is_over(shop, experiment):
    visits = Visits(shop, experiment)
    for n in range(8):
        visits.serve(f"u{n}", likes=THEIRS if n % 2 else OURS)
    visits.commit()
    assert look_at_experiment(experiment_id=experiment.pk).action == "keep_running"
    experiment.refresh_from_db()
    experiment.ends_at = builders.now()
    experiment.save()
    look = look_at_experiment(experiment_id=experiment.pk)
    assert look.action == "stop_inconclusive"
    assert look.reason.startswith("8 units passed without a verdict: no preference about 'treatment'")


def test_of_several_versions_the_worse_leaves_and_the_better_goes_on(shop):
    challengers = [
        builders.make_version(shop.surface, [n * k % 11 + 1 for n in range(10)]) for k in (3, 7)
    ]
    experiment = builders.interleave(shop, *challengers, **POLICY)
    visits = Visits(shop, experiment, rankings=(OURS, THEIRS, ("i4", "i5", "i6", "i7")))
    for n in range(150):
        visits.serve(f"u{n}", likes=("i9", "i8", "i0") if n % 4 else ("i9",))
    visits.commit()
    result = look_at_experiment(experiment_id=experiment.pk).parsed_result
    assert (result.action, result.variant) == ("prefer", "treatment")
    assert set(result.leaving) == {"treatment-2"}


def test_a_stored_look_is_recomputed_to_the_same_result(shop, experiment):
    visits = Visits(shop, experiment)
    for n in range(40):
        visits.serve(f"u{n}", likes=THEIRS if n % 2 else OURS)
    visits.commit()
    look = look_at_experiment(experiment_id=experiment.pk)
    look.refresh_from_db()
    assert take_look(LookInput.from_json(look.inputs)).as_json() == look.result
