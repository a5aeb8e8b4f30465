"""Make what tests need: plain functions, real rows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from uuid_utils import uuid7

from bakeoff.accounts.keys import PUBLIC, SECRET
from bakeoff.accounts.models import ApiKey, Project
from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.change_programme import change_programme
from experiments.actions.define_experiment import define_experiment
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.actions.propose import ProposalDraft, propose
from experiments.actions.start_experiment import start_experiment
from experiments.ingest.rows import EventRow, ExposureRow, FeedbackRow, Rows, SlateRow
from experiments.ingest.statement import Payload, statement_for
from experiments.models import Experiment, Metric, Programme, Proposal, Variant
from inference.actions.load_items import ItemDraft, load_items
from inference.models import ModelVersion, Surface
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving.artifact import save_artifact
from inference.training.data import TrainingData

_numbers = itertools.count(1)

# A rule under which a few hundred visits of a moment ago decide.
QUICK_POLICY = {
    "planned_units": 400,
    "minimum_nonzero": 10,
    "minimum_run_seconds": 0.0,
    "window_seconds": 60.0,
    "twyman_limit": 0.0,
}


def make_root() -> User:
    """A superuser, by a name that no other test's has."""
    return User.objects.create_superuser(f"root-{uuid7()}")


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
    surface: Surface, likes: list[int], *, algorithm="popularity", alias="challenger", **fields
):
    number = surface.versions.filter(algorithm=algorithm).count() + 1
    items = list(surface.project.items.order_by("id").values_list("item_id", flat=True))
    return ModelVersion.objects.create(
        surface=surface,
        algorithm=algorithm,
        number=number,
        alias=alias,
        artifact_sha256=make_popularity(items, likes, version=f"{algorithm}@{number}"),
        gate={"passed": alias != "rejected", "rows": {}},
        **fields,
    )


def make_learnt_version(surface: Surface, liked: list[list[int]], *, algorithm="item-knn", **fields):
    """Fit an algorithm on which of the project's items each unit liked, by their place."""
    items = list(surface.project.items.order_by("id").values_list("item_id", flat=True))
    data = TrainingData(items, None, [np.array(one, dtype=np.int64) for one in liked])
    draft = RECOMMENDERS[algorithm].fit(data, FitOptions(params=fields.pop("params", {})))
    return ModelVersion.objects.create(
        surface=surface,
        algorithm=algorithm,
        number=surface.versions.filter(algorithm=algorithm).count() + 1,
        alias=fields.pop("alias", "challenger"),
        artifact_sha256=save_artifact(settings.BAKEOFF.artifacts, draft),
        gate={"passed": True, "rows": {}},
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

    def run_experiment(self, *, treatments: int = 1, **policy) -> Experiment:
        """Start an experiment of the champion against versions with the opposite taste."""
        likes = list(range(1, len(self.items) + 1))
        challengers = [make_version(self.surface, likes) for _ in range(treatments)]
        return start_experiment(
            experiment=self.define(*challengers, **policy), by="a test", approvals=("ann", "ben")
        )

    def define(self, *challengers: ModelVersion, **policy) -> Experiment:
        """Define an experiment of equal shares: control, treatment, treatment-2 and so on."""
        share = 1 / (1 + len(challengers))
        return define_experiment(
            ExperimentDraft(
                surface=self.surface,
                key=f"trial-{next(_numbers)}",
                variants=[
                    VariantDraft("control", self.champion, share, is_control=True),
                    *(
                        VariantDraft(f"treatment-{n}" if n > 1 else "treatment", version, share)
                        for n, version in enumerate(challengers, start=1)
                    ),
                ],
                metrics=[ExperimentMetricDraft(self.metric)],
                policy=policy,
            )
        )


def interleave(shop: Shop, *challengers: ModelVersion, **policy) -> Experiment:
    """Start an experiment that interleaves the champion's lists with those of challengers."""
    versions = challengers or (make_version(shop.surface, list(range(1, len(shop.items) + 1))),)
    weight = 1 / (1 + len(versions))
    treatments = ["treatment", *(f"treatment-{n}" for n in range(2, len(versions) + 1))]
    draft = ExperimentDraft(
        surface=shop.surface,
        key=f"trial-{next(_numbers)}",
        mode="interleave",
        variants=[
            VariantDraft("control", shop.champion, weight, is_control=True),
            *(VariantDraft(key, one, weight) for key, one in zip(treatments, versions, strict=True)),
        ],
        metrics=[ExperimentMetricDraft(shop.metric)],
        policy=policy,
    )
    return start_experiment(experiment=define_experiment(draft), by="a test", approvals=("ann", "ben"))


def make_shop(items: int = 10) -> Shop:
    project = make_project()
    ids = [f"i{n}" for n in range(items)]
    load_items(project_id=project.pk, items=[ItemDraft(i, f"Item {i}", "heat rain") for i in ids])
    surface = Surface.objects.create(project=project, key="home-feed", static_list=ids[-3:])
    champion = make_version(surface, list(range(items, 0, -1)), alias="champion")
    metric = Metric.objects.create(project=project, key="clicks", kind="mean", event="click")
    _, public = ApiKey.make(project, PUBLIC, name="public")
    _, secret = ApiKey.make(project, SECRET, name="secret")
    return Shop(project, surface, champion, metric, public, secret, ids)


def set_programme(shop: Shop, **changes) -> Programme:
    """Let the shop's surface start experiments on clicks, at half of the traffic and without a pause."""
    at_once = {
        "primary_metric": shop.metric.key,
        "ramp": [{"share": 0.5, "minimum_seconds": 0}],
        "cooldown_days": 0,
    }
    return change_programme(surface=shop.surface, changes=at_once | changes, by="a test")


def start_ramp(shop: Shop) -> Experiment:
    """Let the platform start the experiment of a challenger at 5 %."""
    steps = [{"share": 0.05, "minimum_seconds": 60}, {"share": 0.5, "minimum_seconds": 0}]
    set_programme(shop, ramp=steps)
    make_version(shop.surface, [1] * len(shop.items), algorithm="ease")
    started = advance_challenger(surface=shop.surface)
    assert started is not None
    return started


def propose_treatment(experiment: Experiment) -> Proposal:
    """Propose to ship the treatment of a running experiment, as a look does."""
    return propose(
        ProposalDraft(
            surface=experiment.surface,
            kind="ship",
            reason="a test",
            experiment=experiment,
            version=experiment.variants.get(key="treatment").model_version,
            variant="treatment",
        )
    )


def now() -> datetime:
    return datetime.now(UTC)


def write(rows: Rows) -> None:
    """Commit rows as the gateway does."""
    payload = Payload.of(rows)
    with connection.cursor() as cursor:
        cursor.execute(statement_for(payload.kinds), payload.parameters)


def make_slate(shop: Shop, unit: str, items: tuple[str, ...] = ("i0", "i1"), **fields) -> str:
    """Commit a slate of the shop's surface, served now; return its id."""
    row = slate(shop, unit, items, **fields)
    write(Rows(slates=[row]))
    return row.recommendation_id


def slate(shop: Shop, unit: str, items: tuple[str, ...] = ("i0", "i1"), **fields) -> SlateRow:
    """A slate of the shop's surface, served now."""
    row = {
        "recommendation_id": str(uuid7()),
        "project_id": shop.project.pk,
        "surface_id": shop.surface.pk,
        "unit_id": unit,
        "experiment_id": None,
        "variant_id": None,
        "model_version_id": shop.champion.pk,
        "reason": "DEFAULT",
        "fallback": None,
        "forced": False,
        "variant_weight": None,
        "slots": [(item, 0.5, n + 1, 0.25, False) for n, item in enumerate(items)],
        "candidate_count": len(items),
        "candidate_hash": "",
        "exploration": 0.0,
        "latency_ms": 1.0,
        "context": {},
        "served_at": now().isoformat(),
    }
    return SlateRow(**row | fields)


def feedback(shop: Shop, recommendation_id: str, **fields) -> FeedbackRow:
    row = {
        "project_id": shop.project.pk,
        "feedback_id": str(uuid7()),
        "recommendation_id": recommendation_id,
        "item_id": "",
        "unit_id": "u1",
        "kind": "thumb",
        "value": 1.0,
        "text": "",
        "tags": [],
        "redacted": [],
        "withdrawn": False,
        "trainable": True,
        "state": "ok",
        "received_at": now().isoformat(),
    }
    return FeedbackRow(**row | fields)


def event(
    project: Project, *, unit: str = "u1", name: str = "click", at: str = "", **fields
) -> EventRow:
    """A live event, of a moment ago unless `at` says when."""
    at = at or now().isoformat()
    row = {
        "project_id": project.pk,
        "event_id": str(uuid7()),
        "name": name,
        "unit_id": unit,
        "item_id": None,
        "recommendation_id": None,
        "value": None,
        "occurred_at": at,
        "received_at": at,
        "properties": {},
        "source": "live",
    }
    return EventRow(**row | fields)


def minutes_ago(minutes: float) -> str:
    return (now() - timedelta(minutes=minutes)).isoformat()


def exposure(variant: Variant, *, unit: str = "u1", at: str = "", **fields) -> ExposureRow:
    """An exposure to a variant, of five minutes ago unless `at` says when."""
    row = {
        "project_id": variant.experiment.project_id,
        "experiment_id": variant.experiment_id,
        "variant_id": variant.pk,
        "epoch": 1,
        "unit_id": unit,
        "unit_type": "unit",
        "exposed_at": at or minutes_ago(5),
    }
    return ExposureRow(**row | fields)


def visits(
    experiment: Experiment,
    clicks: dict[str, int],
    *,
    units: int | dict[str, range] = 200,
    unit_id: str = "{variant}-{n}",
    epoch: int = 1,
) -> None:
    """Commit visits of five minutes ago: unit n of a variant clicks clicks[variant] + n % 2 times."""
    at, rows = minutes_ago(5), Rows()
    ranges = units if isinstance(units, dict) else dict.fromkeys(clicks, range(units))
    for variant in experiment.variants.filter(key__in=ranges).select_related("experiment"):
        for n in ranges[variant.key]:
            unit = unit_id.format(variant=variant.key, n=n)
            rows.exposures.append(exposure(variant, unit=unit, at=at, epoch=epoch))
            for click in range(clicks[variant.key] + n % 2):
                name = f"{experiment.key}-{epoch}-{unit}-{click}"
                rows.events.append(
                    event(experiment.project, unit=unit, at=at, event_id=name, item_id="i1")
                )
    write(rows)


def draft(
    shop: Shop, surface: Surface, key: str = "button", *, values=("blue", "green"), weights=(0.5, 0.5),
    **fields,
) -> ExperimentDraft:  # fmt: skip
    """Draft an experiment of two: of values on a surface for flags, else of versions."""
    models = [None, None]
    if surface.kind != "flag":
        models = [shop.champion, make_version(surface, list(range(1, 11)))]
        values = (None, None)
    usual = {
        "variants": [
            VariantDraft("control", models[0], weights[0], is_control=True, value=values[0]),
            VariantDraft("treatment", models[1], weights[1], value=values[1]),
        ],
        "metrics": [ExperimentMetricDraft(shop.metric)],
    }
    return ExperimentDraft(surface=surface, key=key, **usual | fields)


def experiment(shop: Shop, surface: Surface, key: str = "button", **fields) -> Experiment:
    """Start an experiment as `draft` drafts it."""
    defined = define_experiment(draft(shop, surface, key, **fields))
    return start_experiment(experiment=defined, by="a test")
