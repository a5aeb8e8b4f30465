"""What public keys claim ends no experiment: a split that only claims bend withholds the verdict."""

from __future__ import annotations

from datetime import timedelta

from experiments.actions.exclude_units import exclude_units
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.ingest.rows import ExposureRow, Rows
from experiments.models import ExposureTotal
from tests.support import builders
from tests.support.builders import QUICK_POLICY


def expose(shop, experiment, counts, source):
    at = (builders.now() - timedelta(minutes=5)).isoformat()
    variants = {variant.key: variant.pk for variant in experiment.variants.all()}
    rows = [
        ExposureRow(
            shop.project.pk, experiment.pk, variants[key], 1, f"{source}-{key}-{n}", "unit", at, source
        )
        for key, count in counts.items()
        for n in range(count)
    ]
    builders.write(Rows(exposures=rows))


def test_forged_claims_withhold_the_verdict_and_the_experiment_runs_on(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    expose(shop, experiment, {"control": 100, "treatment": 100}, "served")
    expose(shop, experiment, {"treatment": 200}, "public")
    look = look_at_experiment(experiment_id=experiment.pk)
    assert look.action == "keep_running"
    assert "only among exposures that public keys claim" in look.result["reason"]
    experiment.refresh_from_db()
    assert experiment.state == "running"


def test_a_split_that_the_platform_served_wrong_still_halts(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    expose(shop, experiment, {"control": 100, "treatment": 250}, "served")
    expose(shop, experiment, {"control": 50, "treatment": 50}, "public")
    assert look_at_experiment(experiment_id=experiment.pk).action == "halt"


def test_claims_of_clients_that_split_as_asked_are_in_order(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    expose(shop, experiment, {"control": 100, "treatment": 104}, "public")
    look = look_at_experiment(experiment_id=experiment.pk)
    assert "sample ratio" not in look.result["reason"]


def test_a_claimed_unit_that_is_left_out_leaves_the_claims_too(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    expose(shop, experiment, {"control": 3, "treatment": 2}, "public")
    look_at_experiment(experiment_id=experiment.pk)
    exclude_units(project_id=shop.project.pk, unit_ids=["public-control-0"], by="a test")
    expose(shop, experiment, {"control": 1}, "served")
    look_at_experiment(experiment_id=experiment.pk)
    totals = ExposureTotal.objects.filter(experiment=experiment, segment="")
    rows = {total.variant.key: (total.units, total.claimed) for total in totals}
    assert rows == {"control": (3, 2), "treatment": (2, 2)}
