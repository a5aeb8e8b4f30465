"""A blend: the weighted sum of what two or more recommenders say, served as one artifact.

The weights are fitted on a validation part of what is learnt from, each unit's last fifth, by fits that
have not seen it. What a run holds out to judge by is no part of either.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.evaluation.ranking import ndcg_of
from inference.options import FitOptions, read_params
from inference.serving.scorers import draft_blend, scorer_of
from inference.training.split import hidden_of, hold_out_last

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from inference.recommenders.protocol import Recommender
    from inference.serving.artifact import ArtifactDraft, Floats
    from inference.serving.scorers import Scorer
    from inference.serving.top_items import Hidden
    from inference.training.data import TrainingData

K = 10  # places of the lists that the weights are fitted for
STEPS = 10  # of the share of one part against the rest: a tenth moves few items
MAX_UNITS = 2000  # whose lists are compared: more do not move the best tenth
UNITS_AT_ONCE = 200  # scores take parts × units × items floats


@dataclass(frozen=True)
class BlendParams:
    """Hyper-parameters.

    Attributes:
        parts: what is blended: names of algorithms, or `{"algorithm": …, "params": {…}}`.
        weights: of the parts' scores as they are; empty: fitted.
    """

    parts: list[Any] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BlendPart:
    """One recommender of a blend."""

    algorithm: str
    params: Mapping[str, Any]


class Blend:
    """Fits its parts and adds up their scores."""

    name = "blend"
    params = BlendParams
    reads = frozenset({"vectors", "texts", "images"})
    seeds = 3

    def __init__(self, known: Mapping[str, Recommender]) -> None:
        """Make it.

        Args:
            known: recommenders that may be parts, by name.
        """
        self._known = known

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Fit the weights if there are none, then the parts on everything.

        Raises:
            ValueError: fewer than two parts, an unknown one, or nobody to fit the weights by.
        """
        params = read_params(BlendParams, options.params)
        parts = self._parts_of(params)
        weights = params.weights
        stages = len(parts) if weights else 2 * len(parts)
        if not weights:
            learnt, judged, wanted = hold_out_last(data)
            drafts = [
                self._fit_part(part, learnt, options, place, stages) for place, part in enumerate(parts)
            ]
            histories = [learnt.liked[i] for i in judged]
            weights = fit_weights(drafts, histories, wanted, partial(hidden_of, data, judged, wanted))
        first = stages - len(parts)
        drafts = [
            self._fit_part(part, data, options, first + place, stages)
            for place, part in enumerate(parts)
        ]
        plain = [{"algorithm": part.algorithm, "params": dict(part.params)} for part in parts]
        about = {
            "algorithm": self.name,
            "params": {"parts": plain, "weights": weights},
            "seed": options.seed,
        }
        return draft_blend(drafts, weights, about)

    def _parts_of(self, params: BlendParams) -> list[BlendPart]:
        if len(params.parts) < 2:
            raise ValueError(f"parts of the blend == {len(params.parts)}, must be at least 2.")
        if params.weights and len(params.weights) != len(params.parts):
            raise ValueError(
                f"weights of the blend == {len(params.weights)}, must be {len(params.parts)}."
            )
        parts = []
        for one in params.parts:
            plain: Any = one if isinstance(one, dict) else {"algorithm": one}
            name = plain.get("algorithm")
            if name not in self._known or name == self.name:
                known = sorted({*self._known} - {self.name})
                raise ValueError(f"part of the blend == {one!r}, must be one of {known}.")
            parts.append(BlendPart(name, plain.get("params", {})))
        return parts

    def _fit_part(
        self, part: BlendPart, data: TrainingData, options: FitOptions, stage: int, stages: int
    ) -> ArtifactDraft:
        folder = options.checkpoint
        theirs = replace(
            options,
            params=part.params,
            report=lambda share, line: options.report(
                (stage + share) / stages, f"{part.algorithm}: {line}"
            ),
            # One curve for each fit would draw over the other.
            curve=FitOptions().curve,
            checkpoint=folder / f"stage-{stage}" if folder is not None else None,
        )
        return self._known[part.algorithm].fit(data, theirs)


def fit_weights(
    drafts: Sequence[ArtifactDraft],
    histories: Sequence[NDArray[np.int64]],
    wanted: Sequence[NDArray[np.int64]],
    hidden: Hidden | None = None,
) -> list[float]:
    """Return the weights of the parts' scores whose lists have the highest mean NDCG.

    Each part joins the ones before it with the best of the shares 1/10 … 9/10. Scores are divided by
    their spread over the items, mean over units, because each part has a scale of its own.

    Args:
        drafts: the parts, fitted without what is wanted.
        histories: per unit, the items that it is known by, in order of time.
        wanted: per unit, what it liked next.
        hidden: which items could not be shown to a unit then, by its place.

    Raises:
        ValueError: no units.
    """
    if not len(histories):
        raise ValueError("units with likes to fit the weights by == 0, must be at least 1.")
    every = -(-len(histories) // MAX_UNITS)
    histories, wanted = histories[::every], wanted[::every]
    scorers = [scorer_of(draft.form, draft.arrays.__getitem__) for draft in drafts]
    scales = np.mean([score.std(2).mean(1) for score in _score(scorers, histories)], axis=0)
    weights = np.zeros(len(drafts))
    weights[0] = 1 / max(scales[0], 1e-9)
    for place in range(1, len(drafts)):
        shares = np.arange(1, STEPS) / STEPS
        trials = [weights * (1 - share) for share in shares]
        for trial, share in zip(trials, shares, strict=True):
            trial[place] = share / max(scales[place], 1e-9)
        values = mean_ndcg(
            scorers, trials, histories, wanted, (lambda row: hidden(every * row)) if hidden else None
        )
        weights = trials[int(np.argmax(values))]
    return [float(np.float32(weight)) for weight in weights]


def _score(scorers: Sequence[Scorer], histories: Sequence[NDArray[np.int64]]) -> Iterator[Floats]:
    """Yield the parts' scores of some units, (parts, units, items)."""
    for start in range(0, len(histories), UNITS_AT_ONCE):
        newest = [liked[::-1].tolist() for liked in histories[start : start + UNITS_AT_ONCE]]
        yield np.stack([scorer.score_all(newest) for scorer in scorers])


def mean_ndcg(
    scorers: Sequence[Scorer],
    trials: Sequence[NDArray[np.float64]],
    histories: Sequence[NDArray[np.int64]],
    wanted: Sequence[NDArray[np.int64]],
    hidden: Hidden | None = None,
) -> Floats:
    """Return the mean NDCG of each trial's weights, (trials,).

    Args:
        scorers: the parts.
        trials: weights of the parts' scores, each (parts,).
        histories: per unit, the items that it is known by, in order of time.
        wanted: per unit, what it liked next.
        hidden: which items could not be shown to a unit then, by its place.
    """
    sums, row = np.zeros(len(trials)), 0
    for scores in _score(scorers, histories):
        for unit in range(scores.shape[1]):
            lines = np.tensordot(np.array(trials), scores[:, unit], axes=1)
            lines[:, histories[row]] = -np.inf  # serving does not show them again
            if hidden is not None and (mask := hidden(row)) is not None:
                lines[:, mask] = -np.inf
            for trial, line in enumerate(lines):
                best = np.argpartition(-line, min(K, len(line) - 1))[:K]
                sums[trial] += ndcg_of(best[np.argsort(-line[best], kind="stable")], wanted[row], K)
            row += 1
    return np.asarray(sums / len(histories), dtype=np.float32)
