"""Whether what an experiment needs arrives: what its first day checks, and a primary without events."""

from __future__ import annotations

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Experiment
from experiments.reports.experiment_report import report_on
from experiments.reports.verdict_tiles import tiles_of
from tests.support import builders
from tests.support.builders import QUICK_POLICY, visits
from tests.support.dashboard import report_path, sign_in


def report_after_look(experiment):
    look_at_experiment(experiment_id=experiment.pk)
    return report_on(Experiment.objects.get(pk=experiment.pk))


def test_complete_users_without_any_outcome_are_no_sign_of_health(shop):
    experiment = shop.run_experiment(**QUICK_POLICY | {"planned_units": 10_000})
    silent = range(0, 298, 2)
    visits(
        experiment,
        {"control": 0, "treatment": 0},
        units=dict.fromkeys(("control", "treatment"), silent),
    )
    report = report_after_look(experiment)
    assert (report.verdict.units, report.missing_outcome) == (298, None)  # too few users to say so
    visits(experiment, {"control": 0}, units={"control": range(300, 304, 2)})
    shown = sign_in(shop.project).get(report_path(experiment, "report.json"))
    assert shown.json()["missing_outcome"] is None  # not analysed yet
    health = tiles_of(report_after_look(experiment)).health
    assert (health.headline, health.tone) == ("No clicks recorded yet", "wait")
    shown = sign_in(shop.project).get(report_path(experiment, "report.json"))
    assert shown.json()["missing_outcome"] == {"metric": "clicks", "event": "click", "users": 300}
    visits(experiment, {"treatment": 1}, units={"treatment": range(400, 401)})
    assert report_after_look(experiment).missing_outcome is None


def test_failed_answers_and_fallbacks_are_checked(shop):
    experiment = shop.run_experiment(**QUICK_POLICY | {"window_seconds": 86_400.0})
    for variant in experiment.variants.all():
        for n in range(10):
            fallback = "timeout" if variant.key == "treatment" and n < 6 else None
            builders.make_slate(
                shop, f"u{n}", experiment_id=experiment.pk, variant_id=variant.pk, fallback=fallback
            )
    visits(experiment, {"control": 1, "treatment": 1}, units=5)
    checks = {check.name: check for check in tiles_of(report_after_look(experiment)).checks}
    assert (checks["Failed answers"].counted, checks["Failed answers"].is_fine) == (
        "6 of 20 answers",
        False,
    )
    fallbacks = checks["Fallback lists"]
    assert (fallbacks.counted, fallbacks.is_fine) == ("Control 0%, Treatment 60%", False)
    assert checks["Events match users"].counted == "10 of 10 users with clicks"
