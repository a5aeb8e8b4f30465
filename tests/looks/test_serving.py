"""How variants were served: what is a failure, and what is only a newcomer."""

from __future__ import annotations

from datetime import timedelta

from experiments.looks.serving_quality import serving_of
from experiments.models import Experiment, Slate
from experiments.models.served_variant import ServedVariant
from experiments.reports.experiment_report import report_on
from tests.support import builders


def test_a_newcomer_is_no_fallback_and_nobody_is_expected_in_nothing(lane, shop):
    experiment = shop.run_experiment()
    lane.refresh()
    report = report_on(Experiment.objects.get(pk=experiment.pk))
    assert [row.expected_share for row in report.variants] == [0.5, 0.5]
    for n in range(12):
        body = {"surface": "home-feed", "unit_id": f"new-{n}"}
        assert lane.post("/v1/recommend", body, shop.public).json()["fallback"] == "default_list"
    failed = Slate.objects.filter(experiment=experiment).order_by("recommendation_id").first()
    Slate.objects.filter(pk=failed.pk).update(fallback="timeout")
    served = serving_of(experiment, since=builders.now() - timedelta(minutes=5), now=builders.now())
    variants = {variant.pk: variant.key for variant in experiment.variants.all()}
    (hit,) = [row for row in served if row.variant == variants[failed.variant_id]]
    (other,) = [row for row in served if row is not hit]
    assert hit.fallback == hit.errors == 1 / hit.slates
    assert hit.cold == (hit.slates - 1) / hit.slates
    assert (other.fallback, other.errors, other.cold) == (0, 0, 1)
    assert ServedVariant.from_json(hit.variant, hit.as_json()) == hit
