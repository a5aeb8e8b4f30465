"""Who uses a surface or a metric: what must end or change before nobody needs it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.models import Experiment, JudgePlan, Metric, Programme, judge_plan_of, programme_of
from experiments.programme.serving_metrics import serving_metrics_of
from inference.models import Surface, TrainingRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from experiments.models.experiment import ExperimentQuerySet
    from inference.models.catalogue import SurfaceQuerySet

MAX_NAMED = 5  # in a sentence


def uses_of_surface(surface: Surface, *, with_archived: bool = False) -> list[str]:
    """Return who uses a surface, each in words.

    The measurement of a holdout is left out: the platform makes one wherever it can, and ends it.

    Args:
        surface: whose users.
        with_archived: whether archived surfaces count that name it: restored, they want it back.
    """
    experiments = surface.experiments.exclude(purpose=Experiment.Purpose.HOLDOUT)
    runs = surface.training_runs.filter(state__in=TrainingRun.ACTIVE).order_by("pk")
    return [
        *_experiments(experiments),
        *(f"training run {run.pk} is {run.state}" for run in runs),
        *(f"proposal {one.pk} waits for approval" for one in surface.proposals.open_now()),
        *_naming(surface, with_archived=with_archived),
    ]


def uses_of_metric(metric: Metric, *, with_archived: bool = False) -> list[str]:
    """Return who uses a metric, each in words.

    Args:
        metric: whose users.
        with_archived: whether the autopilots of archived surfaces count.
    """
    surfaces = _surfaces(with_archived=with_archived).filter(project=metric.project_id)
    programmes = (
        Programme.objects.filter(surface__in=surfaces)
        .select_related("surface")
        .order_by("surface__key")
    )
    autopilots = [
        f"the autopilot of surface '{one.surface.key}' names it"
        for one in programmes
        if one.primary_metric_id == metric.pk
        or any(row.get("metric") == metric.key for row in one.guardrails)
    ]
    experiments = Experiment.objects.filter(metrics__metric=metric).distinct()
    return [*_experiments(experiments), *autopilots, *_serving(metric)]


def archived_needs(surface: Surface) -> list[str]:
    """Return the archived metrics and surfaces that a surface's settings name, each in words."""
    return [
        f"{kind} '{row.key}'"
        for kind, key, row in _needs(surface)
        if row is not None and row.archived_at is not None
    ]


def missing_needs(surface: Surface) -> list[str]:
    """Return the metrics and surfaces that a surface's settings name and nobody has, each in words."""
    return [f"{kind} '{key}'" for kind, key, row in _needs(surface) if row is None]


def _needs(surface: Surface) -> Iterator[tuple[str, str, Metric | Surface | None]]:
    """Yield what a surface's settings name: its kind, its key and its row, if there is one."""
    programme, judge = programme_of(surface), judge_plan_of(surface).judge
    primary = programme.primary_metric
    metrics = {row.get("metric") for row in programme.guardrails}
    metrics |= {primary.key} if primary is not None else set()
    surfaces = {surface.text_classifier, surface.theme_namer}
    surfaces |= {judge.surface.key} if judge is not None else set()
    named = (("metric", Metric.objects, metrics), ("surface", Surface.objects, surfaces))
    for kind, rows, keys in named:
        found = {row.key: row for row in rows.filter(project=surface.project_id, key__in=keys)}
        yield from ((kind, key, found.get(key)) for key in sorted(filter(None, keys)))


def listed(uses: Sequence[str]) -> str:
    """Return them as one part of a sentence, the first few by name."""
    more = len(uses) - MAX_NAMED
    return ", ".join([*uses[:MAX_NAMED], *([f"and {more} more"] if more > 0 else [])])


def _experiments(experiments: ExperimentQuerySet) -> list[str]:
    words = {Experiment.State.DRAFT.value: "a draft", Experiment.State.RUNNING.value: "running"}
    rows = experiments.exclude(state=Experiment.State.ENDED).order_by("key")
    return [f"experiment '{one.key}' is {words[one.state]}" for one in rows]


def _surfaces(*, with_archived: bool) -> SurfaceQuerySet:
    return Surface.objects.all() if with_archived else Surface.objects.unarchived()


def _naming(surface: Surface, *, with_archived: bool) -> Iterator[str]:
    """Yield the other surfaces of the project that name a surface, or a version of it."""
    others = _surfaces(with_archived=with_archived).filter(project=surface.project_id)
    others = others.exclude(pk=surface.pk)
    for field in ("text_classifier", "theme_namer"):
        for other in others.filter(**{field: surface.key}).order_by("key"):
            yield f"surface '{other.key}' names it as {field}"
    plans = JudgePlan.objects.filter(surface__in=others, judge__surface=surface)
    for plan in plans.select_related("surface", "judge").order_by("surface__key"):
        if plan.judge is not None:
            yield f"surface '{plan.surface.key}' is judged by its version {plan.judge.label}"


def _serving(metric: Metric) -> list[str]:
    """Say of a metric of serving that automatic experiments are guarded by it."""
    surfaces = Surface.objects.unarchived().filter(project=metric.project_id)
    kinds = surfaces.exclude(kind=Surface.Kind.FLAG).values_list("kind", flat=True).distinct()
    guards = any(
        one.margin is not None and one.event == metric.event and metric.key.startswith(one.key)
        for kind in kinds
        for one in serving_metrics_of(kind)
    )
    return ["it guards each automatic experiment of this project's surfaces"] if guards else []
