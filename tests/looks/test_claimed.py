"""What public keys claim ends no experiment: a split that only claims bend withholds the verdict."""

from __future__ import annotations

from experiments.actions.exclude_units import exclude_units
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.ingest.rows import Rows
from experiments.models import ExposureTotal
from tests.support import builders
from tests.support.builders import QUICK_POLICY


def expose(experiment, counts, source):
    variants = {variant.key: variant for variant in experiment.variants.select_related("experiment")}
    rows = [
        builders.exposure(variants[key], unit=f"{source}-{key}-{n}", source=source)
        for key, count in counts.items()
        for n in range(count)
    ]
    builders.write(Rows(exposures=rows))


def test_forged_claims_withhold_the_verdict_and_the_experiment_runs_on(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    expose(experiment, {"control": 100, "treatment": 100}, "served")
    expose(experiment, {"treatment": 200}, "public")
    look = look_at_experiment(experiment_id=experiment.pk)
    assert look.action == "keep_running"
    assert "only among exposures that public keys claim" in look.result["reason"]
    experiment.refresh_from_db()
    assert experiment.state == "running"


def test_a_split_that_the_platform_served_wrong_still_halts(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    expose(experiment, {"control": 100, "treatment": 250}, "served")
    expose(experiment, {"control": 50, "treatment": 50}, "public")
    assert look_at_experiment(experiment_id=experiment.pk).action == "halt"


def test_claims_of_clients_that_split_as_asked_are_in_order(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    expose(experiment, {"control": 100, "treatment": 104}, "public")
    look = look_at_experiment(experiment_id=experiment.pk)
    assert "sample ratio" not in look.result["reason"]


def test_a_claimed_unit_that_is_left_out_leaves_the_claims_too(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    expose(experiment, {"control": 3, "treatment": 2}, "public")
    look_at_experiment(experiment_id=experiment.pk)
    exclude_units(project_id=shop.project.pk, unit_ids=["public-control-0"], by="a test")
    expose(experiment, {"control": 1}, "served")
    look_at_experiment(experiment_id=experiment.pk)
    totals = ExposureTotal.objects.filter(experiment=experiment, segment="")
    rows = {total.variant.key: (total.units, total.claimed) for total in totals}
    assert rows == {"control": (3, 2), "treatment": (2, 2)}
