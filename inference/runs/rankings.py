"""What a model would recommend to the judged units, scored against what they liked later."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.evaluation.ranking import score_rankings
from inference.runs.off_policy_view import value_of_answers
from inference.runs.outcome import RunError
from inference.serving.artifact import save_artifact
from inference.serving.endpoint import check_scores
from inference.serving.model_worker import open_worker_model
from inference.serving.ranker import Ranker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.evaluation.scores import Scores
    from inference.runs.off_policy_view import Log
    from inference.runs.outcome import RunPlan
    from inference.serving.artifact import ArtifactDraft, Indices
    from inference.serving.top_items import Mask
    from inference.training.split import SplitData

UNITS_AT_ONCE = 1000  # scores take units × items floats
MAX_REMOTE_CANDIDATES = 1000  # they travel with each request
MAX_REMOTE_HISTORY = 50  # as many recent items as a request carries


@dataclass(frozen=True, slots=True)
class JudgedRankings:
    """A model's lists for the judged units, as serving would make them: their own likes left out.

    Attributes:
        ranked: per judged unit, indices of the k best items.
        scores: of the lists against the held-out likes.
        k: length of a list.
        off_policy: value on logged answers, or None without a log.
        without_context: the primary metric of the lists that it makes without the request's context;
            None of a model that reads none.
        fit_seconds: how long the fit took; 0 when it was not timed.
    """

    ranked: list[Indices]
    scores: Scores
    k: int
    off_policy: dict[str, Any] | None = None
    fit_seconds: float = 0.0
    without_context: float | None = None


def judge_rankings(
    draft: ArtifactDraft,
    split: SplitData,
    judged: list[int],
    plan: RunPlan,
    *,
    log: Log | None = None,
    fit_seconds: float = 0.0,
) -> JudgedRankings:
    """Rank for the judged units and score the lists.

    Args:
        draft: what was fitted.
        split: the units.
        judged: indices of the units that are judged.
        plan: whose rule says how long lists are.
        log: what was served with exploration, for the value off-policy.
        fit_seconds: how long the fit took.
    """
    k, value, without = plan.rule.k, None, None

    def score(ranked: Sequence[Indices]) -> Scores:
        return score_lists(ranked, split, judged, [split.later[i] for i in judged], k=k)

    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        digest = save_artifact(root, draft)
        ranker = Ranker(root, digest)
        if ranker.is_remote:
            ranked = rank_remotely(ranker, open_worker_model(root, digest), split, judged, k)
        else:
            ranked = rank_units(ranker, split, judged, k)
            if ranker.features:
                plain = score(rank_units(ranker, split, judged, k, in_context=False))
                without = plain.mean(plan.rule.primary)
            # Without their contexts nothing is known of what it would have served in place of them.
            if log is not None and (log.answers.contexts or not ranker.features):
                value = value_of_answers(ranker, split, log, margin=plan.rule.guardrail_margin)
    return JudgedRankings(ranked, score(ranked), k, value, fit_seconds, without)


def score_lists(
    ranked: Sequence[Indices],
    split: SplitData,
    units: Sequence[int],
    wanted: Sequence[NDArray[np.int64]],
    *,
    k: int,
) -> Scores:
    """Score the lists of some units against some of what they liked, weighted where events weigh.

    Args:
        ranked: per unit, its list.
        split: the units.
        units: their indices.
        wanted: per unit, what is to be found.
        k: length of a list.
    """
    weights = None
    if split.is_weighted:
        weights = [split.weights_of(unit, items) for unit, items in zip(units, wanted, strict=True)]
    return score_rankings(ranked, wanted, k=k, items=len(split.item_ids), weights=weights)


def rank_units(
    ranker: Ranker,
    split: SplitData,
    judged: list[int],
    k: int,
    *,
    in_context: bool = True,
    places: Indices | None = None,
) -> list[Indices]:
    """Return per judged unit the k best items, in the catalogue that the ranker was fitted on.

    Args:
        ranker: of what is judged.
        split: the units.
        judged: indices of those that are judged.
        k: length of a list.
        in_context: whether a model that reads context is told that of the first held-out like.
        places: where each of its items is in the split's catalogue, -1 for nowhere; None: in its place.
    """
    lists: list[Indices] = []
    for start in range(0, len(judged), UNITS_AT_ONCE):
        part = judged[start : start + UNITS_AT_ONCE]
        seen = [split.excluded_of(unit).tolist() for unit in part]
        contexts = None
        if in_context and ranker.features:
            contexts = [split.context_of(unit) for unit in part]
        recent = [split.past[unit].items[::-1].tolist() for unit in part]
        hidden = partial(_hidden_from, split, part, places)
        lists += ranker.candidates(recent, seen, k, contexts=contexts, hidden=hidden)
    return lists


def _hidden_from(
    split: SplitData, units: Sequence[int], places: Indices | None, row: int
) -> Mask | None:
    hidden = split.hidden_from(units[row])
    return hidden if hidden is None or places is None else hidden[places] & (places >= 0)


def rank_remotely(
    ranker: Ranker, model: Any, split: SplitData, judged: list[int], k: int
) -> list[Indices]:
    """Return lists of a remote model, over the items that traffic would offer it.

    Raises:
        RunError: it gives no answer, or a wrong one.
    """
    lists = []
    for unit in judged:
        liked = split.past[unit].items
        seen = np.isin(ranker.default_order, split.excluded_of(unit))
        if (hidden := split.hidden_from(unit)) is not None:
            seen |= hidden[ranker.default_order]
        rest = ranker.default_order[~seen][:MAX_REMOTE_CANDIDATES]
        recent = [ranker.item_ids[i] for i in liked[::-1][:MAX_REMOTE_HISTORY]]
        try:
            scores = list(model.rank(f"unit-{unit}", recent, [ranker.item_ids[i] for i in rest], {}))
            check_scores(scores, len(rest))
        except Exception as error:
            raise RunError(f"the model gave no answer: {type(error).__name__}: {error}") from error
        lists.append(rest[np.argsort(-np.array(scores), kind="stable")[:k]])
    return lists
