"""What every step of a recommender's run reads: likes, split once, and how to fit and judge on them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from inference.algorithms import REMOTE, recommenders
from inference.evaluation.ranking import WEIGHTED
from inference.recommenders.blend import Blend, mean_ndcg
from inference.runs.finished_fits import FinishedFit, FinishedFits
from inference.runs.outcome import Recipe, RunError, RunPlan, RunProgress, Trial, Validation
from inference.runs.rankings import JudgedRankings, judge_rankings
from inference.serving.model_worker import open_worker_model
from inference.serving.models import DEADLINE_MS
from inference.serving.ranker import Ranker
from inference.serving.scorers import scorer_of
from inference.training.data import TrainingData
from inference.training.split import SplitData, UnitLikes, hidden_of, hold_out_last, split_by_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from inference.evaluation.gate import GateRule, Rival
    from inference.recommenders import Recommender
    from inference.runs.off_policy_view import Log
    from inference.serving.artifact import ArtifactDraft, Floats
    from inference.training.snapshot import Likes

MIN_JUDGED = 20  # units; fewer cannot tell a model from chance
TIMED_CANDIDATES = 200  # candidates a request re-ranks, as surfaces do by default
TIMED_HISTORY = 50  # recent items a request carries
MAX_VALIDATED = 500  # units that judge a draw of hyper-parameters
SHOWN = ("ndcg", "recall", "hit_rate")  # of a candidate
MAX_JUDGED_REMOTELY = 300  # units; a remote model takes one request for each


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items.

    Attributes:
        item_ids: n of them.
        vectors: of their texts, float32 (n, e), or None.
        texts: of them, or None.
        custom_vectors: that the user supplied, float32 (n, o), or None.
        other_widths: how many of those are not read, for their width.
        images: vectors of their images, centred and of length 1, float32 (n, i), or None.
        refused_images: why images are not used, and how many each.
        vectors_by: of their texts by another encoder, by the version that made it.
        other_texts: of the project beside its items'.
        without_text: whether an item says nothing but its id, (n,); None: none of them.
        published_at: from when on each can be shown, in seconds, (n,); None: all, always.
        expires_at: until when, likewise.
    """

    item_ids: list[str]
    vectors: Floats | None = None
    texts: list[str] | None = None
    custom_vectors: Floats | None = None
    images: Floats | None = None
    refused_images: Mapping[str, int] = field(default_factory=dict)
    vectors_by: Mapping[str, Floats] = field(default_factory=dict)
    other_texts: Sequence[str] = ()
    other_widths: int = 0
    without_text: NDArray[np.bool_] | None = None
    published_at: NDArray[np.float64] | None = None
    expires_at: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class RankingRun:
    """A recommender's run on split data.

    Attributes:
        plan: what is trained, and against which champion.
        likes: the snapshot.
        catalogue: the items.
        split: per unit, the likes to learn from and those held out.
        judged: indices of the units that are judged.
    """

    kind: ClassVar[str] = "recommend"

    plan: RunPlan
    likes: Likes
    catalogue: Catalogue
    split: SplitData
    judged: list[int]

    @classmethod
    def of(
        cls, plan: RunPlan, likes: Likes, catalogue: Catalogue, *, gap_seconds: float = 0.0
    ) -> RankingRun:
        """Split the likes and choose the units to judge.

        Raises:
            RunError: too little data.
        """
        split = replace(
            _split(likes, catalogue.item_ids, gap_seconds),
            published_at=catalogue.published_at,
            expires_at=catalogue.expires_at,
        )
        judged = split.judged
        if plan.recipe.algorithm in REMOTE:
            every = max(1, -(-len(judged) // MAX_JUDGED_REMOTELY))
            judged = judged[::every]
        if split.is_weighted:  # what the surface says that it is after decides
            plan = replace(plan, rule=replace(plan.rule, primary=WEIGHTED[0]))
        return cls(plan, likes, catalogue, split, judged)

    @property
    def algorithm(self) -> Recommender:
        """What is trained."""
        return recommenders()[self.plan.recipe.algorithm]

    @property
    def is_remote(self) -> bool:
        """Whether the model is a custom one, which answers outside of this process."""
        return self.plan.recipe.algorithm in REMOTE

    @property
    def gate_rule(self) -> GateRule:
        """The gate's rule; a remote model may take as long as its deadline."""
        if not self.is_remote:
            return self.plan.rule
        deadline_ms = self.plan.recipe.params.get("deadline_ms", DEADLINE_MS)
        return replace(self.plan.rule, most_latency_ms=float(deadline_ms))

    def with_plan(self, plan: RunPlan) -> RankingRun:
        """Return a run of the same rows."""
        return replace(self, plan=plan)

    def data(self, units: Sequence[UnitLikes], recipe: Recipe | None = None) -> TrainingData:
        """Return the training data that some units make, as a recipe reads it; None: the run's."""
        encoder = (recipe or self.plan.recipe).encoder
        vectors = self.catalogue.vectors_by[encoder] if encoder else self.catalogue.vectors
        return TrainingData(
            item_ids=self.catalogue.item_ids,
            item_vectors=vectors,
            item_texts=self.catalogue.texts,
            custom_vectors=self.catalogue.custom_vectors,
            image_vectors=self.catalogue.images,
            other_texts=self.catalogue.other_texts,
            without_text=self.catalogue.without_text,
            liked=[unit.items for unit in units],
            liked_at=[unit.at for unit in units],
            chance=[unit.chance for unit in units],
            importance=[unit.weight for unit in units] if self.split.is_weighted else None,
            disliked=[unit.disliked for unit in units] if self.likes.dislikes.unit_ids else None,
            features=self.split.features,
            words=[unit.words for unit in units] if self.split.features else None,
            published_at=self.catalogue.published_at,
            expires_at=self.catalogue.expires_at,
        )

    def fit(
        self, recipe: Recipe, units: Sequence[UnitLikes], seed: int, progress: RunProgress
    ) -> ArtifactDraft:
        """Fit a recipe on some units."""
        return self.timed_fit(recipe, units, seed, progress).draft

    def timed_fit(
        self, recipe: Recipe, units: Sequence[UnitLikes], seed: int, progress: RunProgress
    ) -> FinishedFit:
        """Fit a recipe on some units, or take the fit that the run has made already."""
        data = self.data(units, recipe)
        rows = sum(map(len, data.liked))
        options = self.plan.options(recipe, seed, rows, progress)
        folder = self.plan.place.checkpoints
        fits, key = FinishedFits(folder and folder / "fits"), f"{recipe.key}-seed-{seed}-rows-{rows}"
        finished = fits.find(key)
        if finished is None:
            start = time.perf_counter()
            draft = recommenders()[recipe.algorithm].fit(data, options)
            finished = FinishedFit(draft, time.perf_counter() - start)
            fits.keep(key, finished)
        return finished

    def fit_earlier(self, progress: RunProgress) -> ArtifactDraft:
        """Fit the run's recipe on the likes that are learnt from."""
        return self.fit(self.plan.recipe, self.split.past, self.plan.seed, progress)

    def fit_aside(self, units: Sequence[UnitLikes]) -> ArtifactDraft:
        """Fit the run's recipe for a view: no progress is shown, and nothing is resumed."""
        return self.fit_probe(self.plan.recipe, self.data(units))

    def fit_probe(
        self, recipe: Recipe, data: TrainingData, progress: RunProgress | None = None
    ) -> ArtifactDraft:
        """Fit a recipe on other data for a check, a view or a search; nothing is resumed."""
        aside = replace(self.plan, place=replace(self.plan.place, checkpoints=None))
        options = aside.options(recipe, aside.seed, 0, progress or RunProgress())
        return recommenders()[recipe.algorithm].fit(data, options)

    def judge(
        self, draft: ArtifactDraft, *, log: Log | None = None, fit_seconds: float = 0.0
    ) -> JudgedRankings:
        """Score what was fitted on the held-out likes of the judged units."""
        return judge_rankings(
            draft, self.split, self.judged, self.plan, log=log, fit_seconds=fit_seconds
        )

    def try_recipe(self, recipe: Recipe, progress: RunProgress) -> Trial:
        """Fit a recipe on the earlier likes, once, and judge it on the later ones."""
        fit = self.timed_fit(recipe, self.split.past, self.plan.seed, progress)
        if recipe.algorithm == Blend.name:
            # With the weights: what goes to the gate is what was judged here.
            recipe = replace(recipe, params={**recipe.params, **fit.draft.about["params"]})
        scores = self.judge(fit.draft).scores
        figures = {metric: scores.mean(metric) for metric in SHOWN}
        figures["coverage"] = scores.whole["coverage"]
        return Trial(recipe, fit.seconds, scores.mean(self.plan.rule.primary), figures)

    def first_rival(self) -> Rival | None:
        """Return whom a first version is judged against: nobody."""
        return None

    def validation_of(self, default: Recipe) -> Validation | None:
        """Judge by each unit's last likes of the earlier ones, at most `MAX_VALIDATED` units."""
        data = self.data(self.split.past, default)
        learnt, judged, wanted = hold_out_last(data)
        if not judged:
            return None
        every = -(-len(judged) // MAX_VALIDATED)
        histories = [learnt.liked[unit] for unit in judged[::every]]
        hidden = partial(hidden_of, data, judged[::every], wanted[::every])
        order = np.random.default_rng(self.plan.seed).permutation(len(learnt.liked))

        def value_of(recipe: Recipe, share: float, progress: RunProgress) -> float:
            chosen = np.sort(order[: max(2, round(share * len(order)))])
            draft = self.fit_probe(recipe, learnt.of_units(chosen), progress)
            scorer = scorer_of(draft.form, draft.arrays.__getitem__)
            return float(mean_ndcg([scorer], [np.ones(1)], histories, wanted[::every], hidden)[0])

        return Validation("ndcg", value_of)

    def answer_by(self, digest: str) -> Callable[[int], object]:
        """Return what does the n-th judged unit's request by an artifact: score candidates.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        root = self.plan.place.artifacts
        ranker = Ranker(root, digest)
        model = open_worker_model(root, digest) if ranker.is_remote else None
        candidates = ranker.default_order[:TIMED_CANDIDATES]
        names = [ranker.item_ids[i] for i in candidates]
        contexts = [self.split.context_of(unit) for unit in self.judged]

        def answer(n: int) -> object:
            unit = self.judged[n % len(self.judged)]
            history = self.split.past[unit].items[::-1][:TIMED_HISTORY]
            recent = [self.split.item_ids[i] for i in history]
            if model is None:
                added = ranker.context_scores(candidates, contexts[n % len(contexts)])
                return ranker.score(candidates, ranker.indices_of(recent)) + added
            return model.rank(f"unit-{unit}", recent, names, {})

        return answer


def _split(likes: Likes, item_ids: Sequence[str], gap_seconds: float) -> SplitData:
    """Split with a gap where the log spans it; a log that is younger than the gap has none."""
    split = split_by_time(likes, item_ids, gap_seconds=gap_seconds)
    if gap_seconds:
        without_gap = split_by_time(likes, item_ids)
        # A gap that costs more than half of the judged units is longer than most of the log.
        if len(split.judged) < len(without_gap.judged) / 2:
            split = without_gap
    if not split.whole and likes.unit_ids:
        raise RunError(
            f"every liked item is unknown: none of {len(set(likes.item_ids))} is in the catalogue of "
            f"{len(item_ids)} items. Load items of these ids with `bakeoff load items` or "
            "PUT /v1/items."
        )
    if len(split.judged) < MIN_JUDGED:
        raise RunError(
            f"units with held-out likes == {len(split.judged)}, must be at least {MIN_JUDGED}."
        )
    return split
