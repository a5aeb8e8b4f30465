"""What a model would recommend to the units that are judged, scored against what they liked later."""

from __future__ import annotations

import tempfile
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
    from inference.evaluation.scores import Scores
    from inference.runs.off_policy_view import Log
    from inference.runs.outcome import RunPlan
    from inference.serving.artifact import ArtifactDraft, Indices
    from inference.training.split import SplitData

UNITS_AT_ONCE = 1000
MAX_REMOTE_CANDIDATES = 1000  # candidates of a model that is asked


class JudgedRankings:
    """A model's lists for the judged units, as serving would make them: their own likes left out."""

    def __init__(
        self,
        draft: ArtifactDraft,
        split: SplitData,
        judged: list[int],
        plan: RunPlan,
        log: Log | None = None,
    ) -> None:
        """Rank and score.

        Args:
            draft: what was fitted.
            split: the units.
            judged: indices of the units that are judged.
            plan: whose rule says how long lists are.
            log: what was served with exploration, for the value off-policy.
        """
        self.off_policy: dict[str, Any] | None = None
        self.fit_seconds = 0.0
        self.k = plan.rule.k
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            digest = save_artifact(root, draft)
            ranker = Ranker(root, digest)
            if ranker.is_remote:
                self.ranked = rank_remotely(
                    ranker, open_worker_model(root, digest), split, judged, self.k
                )
            else:
                self.ranked = rank_units(ranker, split, judged, self.k)
                if log is not None:
                    margin = plan.rule.guardrail_margin
                    self.off_policy = value_of_answers(ranker, split, log, margin=margin)
        wanted = [split.later[i] for i in judged]
        self.scores: Scores = score_rankings(self.ranked, wanted, k=self.k, items=len(split.item_ids))


def rank_units(ranker: Ranker, split: SplitData, judged: list[int], k: int) -> list[Indices]:
    """Return per judged unit the k best items, in the catalogue that the ranker was fitted on."""
    lists: list[Indices] = []
    for start in range(0, len(judged), UNITS_AT_ONCE):  # scores are units × items
        part = [split.past[i].items.tolist() for i in judged[start : start + UNITS_AT_ONCE]]
        lists += ranker.candidates([liked[::-1] for liked in part], part, k)
    return lists


def rank_remotely(
    ranker: Ranker, model: Any, split: SplitData, judged: list[int], k: int
) -> list[Indices]:
    """Return lists of a model that is asked, for the items that traffic would offer it.

    Raises:
        RunError: it gives no answer, or a wrong one.
    """
    lists = []
    for unit in judged:
        liked = split.past[unit].items
        rest = ranker.default_order[~np.isin(ranker.default_order, liked)][:MAX_REMOTE_CANDIDATES]
        recent = [ranker.item_ids[i] for i in liked[::-1][:50]]
        try:
            scores = list(model.rank(f"unit-{unit}", recent, [ranker.item_ids[i] for i in rest], {}))
            check_scores(scores, len(rest))
        except Exception as error:
            raise RunError(f"the model gave no answer: {type(error).__name__}: {error}") from error
        lists.append(rest[np.argsort(-np.array(scores), kind="stable")[:k]])
    return lists
