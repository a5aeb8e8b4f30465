"""Judgements and ratings of an experiment's answers, as arrays per variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from django.db import connection

from experiments.sql import is_excluded
from experiments.stats.ppi import RatedAnswers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from experiments.models import Experiment, JudgePlan

MAX_ANSWERS = 100_000  # the newest; a page reads them in about half a second

# A rating of an answer that the judge has not scored counts for people alone: hence FULL JOIN.
# Ordered by unit, whose order depends on no score: folds are made of it.
_ANSWERS = f"""
    SELECT variant_id, unit_id, score, score_probability, rating, rating_probability FROM (
        SELECT coalesce(judged.variant_id, sampled.variant_id) AS variant_id,
            coalesce(judged.unit_id, sampled.unit_id) AS unit_id,
            judged.score, judged.probability AS score_probability,
            sampled.score AS rating, sampled.probability AS rating_probability,
            coalesce(judged.generation_id, sampled.generation_id) AS generation_id
        FROM (SELECT * FROM experiments_judgement
            WHERE experiment_id = %(experiment)s AND judge_id = %(judge)s AND shadow_id IS NULL
                AND score IS NOT NULL) AS judged
        FULL JOIN (SELECT * FROM experiments_sampledanswer
            WHERE experiment_id = %(experiment)s AND state = 'rated') AS sampled
            ON sampled.generation_id = judged.generation_id
        ORDER BY generation_id DESC LIMIT {MAX_ANSWERS}
    ) AS answer WHERE NOT {is_excluded("answer")}
    ORDER BY md5(unit_id), generation_id"""


@dataclass(frozen=True, slots=True)
class PairedScores:
    """Answers that both judge and people have scored, of all variants.

    Attributes:
        unit: whose answer, as a number, shape (answers,).
        judge: the judge's score in [0, 1], shape (answers,); `people` likewise.
        people: the people's.
    """

    unit: NDArray[np.int64]
    judge: NDArray[np.float64]
    people: NDArray[np.float64]

    def points(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return both as the nearest points of a scale, in [0, count)."""
        first, second = (
            np.rint(one * (count - 1)).astype(np.int64) for one in (self.judge, self.people)
        )
        return first, second


@dataclass(frozen=True, slots=True)
class ExperimentAnswers:
    """What judge and people say of an experiment's answers.

    Attributes:
        by_variant: answers by the variant's primary key; variants without any are left out.
        paired: answers that both have scored.
    """

    by_variant: dict[int, RatedAnswers]
    paired: PairedScores


def read_rated_answers(experiment: Experiment, plan: JudgePlan) -> ExperimentAnswers:
    """Read the scores of the present judge, and the people's ratings, without excluded users."""
    with connection.cursor() as cursor:
        cursor.execute(
            _ANSWERS,
            {
                "experiment": experiment.pk,
                "project": experiment.project_id,
                "judge": plan.judge_id or 0,
            },
        )
        rows = cursor.fetchall()
    variants = np.array([row[0] for row in rows], dtype=np.int64)
    _, unit = np.unique(np.array([row[1] for row in rows], dtype=str), return_inverse=True)
    numbers = np.array([row[2:] for row in rows], dtype=np.float64).reshape(-1, 4)
    both = ~np.isnan(numbers[:, 0]) & ~np.isnan(numbers[:, 2])
    return ExperimentAnswers(
        {
            int(variant): _of_variant(unit[variants == variant], numbers[variants == variant])
            for variant in np.unique(variants)
        },
        PairedScores(unit[both], numbers[both, 0], numbers[both, 2]),
    )


def _of_variant(unit: NDArray[np.int64], numbers: NDArray[np.float64]) -> RatedAnswers:
    # In the order of the rows, which is that of a hash of the unit.
    _, first, numbered = np.unique(unit, return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return RatedAnswers(rank[numbered], numbers[:, 0], numbers[:, 1], numbers[:, 2], numbers[:, 3])
