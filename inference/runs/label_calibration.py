"""Probabilities that are true: a temperature, and maps where they are better, fitted on rows apart.

A regression with little regularisation is too sure of itself, one with much too unsure. Dividing its
logits by a temperature T leaves the order of labels as it is and makes the confidences honest (Guo et
al. 2017, On calibration of modern neural networks). T minimises the log loss of a validation part: each
label's last fifth of the rows that are learnt from. The held-out rows, which judge, are never read.
Where it gains nothing to speak of, T is 1.
What is cheap to fit is fitted twice: without the validation part for T, then on all with that T. What
is dear never learns from the validation part.

A linear head is divided by T itself, so that serving does not know of it. Where a line per label (see
`label_isotonic`) is better than T alone on rows of the validation part that neither was fitted on, both
go into the artifact. Custom models state their own probabilities, and stay as they are.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from inference.algorithms import CUSTOM, classifiers
from inference.evaluation.labelling import MIN_PROBABILITY
from inference.runs.label_isotonic import (
    Comparison,
    compare_maps,
    fit_maps,
    half_of_each_label,
    log_scores,
)
from inference.serving.isotonic import METHOD as ISOTONIC
from inference.serving.text_classifiers import softmax
from inference.training.snapshot import Examples
from inference.training.split import split_examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.runs.outcome import Recipe, RunProgress
    from inference.serving.artifact import ArtifactDraft, Floats
    from inference.serving.isotonic import IsotonicMaps
    from inference.training.data import LabelledData

MIN_ROWS = 50  # of fewer, T's standard error is as large as what it mends
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0  # at either end the probabilities say nothing any more
# Of log score a row: a true label's probability grows by a thousandth of itself. To ask for a standard
# error instead loses more by models that stay too sure than it wins by others: .050, .013 at 50 rows.
MIN_GAIN = 0.001
HEAD = frozenset(("weights", "offset"))


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was fitted on a validation part.

    Attributes:
        temperature: what logits are divided by; above 1 for a model that was too sure.
        rows: of the validation part.
        maps: what is applied after it; None where the temperature alone is as good.
        comparison: why there are maps.
    """

    temperature: float
    rows: int
    maps: IsotonicMaps | None = None
    comparison: Comparison | None = None

    def apply(self, draft: ArtifactDraft) -> ArtifactDraft:
        """Return a model whose probabilities are calibrated."""
        scaled = {
            name: (array / self.temperature).astype(array.dtype) if name in HEAD else array
            for name, array in draft.arrays.items()
        }
        arrays = {**scaled, **(self.maps.arrays() if self.maps else {})}
        return replace(draft, arrays=arrays, about={**draft.about, "calibration": self.as_json()})

    def as_json(self) -> dict[str, Any]:
        """Return what the manifest says."""
        plain = {"method": "temperature", "temperature": self.temperature, "rows": self.rows}
        if self.comparison is None:
            return plain
        return {**plain, "method": ISOTONIC, "brier": asdict(self.comparison)}


class LabelFits(Protocol):
    """What calibration asks of a run: rows, and fits on them."""

    @property
    def earlier(self) -> LabelledData:
        """What is learnt from."""
        ...

    @property
    def whole(self) -> LabelledData:
        """All rows."""
        ...

    def fit(
        self, recipe: Recipe, data: LabelledData, seed: int, progress: RunProgress
    ) -> ArtifactDraft:
        """Fit a recipe on some rows."""
        ...

    def fit_aside(self, data: LabelledData, recipe: Recipe, progress: RunProgress) -> ArtifactDraft:
        """Fit a recipe for a check: nothing is resumed."""
        ...

    def predict(self, draft: ArtifactDraft, data: LabelledData) -> Floats:
        """Return probabilities of some rows, (rows, labels)."""
        ...


@dataclass(frozen=True, slots=True)
class CalibratedRecipe:
    """A recipe with how it is calibrated, the same for every fit of a run.

    Attributes:
        run: on whose data.
        recipe: what is fitted.
        learnt: rows of the fits that are judged: all earlier ones, or all but the validation part.
        validation: what temperatures are fitted on; None where that is not done.
        calibration: of what is fitted twice; None where each fit has its own, or none has any.
    """

    run: LabelFits
    recipe: Recipe
    learnt: LabelledData
    validation: LabelledData | None = None
    calibration: Calibration | None = None

    @classmethod
    def of(cls, run: LabelFits, recipe: Recipe, progress: RunProgress) -> CalibratedRecipe:
        """Set the validation part apart, and fit the temperature where a fit is cheap.

        Args:
            run: on whose data.
            recipe: what is fitted.
            progress: receives the share done of the fit for the temperature.
        """
        learnt, validation = validation_part(run.earlier)
        algorithm = classifiers()[recipe.algorithm]
        # A temperature would be one more thing that is learnt of the users, without noise.
        is_left = recipe.algorithm in CUSTOM or getattr(algorithm, "is_private", False)
        if is_left or len(validation) < MIN_ROWS:
            return cls(run, recipe, run.earlier)
        inner, aside = run.earlier.rows(learnt), run.earlier.rows(validation)
        if not algorithm.refits:
            return cls(run, recipe, inner, aside)
        calibration = _calibrate(run, run.fit_aside(inner, recipe, progress), aside)
        return cls(run, recipe, run.earlier, calibration=calibration)

    def fit(self, seed: int, progress: RunProgress) -> ArtifactDraft:
        """Fit what is judged."""
        draft = self.run.fit(self.recipe, self.learnt, seed, progress)
        if self.validation is None:
            return self._apply(draft)
        calibration = _calibrate(self.run, draft, self.validation)
        return draft if calibration is None else calibration.apply(draft)

    def fit_on_all(self, seed: int, progress: RunProgress) -> ArtifactDraft:
        """Fit what is exported, on every row; what is fitted once is not asked."""
        return self._apply(self.run.fit(self.recipe, self.run.whole, seed, progress))

    def _apply(self, draft: ArtifactDraft) -> ArtifactDraft:
        return draft if self.calibration is None else self.calibration.apply(draft)


def _calibrate(run: LabelFits, draft: ArtifactDraft, validation: LabelledData) -> Calibration | None:
    if not draft.arrays.keys() >= HEAD:  # a package's classifier, of a form without a linear head
        return None
    stated, truth = run.predict(draft, validation), validation.truth
    scale, rows = choose_scale(stated, truth), len(truth)
    comparison = compare_maps(stated, truth, choose_scale)
    maps = fit_maps(scale(stated), truth) if comparison is not None else None
    return Calibration(scale.temperature, rows, maps, comparison)


@dataclass(frozen=True, slots=True)
class Scale:
    """Divides logits by a temperature."""

    temperature: float

    def __call__(self, stated: Floats) -> Floats:
        """Return probabilities, (rows, labels), at this temperature."""
        return undo_temperature(stated, 1 / self.temperature)


def choose_scale(stated: Floats, truth: NDArray[np.int64]) -> Scale:
    """Fit a temperature; 1 where one gains nothing to speak of on rows that it was not fitted on.

    A model that is calibrated already would only be bent by the validation part's chance.
    """
    halves = half_of_each_label(truth)
    gain = np.empty(len(truth))
    for fitted in (halves, ~halves):
        scaled = Scale(fit_temperature(stated[fitted], truth[fitted]))(stated[~fitted])
        gain[~fitted] = log_scores(scaled, truth[~fitted]) - log_scores(stated[~fitted], truth[~fitted])
    return Scale(fit_temperature(stated, truth) if gain.mean() > MIN_GAIN else 1.0)


def calibrated_by_halves(stated: Floats, truth: NDArray[np.int64]) -> Floats:
    """Return probabilities at a temperature that was fitted on the other half of each label's rows.

    Args:
        stated: of a model that has not learnt from these rows, (rows, labels).
        truth: index of the true label, (rows,).
    """
    if len(truth) < MIN_ROWS:
        return stated
    halves, calibrated = half_of_each_label(truth), np.empty_like(stated)
    for fitted in (halves, ~halves):
        calibrated[~fitted] = choose_scale(stated[fitted], truth[fitted])(stated[~fitted])
    return calibrated


def without_maps(draft: ArtifactDraft) -> ArtifactDraft:
    """Return a calibrated model as it was before its maps: with its temperature alone."""
    about = {**draft.about, "calibration": {**draft.about["calibration"], "method": "temperature"}}
    return replace(draft, about=about)


def validation_part(data: LabelledData) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows to learn from, and rows to fit a temperature on: each label's last fifth."""
    labels = [data.labels[index] for index in data.truth]
    return split_examples(Examples((), data.texts, data.features, labels, ()))


def fit_temperature(probabilities: Floats, truth: NDArray[np.int64]) -> float:
    """Return the temperature of least log loss.

    Args:
        probabilities: of a model that has not learnt from these rows, (rows, labels).
        truth: index of the true label, (rows,).
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415  web processes import runs' types

    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-12))

    def log_loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        highest = scaled.max(1)
        totals = np.log(np.exp(scaled - highest[:, None]).sum(1)) + highest
        loss = (totals - scaled[np.arange(len(truth)), truth]).mean()
        # As if log T were standard normal before the rows were seen: where all of a few rows are
        # right, the loss alone would ask for certainty.
        return float(loss + log_temperature**2 / (2 * len(truth)))

    bounds = (np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE))
    return float(np.exp(minimize_scalar(log_loss, bounds=bounds, method="bounded").x))


def undo_temperature(probabilities: Floats, temperature: float) -> Floats:
    """Return the probabilities that the model had before its calibration."""
    logits = temperature * np.log(np.maximum(probabilities, MIN_PROBABILITY**2))
    return softmax(logits.astype(np.float32))
