"""Send a version that passed its gate to its experiment, or to the throne that nobody holds."""

from __future__ import annotations

from experiments.actions.define_experiment import (
    ExperimentDraft,
    RoleDraft,
    VariantDraft,
    define_experiment,
)
from experiments.actions.look_at_experiment import PLATFORM
from experiments.actions.promote_version import promote_version
from experiments.actions.start_experiment import start_experiment
from experiments.models import Experiment, Metric
from inference.models import ModelVersion, Surface


def advance_challenger(*, surface: Surface) -> Experiment | None:
    """Advance the oldest challenger that waits; return its experiment if one was started."""
    waiting = (
        surface.versions.filter(alias=ModelVersion.Alias.CHALLENGER, variant__isnull=True)
        .order_by("id")
        .first()
    )
    if waiting is None:
        return None
    champion = surface.versions.champions().first()
    if champion is None:
        promote_version(
            version=waiting, by=PLATFORM, reason="first version of a surface without a champion"
        )
        return None
    metric = Metric.objects.filter(project=surface.project_id).order_by("id").first()
    if (
        not surface.start_experiments
        or metric is None
        or Experiment.objects.running().filter(surface=surface).exists()
    ):
        return None
    key = f"{surface.key}-{waiting.name}-{waiting.number}-vs-{champion.name}-{champion.number}"
    experiment = define_experiment(
        ExperimentDraft(
            surface=surface,
            key=key,
            hypothesis=f"{waiting.label} brings more {metric} than {champion.label}.",
            owner=PLATFORM,
            variants=[
                VariantDraft(key="control", version=champion, weight=0.5, is_control=True),
                VariantDraft(key="treatment", version=waiting, weight=0.5),
            ],
            roles=[RoleDraft(metric=metric)],
            policy=surface.policy,
            salt=f"{surface.seed}:{key}" if surface.seed else "",
        )
    )
    return start_experiment(experiment=experiment, by=PLATFORM)
