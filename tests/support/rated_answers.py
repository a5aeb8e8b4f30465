"""Generated answers of a running experiment, with what a judge and people say of them."""

from __future__ import annotations

from uuid import UUID

import numpy as np

from experiments.actions.plan_judging import plan_judging
from experiments.ingest.rows import Rows
from experiments.models import AnswerRating, Experiment, Judgement, JudgePlan, SampledAnswer
from inference.models import ModelVersion, Surface
from tests.support import builders
from tests.support.builders import Shop

QUESTION, ANSWER = "Where is my parcel?", "It is on its way to you."


def make_judge(shop: Shop) -> ModelVersion:
    """A version of another surface of the project."""
    judges = Surface.objects.create(project=shop.project, key="judges")
    return builders.make_version(judges, list(range(1, 11)))


def plan(shop: Shop, **changes) -> JudgePlan:
    return plan_judging(surface=shop.surface, changes=changes, by="a test")


def generation(shop: Shop, experiment: Experiment, unit: str, *, treatment=False, **fields):
    """The row of a generated answer."""
    variant = experiment.variants.get(is_control=not treatment)
    known = {
        "slots": [],
        "experiment_id": experiment.pk,
        "variant_id": variant.pk,
        "model_version_id": variant.model_version_id,
        "context": {
            "messages": [{"role": "user", "content": QUESTION}],
            "answer": {"role": "assistant", "content": ANSWER},
        },
    }
    return builders.slate(shop, unit, **known | fields)


def generate(shop: Shop, experiment: Experiment, units: int) -> None:
    """Commit an answer for each of so many units, half of them in the treatment."""
    rows = [generation(shop, experiment, f"u{n}", treatment=bool(n % 2)) for n in range(units)]
    builders.write(Rows(slates=rows))


def judge_all(experiment: Experiment, judge: ModelVersion, *, bias: float = 0.0, seed: int = 1) -> None:
    """Store a judge's score of each sampled answer, and of answers that were not sampled as many again.

    People like both variants the same; the judge prefers the treatment by `bias`.
    """
    rng = np.random.default_rng(seed)
    judgements, ratings = [], []
    answers = list(SampledAnswer.objects.filter(experiment=experiment).select_related("variant"))
    for answer in answers:
        liking = rng.standard_normal()
        shared = {
            "project_id": answer.project_id, "surface_id": experiment.surface_id,
            "experiment": experiment, "variant": answer.variant, "judge": judge, "probability": 1.0,
        }  # fmt: skip
        for generation_id, unit, likes in (
            (answer.generation_id, answer.unit_id, liking),
            (UUID(int=rng.integers(2**62)), f"other-{answer.unit_id}", rng.standard_normal()),
        ):
            noise = 0.1 * rng.standard_normal() + bias * (not answer.variant.is_control)
            score = float(np.clip(0.5 + 0.15 * likes + noise, 0, 1))
            judgements.append(
                Judgement(generation_id=generation_id, unit_id=unit, score=score, **shared)
            )
        ratings += _rate(answer, liking, rng)
    Judgement.objects.bulk_create(judgements)
    AnswerRating.objects.bulk_create(ratings)
    SampledAnswer.objects.bulk_update(answers, ["state", "rated_at", "score"])


def _rate(answer: SampledAnswer, liking: float, rng: np.random.Generator) -> list[AnswerRating]:
    points = [
        int(np.clip(round(3 + liking + 0.3 * rng.standard_normal()), 1, answer.points))
        for _ in range(2)
    ]
    answer.state, answer.rated_at = SampledAnswer.State.RATED, builders.now()
    answer.score = (sum(points) / 2 - 1) / (answer.points - 1)
    return [
        AnswerRating(answer=answer, reviewer=name, point=point)
        for name, point in zip(("ann", "bob"), points, strict=True)
    ]
