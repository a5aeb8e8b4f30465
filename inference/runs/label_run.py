"""What every step of a classifier's run reads: examples, split once; how to fit and judge on them."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from inference.algorithms import classifiers
from inference.evaluation.gate import DECISION_COST, Rival
from inference.evaluation.labelling import score_labels
from inference.runs.finished_fits import FinishedFit, FinishedFits
from inference.runs.label_calibration import (
    CalibratedRecipe,
    calibrated_by_halves,
    undo_temperature,
    validation_part,
    without_maps,
)
from inference.runs.label_groups import group_views
from inference.runs.outcome import Recipe, RunError, RunPlan, RunProgress, Trial, Validation
from inference.serving.artifact import ArtifactDraft, Floats, save_artifact
from inference.serving.example_images import with_images
from inference.serving.isotonic import METHOD as ISOTONIC
from inference.serving.label_costs import ABSTAINED, table_of
from inference.serving.model_worker import open_worker_model
from inference.training.data import LabelledData
from inference.training.label_names import MAX_LABELS
from inference.training.split import split_examples, why_too_few

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from inference.classifiers import Classifier
    from inference.evaluation.scores import Scores
    from inference.serving.label_costs import CostTable
    from inference.training.snapshot import Examples

MAX_VALIDATED = 500  # examples that judge a draw of hyper-parameters


@dataclass(frozen=True, slots=True)
class ExampleImages:
    """The images of a run's examples.

    Attributes:
        vectors: as the encoder made them, float32 (n, width), zeros where there is none; None for none.
        encoder: SHA-256 of the encoder.
        refused: why images are not used, and how many each.
    """

    vectors: Floats | None = None
    encoder: str = ""
    refused: Mapping[str, int] = field(default_factory=dict)


NO_IMAGES = ExampleImages()


@dataclass(frozen=True, slots=True)
class JudgedLabels:
    """A model's labels of the held-out examples, as serving would give them.

    Attributes:
        scores: against the true labels.
        fit_seconds: how long the fit took; 0 when it was not timed.
        uncalibrated: scores without its temperature; None where it has none.
        groups: how it does for groups; see `group_views`.
    """

    scores: Scores
    fit_seconds: float = 0.0
    uncalibrated: Scores | None = None
    groups: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabelRun:
    """A classifier's run on split data.

    Attributes:
        plan: what is trained, and against which champion.
        examples: the snapshot.
        whole: all of it, as arrays.
        earlier: what is learnt from.
        held_out: what is judged by.
        later: rows of the examples that are held out.
        images: of the examples.
    """

    kind: ClassVar[str] = "classify"

    plan: RunPlan
    examples: Examples
    whole: LabelledData
    earlier: LabelledData
    held_out: LabelledData
    later: NDArray[np.int64]
    images: ExampleImages = NO_IMAGES

    @classmethod
    def of(cls, plan: RunPlan, examples: Examples, images: ExampleImages = NO_IMAGES) -> LabelRun:
        """Split the examples.

        Raises:
            RunError: too little data, or too many labels.
        """
        whole = _as_arrays(examples, images)
        earlier, later = split_examples(examples)
        if why := why_too_few(examples):
            raise RunError(why)
        return cls(plan, examples, whole, whole.rows(earlier), whole.rows(later), later, images)

    @property
    def algorithm(self) -> Classifier:
        """What is trained."""
        return classifiers()[self.plan.recipe.algorithm]

    @property
    def deciding(self) -> str:
        """The metric by which candidates are compared: a rule that only true probabilities win."""
        return "log_score" if self.cost_table is None else DECISION_COST

    def with_plan(self, plan: RunPlan) -> LabelRun:
        """Return a run of the same rows."""
        return replace(self, plan=plan)

    def try_recipe(self, recipe: Recipe, progress: RunProgress) -> Trial:
        """Fit a recipe on the earlier examples, once, and judge it on the later ones."""
        fit = self.calibrated_fit(recipe, self.plan.seed, progress)
        scores = self.judge(fit.draft).scores
        figures = {metric: scores.mean(metric) for metric in scores.per_unit}
        figures["calibration_error"] = scores.whole["calibration_error"]
        return Trial(recipe, fit.seconds, _value_of(scores, self.deciding), figures, scores)

    def prior(self) -> Scores:
        """Score the answer that reads nothing: each label's share of the earlier examples."""
        # One more of each: a label that was only held out may not have probability 0.
        counts = np.bincount(self.earlier.truth, minlength=len(self.earlier.labels)) + 1
        shares = (counts / counts.sum()).astype(np.float32)
        return self.score(np.tile(shares, (len(self.held_out.truth), 1)))

    def first_rival(self) -> Rival:
        """Return whom a first version is judged against: the labels' shares."""
        return Rival("the labels' shares", self.prior(), beaten="log_score")

    def calibrated_fit(
        self,
        recipe: Recipe,
        seed: int,
        progress: RunProgress,
        *,
        calibrated: CalibratedRecipe | None = None,
    ) -> FinishedFit:
        """Fit a recipe on the earlier examples, or take the fit that the run has made already.

        Args:
            recipe: what is fitted.
            seed: of the fit.
            progress: receives the share done and losses.
            calibrated: the recipe with its calibration, where that is known; it is fitted otherwise.
        """
        folder = self.plan.place.checkpoints
        # A recipe that is tried alone is fitted once, by several processes at a time perhaps.
        fits = FinishedFits(folder and folder / "fits" if self.plan.portfolio is not None else None)
        key = f"{recipe.key}-seed-{seed}-rows-{len(self.earlier.texts)}"
        finished = fits.find(key)
        if finished is None:
            start = time.perf_counter()
            if calibrated is None:
                calibrated = CalibratedRecipe.of(self, recipe, progress.span(0.0, 0.5))
                progress = progress.span(0.5, 1.0)
            draft = calibrated.fit(seed, progress)
            finished = FinishedFit(draft, time.perf_counter() - start)
            fits.keep(key, finished)
        return finished

    def validation_of(self, _default: Recipe) -> Validation | None:
        """Judge by each label's last fifth of the earlier examples, at most `MAX_VALIDATED`."""
        learnt, aside = validation_part(self.earlier)
        if not len(aside):
            return None
        inner = self.earlier.rows(learnt)
        judging = self.earlier.rows(aside[:: -(-len(aside) // MAX_VALIDATED)])

        def value_of(recipe: Recipe, share: float, progress: RunProgress) -> float:
            draft = self.fit_aside(inner.part(share, self.plan.seed), recipe, progress)
            # What goes on is calibrated too: else the draw would win that needs it least.
            stated = calibrated_by_halves(self.predict(draft, judging), judging.truth)
            return _value_of(self.score(stated, judging), self.deciding)

        return Validation(self.deciding, value_of)

    def fit(
        self, recipe: Recipe, data: LabelledData, seed: int, progress: RunProgress
    ) -> ArtifactDraft:
        """Fit a recipe on some examples."""
        options = self.plan.options(recipe, seed, len(data.texts), progress)
        return classifiers()[recipe.algorithm].fit(data, options)

    def fit_earlier(self, progress: RunProgress) -> ArtifactDraft:
        """Fit the run's recipe on the examples that are learnt from."""
        return self.fit(self.plan.recipe, self.earlier, self.plan.seed, progress)

    def fit_aside(
        self, data: LabelledData, recipe: Recipe | None = None, progress: RunProgress | None = None
    ) -> ArtifactDraft:
        """Fit the run's recipe, or another, for a check or a view: nothing is resumed."""
        aside = replace(self.plan, place=replace(self.plan.place, checkpoints=None))
        fitted = recipe or self.plan.recipe
        return replace(self, plan=aside).fit(fitted, data, self.plan.seed, progress or RunProgress())

    def judge(self, draft: ArtifactDraft, *, fit_seconds: float = 0.0) -> JudgedLabels:
        """Score what was fitted on the held-out examples, through the artifact that would serve.

        Raises:
            RunError: its probabilities are none.
        """
        probabilities = self.predict(draft, self.held_out)
        before = self._uncalibrated(draft, probabilities)
        groups = group_views(self.plan.labelling, self.held_out, probabilities)
        return JudgedLabels(self.score(probabilities), fit_seconds, before, groups)

    def _uncalibrated(self, draft: ArtifactDraft, probabilities: Floats) -> Scores | None:
        """Score the held-out examples as if nothing were calibrated; None where nothing is."""
        calibration = draft.about.get("calibration")
        if calibration is None:
            return None
        if calibration["method"] == ISOTONIC:
            probabilities = self.predict(without_maps(draft), self.held_out)
        raw = undo_temperature(probabilities, calibration["temperature"])
        return score_labels(raw, self.held_out.truth)

    def predict(self, draft: ArtifactDraft, data: LabelledData) -> Floats:
        """Return probabilities of some examples, through the artifact that would serve.

        Raises:
            RunError: they are none.
        """
        with tempfile.TemporaryDirectory() as scratch:
            classifier = open_worker_model(Path(scratch), save_artifact(Path(scratch), draft))
            return check_probabilities(classifier.probabilities(data.texts, data.features))

    def score(self, probabilities: Floats, data: LabelledData | None = None) -> Scores:
        """Score probabilities of some examples, (examples, labels); None: the held-out ones.

        Where the surface states costs, per example too: what the decision cost and, where it may be
        left to a person, whether it was; of both, lower is better.
        """
        truth = (self.held_out if data is None else data).truth
        scores, costs = score_labels(probabilities, truth), self.cost_table
        if costs is None:
            return scores
        choices, _ = costs.choose(probabilities)
        decided = {DECISION_COST: costs.realised(choices, truth)}
        if costs.abstain is not None:
            decided["abstained"] = (choices == ABSTAINED).astype(float)
        return replace(scores, per_unit={**scores.per_unit, **decided})

    @property
    def cost_table(self) -> CostTable | None:
        """What mistakes cost; None where the surface does not say."""
        costs = self.plan.labelling.costs
        return table_of(costs, tuple(self.whole.labels)) if costs.are_stated else None

    def answer_by(self, digest: str) -> Callable[[int], object]:
        """Return what does the n-th held-out text's request by an artifact: label it.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        classifier, data = open_worker_model(self.plan.place.artifacts, digest), self.held_out

        def answer(n: int) -> object:
            row = n % len(data.texts)
            return classifier.probabilities([data.texts[row]], [data.features[row]])

        return answer


def _value_of(scores: Scores, metric: str) -> float:
    """Return what is compared: higher is better."""
    return -scores.mean(metric) if metric == DECISION_COST else scores.mean(metric)


def _as_arrays(examples: Examples, images: ExampleImages) -> LabelledData:
    labels = sorted(set(examples.labels))
    if not 2 <= len(labels) <= MAX_LABELS:
        raise RunError(f"labels == {len(labels)}, must be between 2 and {MAX_LABELS}.")
    index = {label: i for i, label in enumerate(labels)}
    truth = np.array([index[label] for label in examples.labels], dtype=np.int64)
    features: Sequence[Mapping[str, Any]] = examples.features
    if images.vectors is not None:
        features = with_images(features, images.vectors)
    users = _users_of(examples)
    return LabelledData(examples.texts, features, truth, labels, users, images.encoder)


def _users_of(examples: Examples) -> NDArray[np.int64]:
    """Return the index of each example's user; each that was loaded has one of its own."""
    names = [unit or f"\0{row}" for row, unit in enumerate(examples.unit_ids)]
    return np.asarray(np.unique(names, return_inverse=True)[1], dtype=np.int64)


def check_probabilities(answers: Floats) -> Floats:
    """Return a model's answers as shares of 1, float32 (texts, labels).

    Raises:
        RunError: some are not finite or negative, or a row has none.
    """
    answers = np.asarray(answers, dtype=np.float32)
    if not np.isfinite(answers).all() or (answers < 0).any() or (answers.sum(1) <= 0).any():
        raise RunError("the model's probabilities are not finite, negative, or all 0 for some text.")
    shares: Floats = answers / answers.sum(1, keepdims=True)
    return shares
