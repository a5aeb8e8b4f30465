"""Let a surface's judge score answers of running experiments: off the request path, within a budget.

An answer is judged where its random number is below the judge's share; those below the people's share
are always among them. The smallest numbers come first, so where time or money do not suffice for all,
what is judged is still a random sample. An answer that reaches the database hours late is not judged.

Guarantees: a judge scores an answer once; what it may cost a day is checked before each answer; a
provider that does not answer leaves no row, and is asked again at the next tick. An answer of the judge
that cannot be read is asked for once more and then stored as a failure, which counts nowhere.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, Sum
from django.utils import timezone

from experiments.actions.rate_answer import read_messages
from experiments.actions.record_score import record_score
from experiments.metrics.spec import JUDGE_SCORE
from experiments.models import Experiment, Judgement, JudgePlan, Slate
from experiments.sql import answer_draw, has_answer, is_excluded, min_uuid7
from inference.actions.read_prompt import NoPromptError, read_prompt
from inference.day_spending import CHECKS, spending_today
from inference.judging.completion import NoCompletionError, ask_version
from inference.judging.questions import (
    JudgeAnswerError,
    conversation_text,
    cut_text,
    read_score,
    variables_for,
)
from inference.models import ModelVersion, Surface
from inference.serving.prompts import VariablesError
from inference.serving.templates import TemplateError

if TYPE_CHECKING:
    from typing import Any
    from uuid import UUID

    from django.db.models import QuerySet

    from inference.serving.prompts import Prompt

RECENT = timedelta(hours=6)
BATCH = 50
BATCH_SECONDS = 60.0  # a worker is let go then, for whatever else waits
MAX_SILENT = 3  # answers in a row to which no provider says anything: it is away
READS = 2  # times that an unreadable answer of the judge is asked for
_WAITING = f"""
    SELECT slate.recommendation_id, slate.unit_id, slate.experiment_id, slate.variant_id, slate.context,
        NULL::bigint
    FROM experiments_slate AS slate
    WHERE slate.surface_id = %(surface)s AND slate.recommendation_id >= %(since)s
        AND slate.experiment_id = ANY(%(experiments)s) AND slate.variant_id IS NOT NULL
        AND NOT slate.forced AND {answer_draw("slate.recommendation_id")} < %(share)s
        AND {has_answer("slate")} AND NOT {is_excluded("slate")}
        AND NOT EXISTS (SELECT 1 FROM experiments_judgement AS judged
            WHERE judged.generation_id = slate.recommendation_id AND judged.judge_id = %(judge)s
                AND judged.shadow_id IS NULL)
    ORDER BY {answer_draw("slate.recommendation_id")} LIMIT {BATCH}"""


# The shadow's answer in place of the one that was served: the judge reads the same conversation.
_OF_SHADOWS = f"""
    SELECT shadow.recommendation_id, shadow.unit_id, slate.experiment_id, slate.variant_id,
        slate.context || jsonb_build_object('answer', jsonb_build_object('content', shadow.text)),
        shadow.version_id
    FROM inference_shadowanswer AS shadow
    JOIN inference_modelversion AS version ON version.id = shadow.version_id
    CROSS JOIN LATERAL (SELECT slate.* FROM experiments_slate AS slate
        WHERE slate.recommendation_id = shadow.recommendation_id OFFSET 0) AS slate
    WHERE version.surface_id = %(surface)s AND shadow.recommendation_id >= %(since)s
        AND shadow.text <> '' AND {answer_draw("shadow.recommendation_id")} < %(share)s
        AND NOT slate.forced AND NOT {is_excluded("slate")}
        AND NOT EXISTS (SELECT 1 FROM experiments_judgement AS judged
            WHERE judged.generation_id = shadow.recommendation_id AND judged.judge_id = %(judge)s
                AND judged.shadow_id = shadow.version_id)
    ORDER BY {answer_draw("shadow.recommendation_id")} LIMIT {BATCH}"""


class _Answer(NamedTuple):
    """An answer that waits for the judge; `shadow_id` is the version in shadow that gave it, if any."""

    generation_id: UUID
    unit_id: str
    experiment_id: int | None
    variant_id: int | None
    context: dict[str, Any]
    shadow_id: int | None


class _Verdict(NamedTuple):
    """What the judge says of an answer, and what that cost."""

    score: float | None
    rationale: str
    error: str
    cost: float


def surfaces_to_judge() -> QuerySet[Surface]:
    """Return the surfaces with a judge, and a running experiment or a version in shadow."""
    plans = JudgePlan.objects.filter(judge__isnull=False)
    running = Experiment.objects.running().values("surface")
    shadows = ModelVersion.objects.filter(alias=ModelVersion.Alias.SHADOW).values("surface")
    return Surface.objects.filter(Q(pk__in=running) | Q(pk__in=shadows), pk__in=plans.values("surface"))


def judge_answers(*, surface: Surface) -> int:
    """Judge what waits on a surface, for about a minute; return how many answers were judged.

    Raises:
        NoPromptError: the judge is no version that generates, or takes no answer.
    """
    plan = JudgePlan.objects.select_related("judge").get(surface=surface)
    if plan.judge is None:
        return 0
    prompt = read_prompt(settings.BAKEOFF.artifacts, plan.judge)
    if "answer" not in prompt.variables:
        raise NoPromptError(f"{plan.judge.label}: variables must have 'answer', to judge one answer.")
    until, silent, judged = time.monotonic() + BATCH_SECONDS, 0, 0
    spent = spent_today(plan)
    # What was served comes first: the budget is for the experiment before it is for a shadow.
    for answer in [*_waiting(plan, _WAITING), *_waiting(plan, _OF_SHADOWS)]:
        if time.monotonic() > until or silent >= MAX_SILENT or spent >= plan.daily_cost:
            break
        try:
            verdict = _judge(prompt, plan, answer)
        except NoCompletionError:
            silent += 1
            continue
        silent = 0
        spent += verdict.cost
        judged += _store(plan, answer, verdict)
    return judged


def spent_today(plan: JudgePlan) -> float:
    """Return what the judges of a surface have cost since midnight (UTC), with checks of versions."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = Judgement.objects.filter(surface=plan.surface_id, at__gte=midnight)
    of_answers = float(rows.aggregate(cost=Sum("cost"))["cost"] or 0.0)
    return of_answers + spending_today(CHECKS, str(plan.surface_id)).money


def _waiting(plan: JudgePlan, query: str) -> list[_Answer]:
    running = Experiment.objects.running().filter(surface=plan.surface_id)
    with connection.cursor() as cursor:
        cursor.execute(
            query,
            {
                "surface": plan.surface_id,
                "project": plan.surface.project_id,
                "since": min_uuid7(timezone.now() - RECENT),
                "experiments": list(running.values_list("pk", flat=True)),
                "share": _share(plan),
                "judge": plan.judge_id,
            },
        )
        rows = cursor.fetchall()
        return [
            _Answer(generation_id, unit_id, experiment_id, variant_id, _as_json(context), shadow_id)
            for generation_id, unit_id, experiment_id, variant_id, context, shadow_id in rows
        ]


def _as_json(value: Any) -> dict[str, Any]:
    # Django's cursors give jsonb as text: its own fields read it.
    return dict(orjson.loads(value) if isinstance(value, str | bytes) else value)


def _share(plan: JudgePlan) -> float:
    """Return the share that is judged: an answer that people rate is of little use without a score."""
    return max(plan.judge_share, plan.label_share)


def _judge(prompt: Prompt, plan: JudgePlan, answer: _Answer) -> _Verdict:
    """Ask the judge.

    Raises:
        NoCompletionError: no provider answers.
    """
    text = str(answer.context["answer"]["content"])
    values = {
        "rubric": plan.rubric,
        "points": plan.points,
        "conversation": conversation_text(read_messages(answer.context.get("messages"))),
        "answer": cut_text(text),
    }
    cost, error = 0.0, ""
    for _ in range(READS):
        try:
            completion = ask_version(
                prompt,
                project=plan.surface.project.slug,
                variables=variables_for(prompt, values),
            )
            cost += completion.cost
            score = read_score(completion.text, plan.points)
        except (JudgeAnswerError, VariablesError, TemplateError) as problem:
            error = str(problem)[:200]
            continue
        return _Verdict(score.value, score.rationale, "", cost)
    return _Verdict(None, "", error, cost)


def _store(plan: JudgePlan, answer: _Answer, verdict: _Verdict) -> bool:
    slate = Slate.objects.filter(pk=answer.generation_id).first()
    if slate is None:
        return False  # erased while the judge read it
    with transaction.atomic():
        # Two workers may judge one answer: the first row stays.
        _, is_first = Judgement.objects.get_or_create(
            generation_id=answer.generation_id,
            judge=plan.judge,
            shadow_id=answer.shadow_id,
            defaults={
                "project_id": plan.surface.project_id,
                "surface": plan.surface,
                "experiment_id": answer.experiment_id,
                "variant_id": answer.variant_id,
                "unit_id": answer.unit_id,
                "probability": _share(plan),
                **verdict._asdict(),
            },
        )
        # What a shadow answered nobody was given: it is no fact of the experiment.
        if is_first and answer.shadow_id is None and verdict.score is not None:
            record_score(slate=slate, name=JUDGE_SCORE, score=verdict.score)
    return True
