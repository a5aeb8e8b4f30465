"""Linear policies: the expected reward of each action, how sure that is, and what follows from both.

The reward of an action is x θ with normal θ (action_features.py says what x is).

    thompson  an action's share is its chance of being the best under draws of θ (Thompson 1933;
              Agrawal and Goyal 2013). The draws are made for the request, then the action is drawn by
              their shares: its propensity is exact for these draws, which is all that inverse
              propensity weighting needs
    linucb    the action with the largest x θ̂ + α σ(x) (Li et al. 2010); the floors alone explore
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from inference.serving.action_features import Columns, FeatureSpace
from inference.serving.artifact import ArtifactError, check_artifact, load_array

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from inference.serving.action_set import ActionSet

LINEAR_POLICY = "linear_policy"  # form of the artifact
THOMPSON, LINUCB = "thompson", "linucb"
DRAWS = 100
_JITTER = 1e-9


class Preferences(NamedTuple):
    """What a policy says of n actions: expected rewards, and the shares that it would give them."""

    rewards: NDArray[np.float64]
    shares: NDArray[np.float64]


class LinearPolicy:
    """One version."""

    def __init__(
        self,
        space: FeatureSpace,
        mean: NDArray[np.floating[Any]],
        factor: NDArray[np.floating[Any]],
        *,
        kind: str,
        width: float,
    ) -> None:
        """Remember what was learnt.

        Args:
            space: what is read.
            mean: of θ, (size,).
            factor: F with F Fᵀ its covariance, (size, size).
            kind: `thompson` or `linucb`.
            width: deviations of the draws, or of the bound, as multiples of the posterior's.
        """
        self.space, self._mean, self._factor = space, mean, factor
        self._kind, self._width = kind, width
        self._unfolded = space.unfold(np.column_stack([factor, mean]))

    @classmethod
    def open(cls, folder: Path, about: Mapping[str, Any]) -> LinearPolicy:
        """Open an artifact that was checked.

        Raises:
            ArtifactError: its arrays do not fit its features.
        """
        space = FeatureSpace(Columns.from_json(about["actions"]), Columns.from_json(about["context"]))
        mean, factor = load_array(folder, "mean"), load_array(folder, "factor")
        if mean.shape != (space.size,) or factor.shape != (space.size, space.size):
            raise ArtifactError(
                f"mean has {mean.shape} numbers, must be ({space.size},) by its features."
            )
        return cls(space, mean, factor, kind=about["policy"], width=float(about["width"]))

    @classmethod
    def load(cls, root: Path, digest: str) -> LinearPolicy:
        """Check and open an artifact.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        folder, manifest = check_artifact(root, digest)
        return cls.open(folder, manifest["about"])

    def prefer(self, actions: ActionSet, rng: np.random.Generator) -> Preferences:
        """Return what the policy says of a decision's actions; it names all that was learnt."""
        rewards, spread = self._expect(actions)
        if self._kind == LINUCB:
            bound = rewards + self._width * np.sqrt(np.einsum("ij,ij->i", spread, spread))
            shares = np.zeros(len(rewards))
            shares[int(np.argmax(bound))] = 1.0
            return Preferences(rewards, shares)
        # Actions are far fewer than features: their joint normal is drawn, not θ.
        covariance = self._width**2 * (spread @ spread.T)
        covariance.flat[:: len(rewards) + 1] += _JITTER * (1 + covariance.trace())  # its diagonal
        # Each draw with its mirror image: as likely, at half the coins, and their shares scatter less.
        half = np.linalg.cholesky(covariance) @ rng.standard_normal((len(rewards), DRAWS // 2))
        drawn = rewards[:, None] + np.concatenate([half, -half], axis=1)
        shares = np.bincount(drawn.argmax(axis=0), minlength=len(rewards)) / DRAWS
        return Preferences(rewards, shares)

    def _expect(self, actions: ActionSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the expected reward of n actions, (n,), and a factor of its covariance, (n, size)."""
        if self._unfolded is not None:
            both = self.space.times(self._unfolded, actions).astype(float)
            return both[:, -1], both[:, :-1]
        rows = self.space.rows_of(actions)
        return (rows @ self._mean).astype(float), (rows @ self._factor).astype(float)
