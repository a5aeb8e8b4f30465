"""Send a version that passed its gate through shadow to its experiment, or to the empty throne."""

from __future__ import annotations

from django.db import transaction

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.define_experiment import (
    ExperimentDraft,
    ExperimentMetricDraft,
    VariantDraft,
    define_experiment,
)
from experiments.actions.promote_version import promote_version
from experiments.actions.shadow_version import shadow_version
from experiments.actions.short_names import short_name
from experiments.actions.start_experiment import start_experiment
from experiments.models import Experiment, Metric
from inference.actions.move_alias import move_alias
from inference.actions.summarise_shadow import summarise_shadow
from inference.cache import cache_client
from inference.models import ModelVersion, Surface
from inference.serving.changes import announce_change

# The columns' widths, which keys of surfaces and names of algorithms may pass together.
MAX_KEY, MAX_SALT = 100, 64
IN_SHADOW = "before its experiment"
MAX_ERROR_SHARE = 0.01  # share of its answers in shadow that a challenger may fail


def advance_challenger(*, surface: Surface) -> Experiment | None:
    """Advance the oldest challenger that waits; return its experiment if one was started."""
    if surface.shadow_first:
        _judge_shadow(surface)
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
    if surface.shadow_first > waiting.shadow_answers.count():
        shadow_version(version=waiting, by=PLATFORM, reason=IN_SHADOW)
        return None
    metric = Metric.objects.filter(project=surface.project_id).order_by("id").first()
    if (
        not surface.start_experiments
        or metric is None
        or Experiment.objects.running().tests().filter(surface=surface).exists()
    ):
        return None
    sides = (f"{version.algorithm}-{version.number}" for version in (waiting, champion))
    key = short_name(f"{surface.key}-{'-vs-'.join(sides)}", MAX_KEY)
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
            metrics=[ExperimentMetricDraft(metric=metric)],
            policy=surface.policy,
            salt=short_name(f"{surface.seed}:{key}", MAX_SALT) if surface.seed else "",
        )
    )
    return start_experiment(experiment=experiment, by=PLATFORM)


def _judge_shadow(surface: Surface) -> None:
    """Take challengers out of shadow that have answered enough: on to the experiment, or rejected."""
    shadows = surface.versions.filter(
        alias=ModelVersion.Alias.SHADOW, moves__reason=IN_SHADOW
    ).distinct()
    for version in shadows:
        comparison = summarise_shadow(version)
        if comparison.answers < surface.shadow_first:
            continue
        fails = comparison.errors > MAX_ERROR_SHARE * comparison.answers
        # The alias and the record of its move stand or fall together.
        with transaction.atomic():
            move_alias(
                version=version,
                to=ModelVersion.Alias.REJECTED if fails else ModelVersion.Alias.CHALLENGER,
                by=PLATFORM,
                reason=f"in shadow: {comparison}"
                + (f"; errors must be at most {MAX_ERROR_SHARE:.0%} of the answers" if fails else ""),
            )
        announce_change(cache_client())
