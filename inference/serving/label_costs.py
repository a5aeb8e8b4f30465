"""Which label is answered, by what a mistake costs; or none, where asking a person is cheaper.

Expected cost of answering a: Σ_t p(t) · cost(t, a), over true labels t, where a right answer costs
nothing and a mistake 1 unless the surface says otherwise. The answer is the label of least expected
cost (Elkan 2001, The foundations of cost-sensitive learning). Where even that costs more than asking a
person, there is no answer (Chow 1970, On optimum recognition error and reject tradeoff). Both rest on
true probabilities, hence `inference/runs/label_calibration.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.folded_labels import fold_label

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from inference.serving.artifact import Floats

COSTS, ABSTAIN_COST = "costs", "abstain_cost"
MISTAKE = 1.0  # what a mistake costs where the surface does not say
MAX_LABEL_COST = 1e9  # sums of a million answers stay exact enough
MAX_COSTS = 10_000  # stated costs: each is added in every answer
ABSTAINED = -1  # in place of a label's index


class CostError(ValueError):
    """Costs that break a rule; `field` names where."""

    def __init__(self, message: str, *, field: str) -> None:
        """Keep the field beside the message."""
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class LabelCosts:
    """What mistakes cost on a surface.

    Attributes:
        stated: folded true label, folded answered label, cost; sorted.
        abstain: what asking a person costs; None: a label is always answered.
    """

    stated: tuple[tuple[str, str, float], ...] = ()
    abstain: float | None = None

    @classmethod
    def parse(cls, costs: object, abstain_cost: object = None) -> LabelCosts:
        """Read the JSON of a surface: true label to answered label to cost.

        Raises:
            CostError: a cost is negative or not finite, a label is missing or stands twice.
        """
        if not isinstance(costs, dict):
            raise CostError(
                f"costs == {costs!r:.50}, must be an object: true label to answered label to cost.",
                field=COSTS,
            )
        stated: dict[tuple[str, str], float] = {}
        for truth, row in costs.items():
            if not isinstance(row, dict):
                raise CostError(
                    f"costs.{truth} == {row!r:.50}, must be an object: answered label to cost.",
                    field=f"{COSTS}.{truth}",
                )
            for answer, cost in row.items():
                pair = _check_pair(truth, answer, cost)
                if pair in stated:
                    raise CostError(
                        f"costs.{truth}.{answer}, is stated already in another spelling.",
                        field=f"{COSTS}.{truth}.{answer}",
                    )
                stated[pair] = float(cost)
        if len(stated) > MAX_COSTS:
            raise CostError(
                f"costs == {len(stated)} of them, must be at most {MAX_COSTS}.", field=COSTS
            )
        abstain = None if abstain_cost is None else _check_cost(abstain_cost, ABSTAIN_COST)
        return cls(tuple((*pair, cost) for pair, cost in sorted(stated.items())), abstain)

    @property
    def are_stated(self) -> bool:
        """Whether the surface says anything of costs."""
        return bool(self.stated) or self.abstain is not None

    def require_known(self, labels: Collection[str]) -> None:
        """Refuse costs of labels that the surface does not have.

        Args:
            labels: those that it has.

        Raises:
            CostError: a label is unknown.
        """
        known = {fold_label(label) for label in labels}
        for truth, answer, _ in self.stated:
            for label in (truth, answer):
                if label not in known:
                    some = ", ".join(repr(one) for one in sorted(labels)[:5]) or "none yet"
                    raise CostError(
                        f"costs: label '{label}' is unknown, must be one that the surface declares in "
                        f"`labels` or, without a declaration, one of its loaded examples ({some}).",
                        field=f"{COSTS}.{truth}" if label == truth else f"{COSTS}.{truth}.{answer}",
                    )


def _check_pair(truth: str, answer: str, cost: object) -> tuple[str, str]:
    field = f"{COSTS}.{truth}.{answer}"
    pair = fold_label(truth), fold_label(answer)
    if not all(pair):
        raise CostError(f"{field}: a label is missing, must be 1 to 200 characters.", field=COSTS)
    value = _check_cost(cost, field)
    if pair[0] == pair[1] and value != 0:
        raise CostError(f"{field} == {value:g}, must be 0: a right answer is no mistake.", field=field)
    return pair


def _check_cost(value: object, field: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 <= value <= MAX_LABEL_COST:  # type: ignore[arg-type,operator]
        raise CostError(
            f"{field} == {value!r:.50}, must be a number in [0, {MAX_LABEL_COST:g}].", field=field
        )
    return float(value)  # type: ignore[arg-type]


NO_COSTS = LabelCosts()


@dataclass(frozen=True, slots=True)
class LabelDecision:
    """What is answered for one text.

    Attributes:
        label: the label, or None where a person should be asked instead.
        expected_cost: of the answer; of the best label where it was not answered.
        costs: folded true label to the cost of this answer, where it is not `otherwise`.
        otherwise: cost of this answer for any other true label.
    """

    label: str | None
    expected_cost: float
    costs: dict[str, float]
    otherwise: float

    def recorded(self) -> dict[str, Any]:
        """Return what is stored with the answer: costs that change later do not change it."""
        return {"label": self.label, "costs": self.costs, "otherwise": self.otherwise}


@dataclass(frozen=True, slots=True)
class CostTable:
    """Costs over the labels of one model; see `table_of`.

    Attributes:
        labels: in the order of probabilities.
        truths, answers, extra: stated costs by indices of labels, less the cost of a mistake, (n,).
        abstain: what asking a person costs, or None.
    """

    labels: tuple[str, ...]
    truths: NDArray[np.int64]
    answers: NDArray[np.int64]
    extra: NDArray[np.float64]
    abstain: float | None

    def expected(self, probabilities: Floats) -> NDArray[np.float64]:
        """Return the expected cost of answering each label, (texts, labels)."""
        costs = MISTAKE - probabilities.astype(np.float64)
        if len(self.extra):
            # add.at: a label that is the answer of several stated costs gets each of them.
            np.add.at(costs.T, self.answers, (probabilities[:, self.truths] * self.extra).T)
        return costs

    def choose(self, probabilities: Floats) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return each text's answer, an index or `ABSTAINED`, and its best label's expected cost."""
        costs = self.expected(probabilities)
        best = costs.argmin(1)
        minimum = costs[np.arange(len(costs)), best]
        if self.abstain is not None:
            best = np.where(minimum > self.abstain, ABSTAINED, best)
        return best, minimum

    def realised(self, choices: NDArray[np.int64], truth: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what each answer cost by the true labels, (texts,)."""
        costs = np.where(choices == truth, 0.0, MISTAKE)
        stated = dict(
            zip(zip(self.truths.tolist(), self.answers.tolist(), strict=True), self.extra, strict=True)
        )
        costs += np.array(
            [stated.get(pair, 0.0) for pair in zip(truth.tolist(), choices.tolist(), strict=True)]
        )
        return np.where(choices == ABSTAINED, self.abstain or 0.0, costs)

    def decide(self, probabilities: Floats) -> LabelDecision:
        """Decide for one text.

        Args:
            probabilities: of the labels, (labels,).
        """
        choices, minimum = self.choose(probabilities[None, :])
        choice = int(choices[0])
        expected = round(float(minimum[0]), 6)
        if choice == ABSTAINED:
            return LabelDecision(None, expected, {}, self.abstain or 0.0)
        folded = {fold_label(self.labels[choice]): 0.0}
        of_answer = self.answers == choice
        for truth, extra in zip(self.truths[of_answer], self.extra[of_answer], strict=True):
            folded[fold_label(self.labels[truth])] = MISTAKE + float(extra)
        return LabelDecision(self.labels[choice], expected, folded, MISTAKE)


@lru_cache(maxsize=256)
def table_of(costs: LabelCosts, labels: tuple[str, ...]) -> CostTable:
    """Return costs over a model's labels; those of labels that it has not learnt are left out."""
    index = {fold_label(label): i for i, label in enumerate(labels)}
    rows = [
        (index[truth], index[answer], cost - MISTAKE)
        for truth, answer, cost in costs.stated
        if truth in index and answer in index and truth != answer
    ]
    truths, answers, extra = zip(*rows, strict=True) if rows else ((), (), ())
    return CostTable(
        labels,
        np.array(truths, dtype=np.int64),
        np.array(answers, dtype=np.int64),
        np.array(extra, dtype=np.float64),
        costs.abstain,
    )
