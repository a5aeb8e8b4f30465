"""Make what tests need: plain functions, real rows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from django.conf import settings
from uuid_utils import uuid7

from bakeoff.accounts.keys import PUBLIC, SECRET
from bakeoff.accounts.models import ApiKey, Project
from experiments.actions.define_experiment import (
    ExperimentDraft,
    RoleDraft,
    VariantDraft,
    define_experiment,
)
from experiments.actions.start_experiment import start_experiment
from experiments.models import Experiment, Metric
from inference.actions.load_items import ItemDraft, load_items
from inference.models import ModelVersion, Surface
from inference.recommenders import RECOMMENDERS, TrainingData
from inference.recommenders.protocol import FitOptions
from inference.serving.artifact import save_artifact

_numbers = itertools.count(1)


def make_project() -> Project:
    return Project.objects.create(
        slug=f"project-{next(_numbers)}-{str(uuid7())[-6:]}", name="A project"
    )


def make_popularity(item_ids: list[str], likes: list[int], **about) -> str:
    """Export a popularity artifact in which item i was liked likes[i] times; return its name."""
    liked = [np.repeat(np.arange(len(likes)), likes)]
    data = TrainingData(item_ids, None, liked)
    draft = RECOMMENDERS["popularity"].fit(data, FitOptions())
    draft.about.update(about)
    return save_artifact(settings.BAKEOFF.artifacts, draft)


def make_version(
    surface: Surface, likes: list[int], *, name="popularity", alias="challenger", **fields
):
    number = surface.versions.filter(name=name).count() + 1
    items = list(surface.project.items.order_by("id").values_list("item_id", flat=True))
    return ModelVersion.objects.create(
        surface=surface,
        name=name,
        number=number,
        alias=alias,
        artifact_sha256=make_popularity(items, likes, version=f"{name}@{number}"),
        gate={"passed": alias != "rejected", "rows": {}},
        **fields,
    )


@dataclass
class Shop:
    project: Project
    surface: Surface
    champion: ModelVersion
    metric: Metric
    public: str
    secret: str
    items: list[str]

    def run_experiment(self, **policy) -> Experiment:
        """Start an experiment of the champion against a version with the opposite taste."""
        challenger = make_version(self.surface, list(range(1, len(self.items) + 1)))
        return start_experiment(experiment=self.define(challenger, **policy), by="a test")

    def define(self, challenger: ModelVersion, **policy) -> Experiment:
        return define_experiment(
            ExperimentDraft(
                surface=self.surface,
                key=f"trial-{next(_numbers)}",
                variants=[
                    VariantDraft("control", self.champion, 0.5, is_control=True),
                    VariantDraft("treatment", challenger, 0.5),
                ],
                roles=[RoleDraft(self.metric)],
                policy=policy,
            )
        )


def make_shop(items: int = 10) -> Shop:
    project = make_project()
    ids = [f"i{n}" for n in range(items)]
    load_items(project_id=project.pk, items=[ItemDraft(i, f"Item {i}", "heat rain") for i in ids])
    surface = Surface.objects.create(project=project, key="home-feed", static_list=ids[-3:])
    champion = make_version(surface, list(range(items, 0, -1)), alias="champion")
    metric = Metric.objects.create(project=project, key="clicks", kind="mean", event_name="click")
    _, public = ApiKey.make(project, PUBLIC, name="public")
    _, secret = ApiKey.make(project, SECRET, name="secret")
    return Shop(project, surface, champion, metric, public, secret, ids)


def now() -> datetime:
    return datetime.now(UTC)
