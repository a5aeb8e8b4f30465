"""Interleaved answers: what a visitor gets, what is stored, and what happens when a version fails."""

from __future__ import annotations

from collections import Counter

import numpy as np
from django.conf import settings

from experiments.actions.explain_assignment import assignments_of
from experiments.models import Exposure, Slate
from inference.cache import cache_client
from inference.models import ModelVersion
from inference.serving.keys import candidates_key
from tests.support import builders


def ask(lane, shop, unit="u1", path="/v1/recommend", **body):
    return lane.post(path, {"surface": "home-feed", "unit_id": unit, **body}, shop.public)


def stored(data) -> Slate:
    return Slate.objects.get(recommendation_id=data["recommendation_id"])


def test_a_slate_holds_items_of_both_and_says_whose(lane, shop):
    experiment = builders.interleave(shop)
    lane.refresh()
    firsts = Counter()
    for n in range(30):
        answer = ask(lane, shop, unit=f"u{n}", k=4)
        data = answer.json()
        items = [item["item_id"] for item in data["items"]]
        assert set(items) == {
            "i0",
            "i1",
            "i8",
            "i9",
        }  # the best two of either, whose tastes are opposite
        assert (data["experiment"], data["variant"]) == (experiment.key, None)
        assert data["model"] == "popularity@1 + popularity@2"
        firsts[items[0]] += 1
        slate = stored(data)
        control, treatment = experiment.variants.values_list("pk", flat=True)
        assert slate.draft["variants"] == [control, treatment]
        assert (slate.experiment, slate.variant, slate.model_version) == (experiment, None, None)
        for item, team, ranks in zip(items, slate.draft["teams"], slate.draft["ranks"], strict=True):
            assert team == (item in {"i8", "i9"})
            assert ranks[team] == {"i0": 1, "i1": 2, "i9": 1, "i8": 2}[item]
        assert [slot[3] for slot in slate.slots] == [0.5, 1.0, 0.5, 1.0]
        assert slate.exploration == 0
    assert set(firsts) == {"i0", "i9"}
    exposures = Exposure.objects.filter(experiment=experiment)
    assert exposures.count() == 30
    assert set(exposures.values_list("variant__key", flat=True)) == {"control"}


def test_each_version_has_its_own_candidates_and_one_set_of_rules(lane, shop):
    experiment = builders.interleave(shop)
    lane.refresh()
    challenger = experiment.variants.get(key="treatment").model_version
    cache_client().set(candidates_key(challenger.pk, "u1"), np.array([5, 4], dtype=np.int32).tobytes())
    data = ask(lane, shop, k=4, exclude=["i0"]).json()
    assert {item["item_id"] for item in data["items"]} == {"i1", "i2", "i5", "i4"}
    assert data["fallback"] == "default_list"  # of the control, which has nothing precomputed


def test_pins_hold_in_the_whole_slate_and_are_credited_to_nobody(lane, shop):
    builders.interleave(shop)
    lane.refresh()
    for n in range(6):
        data = ask(lane, shop, unit=f"u{n}", k=4, pin=[{"item_id": "i5", "position": 2}]).json()
        items = [item["item_id"] for item in data["items"]]
        assert items[1] == "i5"
        assert len(set(items)) == 4
        draft = stored(data).draft
        assert len(draft["teams"]) == len(draft["ranks"]) == 4


def test_of_four_versions_each_drafts(lane, shop):
    likes = [list(np.roll(range(1, 11), shift)) for shift in (2, 5, 8)]
    challengers = [builders.make_version(shop.surface, [int(n) for n in one]) for one in likes]
    builders.interleave(shop, *challengers)
    lane.refresh()
    draft = stored(ask(lane, shop, k=8).json()).draft
    assert len(draft["variants"]) == 4
    assert sorted(draft["teams"][:4]) == sorted(draft["teams"][4:]) == [0, 1, 2, 3]


def test_a_version_that_fails_leaves_the_list_to_the_control_and_is_named(lane, shop):
    # An artifact of its own: those that are equal share their files.
    challenger = builders.make_version(shop.surface, list(range(21, 31)))
    experiment = builders.interleave(shop, challenger)
    path = settings.BAKEOFF.artifacts / challenger.artifact_sha256 / "bias.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    lane.refresh()
    data = ask(lane, shop, k=3).json()
    assert [item["item_id"] for item in data["items"]] == ["i0", "i1", "i2"]
    assert data["fallback"] == "model_unavailable"
    treatment = experiment.variants.get(key="treatment")
    assert stored(data).draft["failed"] == {str(treatment.pk): "model_unavailable"}


def test_a_forced_variant_is_one_version_and_does_not_count(lane, shop):
    experiment = builders.interleave(shop)
    lane.refresh()
    body = {"surface": "home-feed", "unit_id": "qa", "k": 2}
    body |= {"overrides": {experiment.key: "treatment"}}
    data = lane.post("/v1/recommend", body, shop.secret).json()
    assert [item["item_id"] for item in data["items"]] == ["i9", "i8"]
    assert stored(data).draft is None
    assert not Exposure.objects.filter(experiment=experiment).exists()


def test_lists_of_another_kind_are_answered_by_the_champion_alone(lane, shop):
    builders.interleave(shop)
    lane.refresh()
    data = ask(lane, shop, path="/v1/similar", item_id="i3").json()
    assert (data["experiment"], data["model"]) == (None, "popularity@1")
    assert stored(data).draft is None


def test_who_does_not_take_part_gets_the_champion(lane, shop):
    experiment = builders.interleave(shop)
    experiment.epochs.update(allocation=1e-9)
    lane.refresh()
    data = ask(lane, shop, k=2).json()
    assert (data["experiment"], data["model"]) == (None, "popularity@1")


def test_a_named_choice_of_items_is_interleaved_too(lane, shop):
    builders.interleave(shop)
    lane.refresh()
    data = ask(lane, shop, candidates=["i3", "i5", "nobody-knows"], k=3).json()
    items = [item["item_id"] for item in data["items"]]
    assert set(items[:2]) == {"i3", "i5"}
    assert items[2] == "nobody-knows"


def test_the_loop_learns_nothing_of_a_version_from_a_shared_slate(lane, shop):
    builders.interleave(shop)
    lane.refresh()
    data = ask(lane, shop).json()
    assert stored(data).model_version_id is None
    assert ModelVersion.objects.filter(surface=shop.surface).count() == 2


def test_what_is_explained_is_what_is_served(lane, shop):
    experiment = builders.interleave(shop)
    lane.refresh()
    (row,) = assignments_of(shop.project.pk, "u1")
    assert (row.experiment, row.variant) == (experiment.key, "control + treatment")
    assert row.variant.count("+") == ask(lane, shop).json()["model"].count("+")
