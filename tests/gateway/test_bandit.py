"""A bandit's answers: users keep their variant, new ones get the shares of now, on any surface."""

from __future__ import annotations

from collections import Counter

from experiments.actions.change_shares import Change, open_epoch
from experiments.actions.drop_treatment import Harm, drop_treatment
from experiments.models import Experiment, Exposure
from tests.support import builders
from tests.support.fast_lane import evaluate_flag


def reweight(lane, experiment, control):
    """Give new users other shares, as the platform does."""
    weights = {"control": control, "treatment": 1 - control}
    open_epoch(Experiment.objects.get(pk=experiment.pk), Change(weights=weights), by="platform")
    lane.refresh()


def flags(lane, shop, units):
    """Return the variants that users get, and report that they met them."""
    variants = {unit: evaluate_flag(lane, shop, unit=unit).json()["variant"] for unit in units}
    viewed = [
        {
            "type": "track",
            "event": "Experiment Viewed",
            "messageId": f"{unit}-{variant}",
            "userId": unit,
            "properties": {"experiment_id": "button", "variation_id": variant},
        }
        for unit, variant in variants.items()
    ]
    assert lane.post("/v1/batch", {"batch": viewed}, shop.public).status_code < 300
    return variants


def test_users_of_a_flag_keep_their_variant_and_newcomers_get_the_new_shares(lane, shop, page):
    experiment = builders.experiment(shop, page, mode="bandit")
    lane.refresh()
    first = flags(lane, shop, [f"u{n}" for n in range(60)])
    assert set(first.values()) == {"control", "treatment"}
    reweight(lane, experiment, control=0.1)
    assert flags(lane, shop, first) == first
    after = Counter(flags(lane, shop, [f"new{n}" for n in range(60)]).values())
    assert after["treatment"] > 40
    rows = Exposure.objects.filter(experiment=experiment)
    assert Counter(rows.values_list("epoch", flat=True)) == {1: 60, 2: 60}
    assert rows.count() == 120  # nobody is in two variants


def test_users_of_what_left_get_the_control_and_the_others_stay(lane, shop, page):
    experiment = builders.experiment(shop, page, mode="bandit")
    lane.refresh()
    first = flags(lane, shop, [f"u{n}" for n in range(40)])
    reweight(lane, experiment, control=0.9)
    drop_treatment(experiment=experiment, harm=Harm("treatment", "a test"), by="a test")
    lane.refresh()
    assert set(flags(lane, shop, first).values()) == {"control"}


def test_lists_are_served_by_the_variant_that_a_user_keeps(lane, shop):
    experiment = builders.experiment(shop, shop.surface, mode="bandit")
    lane.refresh()

    def ask(unit):
        return lane.post(
            "/v1/recommend", {"surface": "home-feed", "unit_id": unit}, shop.public
        ).json()["variant"]

    first = {f"u{n}": ask(f"u{n}") for n in range(30)}
    reweight(lane, experiment, control=0.1)
    assert {unit: ask(unit) for unit in first} == first
    assert Counter(ask(f"new{n}") for n in range(30))["treatment"] > 20


def test_labels_are_given_by_the_variant_that_a_user_keeps(lane, shop):
    shop.surface.kind = "classify"
    shop.surface.save()
    experiment = builders.experiment(shop, shop.surface, mode="bandit")
    lane.refresh()

    def ask(unit):
        body = {"surface": "home-feed", "unit_id": unit, "text": "rain"}
        return lane.post("/v1/classify", body, shop.public).json()["variant"]

    first = {f"u{n}": ask(f"u{n}") for n in range(20)}
    reweight(lane, experiment, control=0.1)
    assert {unit: ask(unit) for unit in first} == first
    assert Counter(ask(f"new{n}") for n in range(30))["treatment"] > 20
