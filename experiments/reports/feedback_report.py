"""What units said in an experiment, by variant: response rate, counts, means, and preferences."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection

from experiments.models import Feedback
from experiments.sql import counts_now
from experiments.stats.preference import wilson, win_rate

if TYPE_CHECKING:
    from experiments.models import Experiment

PROMPTS = ("prompt_shown", "prompt_dismissed", "prompt_answered")

# A prompt is counted once a slate, whatever was sent twice.
_PROMPTED = """
    SELECT slate.variant_id, event.name, count(DISTINCT event.recommendation_id)
    FROM experiments_event AS event
    CROSS JOIN LATERAL (SELECT variant_id FROM experiments_slate AS one
        WHERE one.recommendation_id = event.recommendation_id AND one.project_id = event.project_id
            AND one.experiment_id = %s AND NOT one.forced LIMIT 1) AS slate
    WHERE event.project_id = %s AND event.name = ANY(%s) AND event.occurred_at >= %s
    GROUP BY 1, 2"""
# Surveys have scales of their own, each with its mean in `compare_surveys`: one of all means nothing.
_COUNTS = f"""
    SELECT said.variant_id, said.kind, count(*), avg(said.value) FILTER (WHERE said.kind <> 'survey'),
        count(*) FILTER (WHERE said.value > 0), count(DISTINCT said.unit_id),
        count(*) FILTER (WHERE said.flags <> '{{}}')
    FROM experiments_feedback AS said
    JOIN experiments_variant AS variant ON variant.id = said.variant_id
    WHERE said.project_id = %(project)s AND variant.experiment_id = %(experiment)s
        AND {counts_now("said")}
    GROUP BY 1, 2"""

_PREFERRED = f"""
    SELECT said.unit_id, avg(said.value) FROM experiments_feedback AS said
    CROSS JOIN LATERAL (SELECT pair FROM experiments_slate AS one
        WHERE one.recommendation_id = said.recommendation_id AND one.project_id = said.project_id
        LIMIT 1) AS slate
    WHERE said.project_id = %(project)s AND said.kind = 'pairwise' AND said.value IS NOT NULL
        AND (slate.pair ->> 'experiment_id')::bigint = %(experiment)s AND {counts_now("said")}
    GROUP BY said.unit_id"""


def report_feedback(experiment: Experiment) -> dict[str, Any]:
    """Return the report as plain values; intervals are of 95 %."""
    variants = {variant.pk: variant.key for variant in experiment.variants.all()}
    prompted = _count_prompts(experiment)
    said = _summarise(experiment)
    preferences = _read_preferences(experiment)
    preferred = win_rate(list(preferences.values()))
    return {
        "experiment": experiment.key,
        "variants": {
            key: {
                "prompts": _response(prompted.get(pk, {})),
                "feedback": said.get(pk, {}),
            }
            for pk, key in variants.items()
        },
        "preference": {
            "units": preferred.units,
            "wins": preferred.wins,
            "losses": preferred.losses,
            "ties": preferred.ties,
            "treatment_win_rate": preferred.rate,
            "interval": list(preferred.interval),
            "p_value": preferred.p_value,
        },
    }


def _response(counts: dict[str, int]) -> dict[str, Any]:
    shown, dismissed, answered = (counts.get(name, 0) for name in PROMPTS)
    answered = min(answered, shown)
    return {
        "shown": shown,
        "dismissed": dismissed,
        "answered": answered,
        "response_rate": answered / shown if shown else None,
        "interval": list(wilson(answered / shown, shown)) if shown else [0.0, 1.0],
    }


def _count_prompts(experiment: Experiment) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    with connection.cursor() as cursor:
        # Nothing was asked before it existed; a day, since events bear their clients' times.
        since = experiment.created_at - timedelta(days=1)
        cursor.execute(_PROMPTED, [experiment.pk, experiment.project_id, list(PROMPTS), since])
        for variant, name, count in cursor.fetchall():
            found.setdefault(variant, {})[name] = count
    return found


def _summarise(experiment: Experiment) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, {"project": experiment.project_id, "experiment": experiment.pk})
        for variant, kind, count, mean, positive, units, flagged in cursor.fetchall():
            summary = {"count": count, "units": units, "flagged": flagged}
            if mean is not None:
                summary["mean"] = mean
            if kind == Feedback.Kind.THUMB:
                summary |= {"up": positive, "interval": list(wilson(positive / count, count))}
            found.setdefault(variant, {})[kind] = summary
    return found


def _read_preferences(experiment: Experiment) -> dict[str, float]:
    """Return each unit's mean answer, of those who saw both sides of this experiment."""
    with connection.cursor() as cursor:
        cursor.execute(_PREFERRED, {"project": experiment.project_id, "experiment": experiment.pk})
        return dict(cursor.fetchall())
