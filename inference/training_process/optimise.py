"""A run that searches for a better prompt: its inputs, its budget, and what it registers."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from django.conf import settings

from inference.actions.read_prompt import NoPromptError, read_prompt
from inference.actions.register_proposal import (
    SearchScore,
    end_without_prompt,
    register_proposal,
)
from inference.day_spending import DayPurse
from inference.judging.purse import RunPurse
from inference.prompt_search import PromptSearch
from inference.runs.outcome import RunError
from inference.runs.prompt_scores import PromptScorer, Question
from inference.runs.remembered_answers import RememberedAnswers
from inference.runs.search_prompt import STRONG_SECONDS, search_prompt
from inference.serving.models import open_model
from inference.serving.prompts import Prompt
from inference.serving.spending import Spending
from inference.training.questions import Questions
from inference.training_process.inputs import checkpoints_of, rows_of
from inference.training_process.reporter import Reporter

if TYPE_CHECKING:
    from inference.models import TrainingRun
    from inference.training_process.run_log import RunLog


def optimise(run: TrainingRun, lease: int, log: RunLog) -> None:
    """Search, and register the best as a candidate that waits for its check.

    Raises:
        LostLeaseError: another attempt took over, or somebody cancelled the run.
        RunError: the search cannot be made.
    """
    search, rows = PromptSearch.parse(run.params), rows_of(run, Questions)
    purse = RunPurse(Spending(search.budget_tokens, search.budget_money), DayPurse.of(run.surface))
    models = RememberedAnswers(purse, project=run.surface.project.slug, folder=checkpoints_of(run))
    reporter = Reporter(run, lease, log)
    result = search_prompt(
        PromptScorer(models, _champion(run), _judge(search), search.rubric, search.points),
        (_questions(rows, evaluates=False), _questions(rows, evaluates=True)),
        Prompt(search.provider, search.model, total_seconds=STRONG_SECONDS),
        reporter.progress,
        proposals=search.proposals,
    )
    score = SearchScore(result.score, result.champion_score, result.proposals)
    notes = [
        f"{models.answered} answers: {purse.spent.tokens:.0f} tokens, {purse.spent.money:.4f} in money."
    ]
    notes += [result.stopped] if result.stopped else []
    if result.prompt is None:
        end_without_prompt(run_id=run.pk, lease=lease, score=score, notes=notes)
    else:
        register_proposal(run_id=run.pk, lease=lease, prompt=result.prompt, score=score, notes=notes)
    shutil.rmtree(checkpoints_of(run), ignore_errors=True)


def _champion(run: TrainingRun) -> Prompt:
    champion = run.surface.versions.champions().first()
    if champion is None:
        raise RunError("the surface has no champion any more.")
    try:
        return read_prompt(settings.BAKEOFF.artifacts, champion)
    except NoPromptError as error:
        raise RunError(str(error)) from error


def _judge(search: PromptSearch) -> Prompt | None:
    return open_model(settings.BAKEOFF.artifacts, search.judge).prompt if search.judge else None


def _questions(rows: Questions, *, evaluates: bool) -> list[Question]:
    columns = zip(
        rows.messages,
        rows.variables,
        rows.assertions,
        rows.answers,
        rows.comments,
        rows.evaluates,
        strict=True,
    )
    chosen = [
        Question.parse(messages, variables, list(assertions), answer=answer, comment=comment)
        for messages, variables, assertions, answer, comment, evaluated in columns
        if evaluated == evaluates
    ]
    # Where nothing was recorded, proposals are made from what they are compared by.
    return chosen or _questions(rows, evaluates=True)
