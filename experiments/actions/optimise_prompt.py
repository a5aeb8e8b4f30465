"""Search for a better prompt: freeze what was made of past answers, and queue a run on it.

A worker's training process conducts the search (`inference/runs/search_prompt.py`). The version that it
finds is a candidate without a gate; its check on a data set is queued here, at the next tick.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import orjson
from django.conf import settings

from bakeoff.accounts.actors import PLATFORM
from bakeoff.accounts.refused import RefusedError
from experiments.actions.check_version import CannotCheckError, queue_check
from experiments.actions.load_data_set import own_messages
from experiments.models import DataSet, judge_plan_of
from experiments.training_data.commented_answers import commented_answers
from inference.actions.queue_training import freeze_rows, queue_run
from inference.actions.read_prompt import NoPromptError, read_prompt
from inference.models import Surface, TrainingRun
from inference.prompt_search import OPTIMISE, PromptSearch
from inference.providers import read_providers
from inference.training.questions import Questions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.models import DataSetRow

PACKAGE = "gepa"
ALONE = "No answers with feedback are recorded: proposals are made from the data set's rows alone."


class CannotOptimiseError(RefusedError):
    """A search that cannot be made; the message says why."""


def optimise_prompt(*, surface: Surface, params: Mapping[str, Any], by: str) -> TrainingRun:
    """Queue a search.

    Args:
        surface: of kind generate, whose champion has messages of its own.
        params: of `PromptSearch`: provider and model that propose, data_set, proposals, rows, budgets.
        by: who asks.

    Raises:
        CannotOptimiseError: a setting breaks a rule, the package is missing, or there is nothing to
            compare proposals by.
        CannotTrainError: a search of the surface runs already.
    """
    if find_spec(PACKAGE) is None:
        raise _refuse(
            "a search for prompts needs the package gepa: pip install 'bakeoff[optimise]'.", "package"
        )
    _check_surface(surface)
    data_set = _data_set(surface, str(params.get("data_set") or ""))
    plan = judge_plan_of(surface)
    judge = plan.judge
    of_judge: dict[str, Any] = {"rubric": plan.rubric, "points": plan.points}
    if judge is not None:
        of_judge |= {
            "judge": judge.artifact_sha256,
            "judge_label": f"{judge.surface.key}/{judge.label}",
        }
    try:
        search = PromptSearch.parse({**params, **of_judge, "data_set": data_set.key})
    except ValueError as error:
        raise _refuse(str(error), "params") from error
    _check_provider(surface, search)
    questions = _questions(surface, data_set, search.rows)
    if judge is None and not any(questions.assertions):
        raise _refuse(
            f"data set '{data_set.key}' has no assertions and the surface no judge: there is nothing "
            "to compare proposals by.",
            "data_set",
        )
    run = TrainingRun(
        surface=surface,
        algorithm=OPTIMISE,
        trigger=by,
        params=search.as_params(),
        notes=list(questions.notes),
        snapshot=freeze_rows(surface, questions),
    )
    return queue_run(run, action="optimise", subject=f"the prompt of {surface}")


def _refuse(message: str, field: str) -> CannotOptimiseError:
    return CannotOptimiseError(message, field=field)


def _check_surface(surface: Surface) -> None:
    if surface.kind != Surface.Kind.GENERATE:
        raise _refuse(f"kind == '{surface.kind}', must be '{Surface.Kind.GENERATE}'.", "surface")
    champion = surface.versions.champions().first()
    if champion is None:
        raise _refuse(f"surface '{surface}' has no champion to improve.", "surface")
    try:
        prompt = read_prompt(settings.BAKEOFF.artifacts, champion)
    except NoPromptError as error:
        raise _refuse(str(error), "surface") from error
    if not prompt.messages:
        raise _refuse(
            f"{champion.label} has no messages of its own: there is no text to improve.", "surface"
        )


def _check_provider(surface: Surface, search: PromptSearch) -> None:
    slug = surface.project.slug
    usable = sorted(name for name, one in read_providers().items() if one.serves(slug))
    if search.provider not in usable:
        raise _refuse(
            f"provider == '{search.provider}', must be one of {usable}: the operator declares them "
            "(BAKEOFF_PROVIDERS).",
            "provider",
        )
    if not search.model:
        raise _refuse("model == '', must name a model of the provider.", "model")


def _data_set(surface: Surface, key: str) -> DataSet:
    """Return the data set of a key; without one the gate's, or the only one."""
    every = list(DataSet.objects.filter(surface=surface).order_by("-is_gate", "key"))
    chosen = [one for one in every if one.key == key]
    if not key and (len(every) == 1 or (every and every[0].is_gate)):
        chosen = every[:1]
    if not chosen:
        names = sorted(one.key for one in every)
        raise _refuse(f"data_set == '{key}', must be one of {names}.", "data_set")
    return chosen[0]


def _questions(surface: Surface, data_set: DataSet, limit: int) -> Questions:
    """Return past requests with what came of them, then a sample of the data set."""
    past = commented_answers(surface)
    own = own_messages({one.version_id for one in past})
    rows = sorted(data_set.rows.all(), key=_draw)[:limit]
    loaded_at = data_set.created_at.timestamp()
    n, m = len(past), len(rows)
    return Questions(
        unit_ids=[*(one.unit_id for one in past), *(row.unit_id for row in rows)],
        messages=[
            *(one.messages[own.get(one.version_id, 0) :] for one in past),
            *(row.messages for row in rows),
        ],
        variables=[*(one.variables for one in past), *(row.variables for row in rows)],
        assertions=[
            *[data_set.assertions] * n,
            *([*data_set.assertions, *row.assertions] for row in rows),
        ],
        answers=[*(one.answer for one in past), *[""] * m],
        comments=[*(one.comment for one in past), *[""] * m],
        recorded_at=[*(one.at for one in past), *[loaded_at] * m],
        evaluates=[*[False] * n, *[True] * m],
        notes=() if past else (ALONE,),
    )


def _draw(row: DataSetRow) -> str:
    """Return a row's place in a random order, the same whenever it is drawn."""
    return hashlib.sha256(orjson.dumps([row.messages, row.variables])).hexdigest()


def queue_proposal_checks() -> int:
    """Queue the check of each version that a search has found; return how many there were.

    The gate's data set checks it; where the surface has none, that of the search.
    """
    queued = 0
    waiting = TrainingRun.objects.filter(
        algorithm=OPTIMISE, state=TrainingRun.State.PASSED, version__gate={}, version__checks=None
    )
    for run in waiting.select_related("version__surface"):
        every = DataSet.objects.filter(surface=run.surface_id)
        data_set = (
            every.filter(is_gate=True).first() or every.filter(key=run.params["data_set"]).first()
        )
        if data_set is None or run.version is None:
            continue  # it was deleted since: a person chooses another one
        try:
            queue_check(version=run.version, data_set=data_set, by=PLATFORM)
        except CannotCheckError:
            continue  # another worker was faster
        queued += 1
    return queued
