"""The shop that a stage serves; imported once Django is set up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from django.conf import settings

from bakeoff.accounts.models import ApiKey, Project
from experiments.actions.define_experiment import define_experiment
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.actions.start_experiment import start_experiment
from experiments.models import Metric
from inference.actions.load_items import ItemDraft, load_items
from inference.cache import cache_client
from inference.models import ModelVersion, Surface
from inference.serving.artifact import save_artifact
from inference.serving.ranker import Ranker
from inference.serving.refresh import History, refresh_units
from inference.serving.scorers import draft_vectors

ITEMS, CANDIDATES, WIDTH = 5_000, 200, 64


def fill_shop(units: int) -> tuple[str, int]:
    """Make a catalogue, surfaces with models, experiments, and users with histories.

    Returns:
        A public key, and the project's id.
    """
    project = Project.objects.create(slug="bench", name="Bench")
    _, public = ApiKey.make(project, "pk", name="bench")
    ids = [f"item-{n}" for n in range(ITEMS)]
    load_items(project_id=project.pk, items=(ItemDraft(i, f"Title of {i}") for i in ids))
    rng = np.random.default_rng(0)
    histories = {
        f"user-{n}": History([ids[i] for i in rng.integers(ITEMS, size=20)], []) for n in range(units)
    }
    for key in ("home-feed", "plain", "shared"):
        surface = Surface.objects.create(project=project, key=key, candidates=CANDIDATES)
        versions = [
            make_version(surface, ids, rng, alias=alias) for alias in ("champion", "challenger")
        ]
        rankers = {v.pk: Ranker(settings.BAKEOFF.artifacts, v.artifact_sha256) for v in versions}
        refresh_units(
            cache_client(),
            surface.pk,
            rankers,
            histories,
            project_id=surface.project_id,
            candidates=CANDIDATES,
        )
        if key != "plain":
            _start_experiment(surface, versions, mode="interleave" if key == "shared" else "split")
    return public, project.pk


def make_version(
    surface: Surface, ids: list[str], rng: np.random.Generator, *, alias: str
) -> ModelVersion:
    """Make a version shaped like two-tower: random vectors."""
    number = {"champion": 1, "challenger": 2}[alias]
    vectors = rng.normal(size=(ITEMS, WIDTH)).astype(np.float32)
    draft = draft_vectors(
        item_ids=ids,
        item_vectors=vectors,
        context_vectors=vectors,
        bias=np.zeros(ITEMS, np.float32),
        default_order=np.arange(1000, dtype=np.int32),
        about={"algorithm": "bench", "number": number},
    )
    return ModelVersion.objects.create(
        surface=surface,
        algorithm="bench",
        number=number,
        alias=alias,
        artifact_sha256=save_artifact(settings.BAKEOFF.artifacts, draft),
        gate={"passed": True},
    )


def _start_experiment(surface: Surface, versions: Sequence[ModelVersion], *, mode: str) -> None:
    metric, _ = Metric.objects.get_or_create(
        project=surface.project, key="clicks", defaults={"kind": "mean", "event": "click"}
    )
    variants = [
        VariantDraft("control", versions[0], 0.5, is_control=True),
        VariantDraft("treatment", versions[1], 0.5),
    ]
    key = "bench" if mode == "split" else f"bench-{mode}"
    draft = ExperimentDraft(surface, key, variants, [ExperimentMetricDraft(metric)], mode=mode)
    start_experiment(experiment=define_experiment(draft), by="bench")
