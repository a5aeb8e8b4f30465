"""Draw answers of running experiments for people to rate: a random sample of stored probability.

An answer is drawn where its random number is below the share, and people rate the smallest numbers
first: what they have finished by any time is a random sample too. Where more wait than people rate, the
largest numbers go, which is the same as a smaller share for all of them.

Left out: forced answers, excluded users, and answers whose text is not stored. An answer that reaches
the database more than an hour late, after an outage, is not drawn.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.utils import timezone

from experiments.models import Experiment, JudgePlan, SampledAnswer
from experiments.sql import answer_draw, has_answer, is_excluded, min_uuid7

if TYPE_CHECKING:
    from django.db.models import QuerySet

RECENT = timedelta(hours=1)
MAX_OPEN = 500  # of an experiment: two people rate that in a day
_DRAW = f"""
    INSERT INTO experiments_sampledanswer (generation_id, project_id, experiment_id, variant_id,
        unit_id, draw, probability, points, state, created_at)
    SELECT slate.recommendation_id, slate.project_id, slate.experiment_id, slate.variant_id,
        slate.unit_id, {answer_draw("slate.recommendation_id")}, %(share)s, %(points)s, 'open', now()
    FROM experiments_slate AS slate
    WHERE slate.surface_id = %(surface)s AND slate.recommendation_id >= %(since)s
        AND slate.experiment_id = %(experiment)s AND slate.variant_id IS NOT NULL AND NOT slate.forced
        AND {answer_draw("slate.recommendation_id")} < %(share)s
        AND {has_answer("slate")} AND NOT {is_excluded("slate")}
    ON CONFLICT (generation_id) DO NOTHING"""


def experiments_to_sample() -> QuerySet[Experiment]:
    """Return the running experiments whose answers people rate."""
    plans = JudgePlan.objects.filter(label_share__gt=0)
    return Experiment.objects.running().filter(surface__in=plans.values("surface"))


def sample_answers(*, experiment: Experiment) -> int:
    """Draw from the answers of the last hour; return how many are new.

    It may be done again at once: an answer is drawn once.
    """
    plan = JudgePlan.objects.get(surface=experiment.surface_id)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            _DRAW,
            {
                "surface": experiment.surface_id,
                "experiment": experiment.pk,
                "project": experiment.project_id,
                "since": min_uuid7(timezone.now() - RECENT),
                "share": plan.label_share,
                "points": plan.points,
            },
        )
        count = int(cursor.rowcount)
        waiting = SampledAnswer.objects.filter(experiment=experiment, state=SampledAnswer.State.OPEN)
        surplus = waiting.order_by("draw").values("pk")[MAX_OPEN:]
        SampledAnswer.objects.filter(pk__in=surplus).delete()
    return count
