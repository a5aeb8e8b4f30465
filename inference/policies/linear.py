"""Linear policies: Bayesian linear regression of rewards on features, in closed form.

With rows X, rewards y around their mean, a prior θ ~ N(0, σ² D⁻¹) and the noise variance σ²: the
posterior is N(A⁻¹ Xᵀ y, σ² A⁻¹), A = Xᵀ X + D. Rewards are seen of actions that were taken; which were
taken follows from their features alone, so no weights are needed where the model holds (Agrawal and
Goyal 2013, Thompson sampling for contextual bandits with linear payoffs, ICML; Li et al. 2010, A
contextual-bandit approach, WWW). D follows from the decisions too (inference/policies/prior.py).

An apprentice learns what the product does by itself: 1 for the default action, 0 for all others.

The same rows give the same policy: sums go over blocks in the order of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.options import bounded, read_params
from inference.policies.prior import Sums, learn_ridge, solve
from inference.serving.action_features import Columns, FeatureSpace
from inference.serving.action_set import ActionSet
from inference.serving.artifact import ArtifactDraft
from inference.serving.linear_policy import LINEAR_POLICY, LINUCB, THOMPSON

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from inference.options import FitOptions
    from inference.training.decisions import Decisions

BLOCK = 4096


@dataclass(frozen=True, slots=True)
class LinearParams:
    """Hyper-parameters.

    Attributes:
        ridge: how strongly weights are drawn to 0, in rows; 0: as strongly as the decisions say.
        width: deviations of the draws, or of the upper bound, as multiples of the posterior's.
    """

    ridge: float = bounded(0.0, low=0, high=1e9)
    width: float = bounded(1.0, above=0, high=1000)


@dataclass(frozen=True, slots=True)
class ThompsonParams(LinearParams):
    """Hyper-parameters of `linear-thompson`.

    Attributes:
        width: half of the posterior's: the surface's floors explore as well, and draws of the whole
            width pay for what is learnt later than they are used (Chapelle and Li 2011, An empirical
            evaluation of Thompson sampling, NeurIPS).
    """

    width: float = bounded(0.5, above=0, high=1000)


class LinearFit:
    """A linear policy of one kind.

    Attributes:
        name: how commands and versions call it.
        kind: how it chooses.
        params: type of its hyper-parameters.
    """

    name = ""
    kind = ""
    params: type[LinearParams] = LinearParams

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Refuse hyper-parameters before anything is read.

        Raises:
            ValueError: an unknown one, or one out of its range.
        """
        read_params(self.params, params)

    def fit(self, rows: Decisions, options: FitOptions, *, imitates: bool = False) -> ArtifactDraft:
        """Learn and return what is to be exported.

        Args:
            rows: decisions whose features have one type each; where it imitates, all with all actions.
            options: parameters.
            imitates: whether the default action is what is learnt.

        Raises:
            ValueError: a hyper-parameter.
        """
        self.check_params(options.params)
        params = read_params(self.params, options.params)
        space = FeatureSpace(Columns.learn(rows.features), Columns.learn(rows.context))
        gram, moment = np.zeros((space.size, space.size)), np.zeros(space.size)
        count, total, squares = 0, 0.0, 0.0
        for x, y in _blocks(space, rows, imitates=imitates):
            gram += x.T @ x
            moment += x.T @ y
            count, total, squares = count + len(y), total + y.sum(), squares + float(y @ y)
        options.report(0.9, "solving")
        # Around the mean reward, so that the prior of an action that nobody took is no reward of 0.
        centre = total / count
        moment -= gram[:, 0] * centre
        sums = Sums(gram, moment, float(squares - count * centre**2), count)
        ridge = np.full(space.size, params.ridge) if params.ridge else learn_ridge(sums, space.groups)
        posterior = solve(sums, ridge)
        mean = posterior.mean.copy()
        mean[0] += centre
        return ArtifactDraft(
            form=LINEAR_POLICY,
            arrays={
                "mean": mean.astype(np.float32),
                "factor": (posterior.root * np.sqrt(posterior.noise)).astype(np.float32),
            },
            about={
                "algorithm": self.name,
                "policy": self.kind,
                "width": params.width,
                "ridge": [float(ridge[group.start]) for group in space.groups],
                "actions": space.actions.as_json(),
                "context": space.context.as_json(),
                "decisions": len(rows),
                "imitates": imitates,
            },
        )


class Thompson(LinearFit):
    """Shares by the chance of being the best."""

    name, kind = "linear-thompson", THOMPSON
    params = ThompsonParams


class LinUcb(LinearFit):
    """The action with the highest upper bound."""

    name, kind = "linucb", LINUCB


def _blocks(
    space: FeatureSpace, rows: Decisions, *, imitates: bool
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield rows of features and what is learnt of them."""
    if not imitates:
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            context = space.context.read_rows(rows.context[part])
            taken = space.actions.read_rows(rows.features[part])
            yield space.rows(taken, context), np.array(rows.reward[part], dtype=float)
        return
    for actions, about, default in zip(rows.actions, rows.context, rows.default, strict=True):
        if actions is not None:
            one = ActionSet.from_json(actions, about)
            if space.why_not(one):  # the action that was taken may lack what has another type here
                continue
            yield space.rows_of(one).astype(float), (np.array(one.ids) == default).astype(float)
