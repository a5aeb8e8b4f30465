"""Draft the interleaved experiment that screens waiting challengers before one of them is tested."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.draft_test import MAX_KEY, MAX_SALT
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.actions.short_names import short_name
from experiments.metrics.spec import MetricSpec
from experiments.models import Experiment
from experiments.stats.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Metric, Programme
    from inference.models import ModelVersion

SCREENING = timedelta(days=2)
# Of the surface's policy what the bets of interleaving read; the rest is of tests that split users.
_POLICY = ("alpha", "planned_units", "overrun", "window_seconds", "look_every_seconds")


def draft_screening(
    programme: Programme,
    *,
    challengers: Sequence[ModelVersion],
    champion: ModelVersion,
    primary: Metric,
) -> ExperimentDraft:
    """Return the experiment in which challengers share lists with the champion for two days.

    It may reject them; what users prefer goes on to its test, and nothing is promoted. Nothing of it is
    stored.

    Args:
        programme: of the surface.
        challengers: in the order of the queue, at least one.
        champion: the control.
        primary: whose event is credited.
    """
    surface = programme.surface
    names = "-".join(f"{version.algorithm}-{version.number}" for version in challengers)
    earlier = Experiment.objects.filter(
        surface=surface, mode=Experiment.Mode.INTERLEAVE, variants__model_version=challengers[0]
    ).count()
    # One that halted is done again, with the same versions.
    attempt = f"-try-{earlier + 1}" if earlier else ""
    key = short_name(f"{surface.key}-screen-{names}{attempt}", MAX_KEY)
    policy = {name: value for name, value in surface.policy.items() if name in _POLICY}
    policy |= {"minimum_run_seconds": 0.0}
    window = Policy.parse(policy).window_seconds
    counted = MetricSpec.of(primary, default_window_seconds=window).complete_after_seconds
    weight = 1 / (1 + len(challengers))
    return ExperimentDraft(
        surface=surface,
        key=key,
        name=f"{', '.join(version.label for version in challengers)} against {champion.label}",
        hypothesis=f"Users prefer a challenger's items to those of {champion.label}.",
        owner=PLATFORM,
        mode=Experiment.Mode.INTERLEAVE,
        variants=[
            VariantDraft(key="control", version=champion, weight=weight, is_control=True),
            *(
                VariantDraft(key=f"treatment-{n}" if n > 1 else "treatment", version=one, weight=weight)
                for n, one in enumerate(challengers, start=1)
            ),
        ],
        metrics=[ExperimentMetricDraft(metric=primary)],
        policy=policy,
        salt=short_name(f"{surface.seed}:{key}", MAX_SALT) if surface.seed else "",
        # Who comes on the last day has a whole window, too.
        ends_at=timezone.now() + SCREENING + timedelta(seconds=counted),
    )
