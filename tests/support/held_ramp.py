"""A surface's autopilot over two weeks: one challenger shipped, one rolled back, one whose ramp is held."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.carry_out import Verdict, carry_out
from experiments.actions.start_experiment import start_experiment
from experiments.models import Experiment, Metric
from experiments.stats.effect import Effect
from tests.support import builders
from tests.support.builders import QUICK_POLICY, Shop

RAMP = [
    {"share": 0.01, "minimum_seconds": 3600},
    {"share": 0.1, "minimum_seconds": 86_400},
    {"share": 0.5, "minimum_seconds": 0},
]


def hold_a_ramp(shop: Shop) -> Experiment:
    """Return the running experiment whose guardrail `orders` holds it at 10 %."""
    now = timezone.now()
    builders.set_programme(shop, holdback_share=0)
    for days, action in ((14, "ship"), (8, "roll_back")):
        challenger = builders.make_version(shop.surface, [days] * 10, algorithm="als")
        test = start_experiment(experiment=shop.define(challenger, **QUICK_POLICY), by="a test")
        variant = "treatment" if action == "ship" else None
        carry_out(experiment=test, verdict=Verdict(action, "a test", variant=variant), by="a test")
        test.epochs.update(
            started_at=now - timedelta(days=days), ended_at=now - timedelta(days=days - 4)
        )
        shop.champion = shop.surface.versions.champions().get()
    Metric.objects.create(project=shop.project, key="orders", name="Orders", kind="mean", event="order")
    guardrails = [{"metric": "orders", "margin": 0.03}]
    builders.set_programme(shop, ramp=RAMP, guardrails=guardrails)
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    experiment = advance_challenger(surface=shop.surface)
    assert experiment is not None
    first = experiment.epochs.get()
    experiment.epochs.update(
        started_at=now - timedelta(days=3), ended_at=now - timedelta(days=2, hours=12)
    )
    experiment.epochs.create(
        number=2, allocation=0.2, weights=first.weights, started_at=now - timedelta(days=2, hours=12)
    )
    Experiment.objects.filter(pk=experiment.pk).update(
        allocation=0.2, started_at=now - timedelta(days=3)
    )
    for number in range(1, 13):
        _look(experiment, number, now - timedelta(days=3) + number * timedelta(hours=6))
    return Experiment.objects.get(pk=experiment.pk)


def _look(experiment: Experiment, number: int, at) -> None:
    """A look whose interval of orders becomes narrower around a loss of 3.5 %."""
    half = 0.2 / number + 0.015
    effect = Effect(1.0, 0.965, -0.035, half / 2, -2.0, 500 * number, 500 * number, 0.01, 0.01)
    comparison = {
        "metric": "orders", "variant": "treatment", "effect": effect.as_json(), "interval": None,
        "lift_interval": [-0.035 - half, -0.035 + half], "harmed": False, "safe": False,
    }  # fmt: skip
    ratio = {"p_value": 1.0, "expected": {}, "observed": {}, "leaks": {}, "healthy": True}
    experiment.looks.create(
        number=number, taken_at=at, batch=number, information=0.01 * number, inputs={},
        action="keep_running", reason="a test",
        result={
            "action": "keep_running", "reason": "a test", "information": 0.01 * number,
            "sample_ratio": ratio, "comparisons": [comparison],
        },
    )  # fmt: skip
