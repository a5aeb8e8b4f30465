"""How recommenders' artifacts score items, numpy only.

With recent items h, newest first, an item i scores

    vectors      s(i) = V[i] · Σⱼ aⱼ C[hⱼ] + b[i],   a = softmax over j of (C[hⱼ] · q + p[j])
    neighbours   s(i) = Σⱼ S[hⱼ, i] + b[i],          S sparse: each item's nearest
    factors      s(i) = Y[i] · x + b[i],             x = (G + α Σⱼ yⱼ yⱼᵀ)⁻¹ (1 + α) Σⱼ yⱼ
    blend        s(i) = Σₘ wₘ sₘ(i),                 sₘ any of the other forms
    sequence     a causal transformer: `inference.serving.sequence`
    contextual   as vectors, + V[i] · Σ_f F[x_f],    x_f the word of feature f in the request's context

The first serves popularity (vectors of width 0), a frozen encoder (q = p = b = 0) and two towers; the
second item-kNN and EASE; the third implicit ALS, whose units are folded in exactly (Hu, Koren &
Volinsky 2008, eq. 4, with G = YᵀY + λI); the last the best two of a run's candidates.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from inference.serving.artifact import ArtifactDraft, ArtifactError, Floats, Indices, load_array
from inference.serving.contextual import CONTEXTUAL, ContextualVectors
from inference.serving.orders import ORDER, FixedOrder
from inference.serving.sequence import SEQUENCE, Sequential
from inference.serving.vector_forms import MAX_HISTORY, ByVector, Factors, Vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Load = Callable[[str], NDArray[Any]]  # returns an array of the artifact by its name

VECTORS, NEIGHBOURS, FACTORS, BLEND = "vectors", "neighbours", "factors", "blend"
DENSE_ITEMS = 50_000  # of more items, no request makes a line of all of them


class Scorer(Protocol):
    """One form.

    Attributes:
        reads_history: whether a unit's recent items change the scores.
    """

    reads_history: bool

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Return the scores (m,) of items for a unit with this history, newest first."""
        ...

    def score_all(self, histories: Sequence[Sequence[int]]) -> Floats:
        """Return the scores (u, n) of every item for units of whom something is known."""
        ...

    def knows(self, recent: Sequence[int]) -> bool:
        """Whether any of these items changes the scores; asked only where histories are read."""
        ...


class Neighbours:
    """What the recent items' nearest neighbours say, added up."""

    reads_history = True

    def __init__(self, load: Load) -> None:
        """Map the arrays of the sparse matrix."""
        self.starts: NDArray[np.int64] = np.array(load("starts"))
        self.nearest: Indices = load("nearest")
        self.weights: Floats = load("weights")
        self.bias: Floats = np.array(load("bias"))

    def _line(self, recent: Sequence[int]) -> Floats:
        spans = [slice(self.starts[j], self.starts[j + 1]) for j in recent[:MAX_HISTORY]]
        if not spans:
            return self.bias
        items = np.concatenate([self.nearest[span] for span in spans])
        weights = np.concatenate([self.weights[span] for span in spans])
        line: Floats = np.bincount(items, weights, minlength=len(self.bias)).astype(np.float32)
        return line + self.bias

    def knows(self, recent: Sequence[int]) -> bool:
        """Whether any of these items has a neighbour."""
        return any(self.starts[j + 1] > self.starts[j] for j in recent[:MAX_HISTORY])

    def near(self, histories: Sequence[Sequence[int]], count: int) -> list[Indices]:  # noqa: ARG002
        """Return the items to which any recent one adds something, all of them, by unit."""
        return [self._near(history) for history in histories]

    def _near(self, recent: Sequence[int]) -> Indices:
        spans = [self.nearest[self.starts[j] : self.starts[j + 1]] for j in recent[:MAX_HISTORY]]
        return np.unique(np.concatenate(spans)).astype(np.int32)

    def contributions(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Return what each recent item adds to the scores, (m, h)."""
        added = np.zeros((len(items), len(recent[:MAX_HISTORY])), dtype=np.float32)
        for column, j in enumerate(recent[:MAX_HISTORY]):
            span = slice(self.starts[j], self.starts[j + 1])
            near, weights = self.nearest[span], self.weights[span]
            if len(near):
                ascending = np.argsort(near)
                place = np.searchsorted(near, items, sorter=ascending)
                place = ascending[np.minimum(place, len(near) - 1)]
                added[:, column] = np.where(near[place] == items, weights[place], 0)
        return added

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Score some items for one unit."""
        if len(self.bias) > DENSE_ITEMS and len(recent):
            # A line of all items would cost more than to look the few up.
            few: Floats = self.contributions(items, recent).sum(axis=1) + self.bias[items]
            return few
        scores: Floats = self._line(recent)[items]
        return scores

    def score_all(self, histories: Sequence[Sequence[int]]) -> Floats:
        """Score every item for many units."""
        return np.stack([self._line(history) for history in histories])


class CandidateOrder:
    """The scorer of a remote model, of which nothing is known here: candidates keep their order."""

    reads_history = False

    def __init__(self, load: Load) -> None:
        """Read how many items there are."""
        self._items = len(load("default_order"))

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:  # noqa: ARG002
        """Keep the order of the candidates."""
        return -np.arange(len(items), dtype=np.float32)

    def score_all(self, histories: Sequence[Sequence[int]]) -> Floats:
        """Keep the order of the items."""
        return np.tile(-np.arange(self._items, dtype=np.float32), (len(histories), 1))

    def knows(self, recent: Sequence[int]) -> bool:  # noqa: ARG002
        """Say no: no history is read."""
        return False


class Blend:
    """The weighted sum of what its parts say; each part's arrays stand under a prefix of their own."""

    def __init__(self, load: Load) -> None:
        """Load the parts."""
        self.weights: Floats = np.array(load("weights"))
        self.parts: list[Scorer] = [
            scorer_of(str(form), _load_part(load, place)) for place, form in enumerate(load("forms"))
        ]
        self.reads_history = any(part.reads_history for part in self.parts)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of what any part reads of a request's context."""
        names = [name for part in self.parts for name in getattr(part, "features", ())]
        return tuple(dict.fromkeys(names))

    def context_scores(self, items: Indices, words: Mapping[str, str]) -> Floats:
        """Return what a context adds to the scores of items, (m,)."""
        return self._sum([context_scores_of(part, items, words) for part in self.parts])

    @property
    def item_vectors(self) -> Floats | None:
        """The vectors by which a slate's diversity is measured: those of the first part with any."""
        return next((vectors for part in self.parts if (vectors := vectors_of(part)) is not None), None)

    def near(self, histories: Sequence[Sequence[int]], count: int) -> list[Indices] | None:
        """Return about the best items of each part; None where a part that reads histories cannot."""
        reading = [part for part in self.parts if part.reads_history]
        lists = [near for part in reading if (near := find_near(part, histories, count)) is not None]
        if not lists or len(lists) < len(reading):
            return None
        return [np.unique(np.concatenate(of_unit)) for of_unit in zip(*lists, strict=True)]

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Score some items for one unit."""
        return self._sum([part.score(items, recent) for part in self.parts])

    def score_all(self, histories: Sequence[Sequence[int]]) -> Floats:
        """Score every item for many units."""
        return self._sum([part.score_all(histories) for part in self.parts])

    def knows(self, recent: Sequence[int]) -> bool:
        """Whether any of these items changes the scores of a part."""
        return any(part.reads_history and part.knows(recent) for part in self.parts)

    def contributions(self, items: Indices, recent: Sequence[int]) -> Floats | None:
        """Return what each recent item adds to the scores, (m, h); None where a part cannot say."""
        total = np.zeros((len(items), len(recent[:MAX_HISTORY])), dtype=np.float32)
        for weight, part in zip(self.weights, self.parts, strict=True):
            if not part.reads_history:
                continue
            added = contributions_of(part, items, recent)
            if added is None:
                return None
            total[:, : added.shape[1]] += weight * added
        return total

    def _sum(self, scores: Sequence[Floats]) -> Floats:
        total = np.zeros(scores[0].shape, np.float32)
        for weight, each in zip(self.weights, scores, strict=True):
            total += weight * each
        return total


def contributions_of(scorer: Scorer, items: Indices, recent: Sequence[int]) -> Floats | None:
    """Return what each recent item adds to the scores, (m, h); None for a form that cannot say.

    Of a longer history, h are those that the form reads.
    """
    explain = getattr(scorer, "contributions", None)
    if explain is None or not scorer.reads_history or not len(recent):
        return None
    added: Floats | None = explain(items, recent)
    return added


def find_near(
    scorer: Scorer, histories: Sequence[Sequence[int]], count: int
) -> Sequence[Indices] | None:
    """Return items among which about the best `count` of each unit are; None: all must be scored."""
    near = getattr(scorer, "near", None)
    lists: Sequence[Indices] | None = near(histories, count) if near is not None else None
    return lists


def vectors_of(scorer: Scorer) -> Floats | None:
    """Return a form's item vectors, (n, d), of any length; None where it has none."""
    vectors: Floats | None = getattr(scorer, "item_vectors", None)
    return vectors


def vector_forms(scorer: Scorer) -> dict[str, ByVector]:
    """Return the forms within a scorer of which an index can be made, by their names."""
    if isinstance(scorer, ByVector):
        return {"items": scorer} if scorer.reads_history else {}
    parts = scorer.parts if isinstance(scorer, Blend) else ()
    return {
        part_name(place, name): form
        for place, part in enumerate(parts)
        for name, form in vector_forms(part).items()
    }


def context_scores_of(scorer: Scorer, items: Indices, words: Mapping[str, str]) -> Floats:
    """Return what a request's context adds to the scores of items, (m,); 0 for a form without it."""
    read = getattr(scorer, "context_scores", None)
    if read is None:
        return np.zeros(len(items), np.float32)
    scores: Floats = read(items, words)
    return scores


def part_name(place: int, name: str) -> str:
    """Return what an array of a blend's part is called in the blend's artifact."""
    return f"part{place}.{name}"


def _load_part(load: Load, place: int) -> Load:
    return lambda name: load(part_name(place, name))


SCORERS: Mapping[str, Any] = {
    VECTORS: Vectors,
    CONTEXTUAL: ContextualVectors,
    NEIGHBOURS: Neighbours,
    FACTORS: Factors,
    BLEND: Blend,
    ORDER: FixedOrder,
    SEQUENCE: Sequential,
    "python": CandidateOrder,
    "endpoint": CandidateOrder,
}


def load_scorer(form: str, folder: Path) -> Scorer:
    """Return the scorer of an artifact.

    Raises:
        ArtifactError: a form that no scorer serves.
    """
    return scorer_of(form, partial(load_array, folder))


def scorer_of(form: str, load: Load) -> Scorer:
    """Return the scorer of arrays, wherever they lie.

    Raises:
        ArtifactError: a form that no scorer serves.
    """
    if form not in SCORERS:
        raise ArtifactError(f"form == '{form}', must be one of {sorted(SCORERS)} to rank items.")
    scorer: Scorer = SCORERS[form](load)
    return scorer


def draft_vectors(
    *,
    item_ids: Sequence[str],
    item_vectors: Floats,
    context_vectors: Floats,
    bias: Floats,
    default_order: Indices,
    about: Mapping[str, Any],
    attention: Floats | None = None,
    recency: Floats | None = None,
) -> ArtifactDraft:
    """Return a draft of the form `vectors`; without attention all recent items weigh alike.

    Args:
        item_ids: n items.
        item_vectors: V, float32 (n, d).
        context_vectors: C, float32 (n, d).
        bias: b, float32 (n,).
        default_order: int32 (m,): indices to serve a unit of whom nothing is known.
        about: what made it.
        attention: q, float32 (d,).
        recency: p, float32 (h,): the longest history that is read.
    """
    width = item_vectors.shape[1]
    arrays = {
        "item_vectors": item_vectors,
        "context_vectors": context_vectors,
        "bias": bias,
        "attention": np.zeros(width, np.float32) if attention is None else attention,
        "recency": np.zeros(MAX_HISTORY, np.float32) if recency is None else recency,
        "default_order": default_order,
    }
    return ArtifactDraft(form=VECTORS, arrays=arrays, item_ids=item_ids, about=about)


def draft_blend(
    parts: Sequence[ArtifactDraft], weights: Sequence[float], about: Mapping[str, Any]
) -> ArtifactDraft:
    """Return a draft of the form `blend`.

    Args:
        parts: drafts of other forms over the same items; the first one's default order is served to
            a unit of whom nothing is known.
        weights: of the parts' scores, as they are.
        about: what made it.
    """
    arrays: dict[str, NDArray[Any]] = {
        "forms": np.array([part.form for part in parts]),
        "weights": np.array(weights, dtype=np.float32),
        "default_order": parts[0].arrays["default_order"],
    }
    for place, part in enumerate(parts):
        arrays |= {part_name(place, name): array for name, array in part.arrays.items()}
    return ArtifactDraft(form=BLEND, arrays=arrays, item_ids=parts[0].item_ids, about=about)


def draft_neighbours(
    *,
    item_ids: Sequence[str],
    similarity: Floats,
    keep: int,
    bias: Floats,
    default_order: Indices,
    about: Mapping[str, Any],
) -> ArtifactDraft:
    """Return a draft of the form `neighbours` from a dense matrix.

    Args:
        item_ids: n items.
        similarity: S, floats (n, n); row j says what a like of item j adds to the others.
        keep: entries that are kept a row: those of the largest absolute value.
        bias: b, float32 (n,).
        default_order: int32 (m,).
        about: what made it.
    """
    nearest, weights = [], []
    for line in similarity:
        top = (
            np.argpartition(-np.abs(line), keep - 1)[:keep]
            if keep < len(line)
            else np.arange(len(line))
        )
        top = np.sort(top[line[top] != 0]).astype(np.int32)
        nearest.append(top)
        weights.append(line[top].astype(np.float32))
    arrays = {
        "starts": np.cumsum([0, *map(len, nearest)]).astype(np.int64),
        "nearest": np.concatenate(nearest),
        "weights": np.concatenate(weights),
        "bias": bias,
        "default_order": default_order,
    }
    return ArtifactDraft(form=NEIGHBOURS, arrays=arrays, item_ids=item_ids, about=about)
