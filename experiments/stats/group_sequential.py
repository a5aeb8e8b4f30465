"""Group-sequential testing with an alpha-spending function.

Guarantees: whatever the number and spacing of looks, as long as the times of looks do not depend on
the observed effect, the chance of ever crossing a bound without an effect is at most alpha.
Does not guarantee anything when a look's information is smaller than the one before.

The score process S(t) = Z(t) √t is a Brownian motion in the information fraction t. The density of
S on the paths that have not crossed yet is kept on a grid and carried from look to look by numerical
integration, so one look costs one step whatever came before.

References:
    Lan & DeMets (1983), Discrete sequential boundaries for clinical trials, Biometrika 70.
    Jennison & Turnbull (2000), Group Sequential Methods with Applications, chapter 19 (the grid).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from experiments.stats.roots import find_root
from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

GRID = 24  # r of Jennison & Turnbull: 12 r − 3 points, bounds good to about 1e-6
MIN_STEP = 0.005  # below it the transition kernel is narrower than the grid
_FARTHEST = 37.0  # standard errors: beyond it a normal tail is no longer a number
_EDGE = 12.0  # where the grid ends: beyond it lies 1e-33


def spend_obrien_fleming(alpha: float, t: float) -> float:
    """Return the two-sided alpha spent by fraction t: 4 (1 − Φ(z₁₋α/₄ / √t)).

    Lan and DeMets' O'Brien-Fleming-type function, α/2 on each side.
    """
    if t <= 0:
        return 0.0
    return float(4 * special.ndtr(special.ndtri(alpha / 4) / math.sqrt(min(t, 1.0))))


def spend_pocock(alpha: float, t: float) -> float:
    """Return the two-sided alpha spent by fraction t: α ln(1 + (e − 1) t)."""
    return alpha * math.log1p((math.e - 1) * min(max(t, 0.0), 1.0))


def spend_power(alpha: float, t: float, *, rho: float = 2.0) -> float:
    """Return the two-sided alpha spent by fraction t: α t^ρ (Kim and DeMets 1987)."""
    return float(alpha * min(max(t, 0.0), 1.0) ** rho)


Spending = Callable[[float, float], float]
SPENDING: dict[str, Spending] = {
    "obf2": spend_obrien_fleming,
    "pocock": spend_pocock,
    "power2": spend_power,
}


@dataclass(frozen=True, slots=True)
class SequentialState:
    """What one look hands to the next.

    Attributes:
        t: information fraction of the last look that spent alpha.
        spent: two-sided alpha spent so far.
        bound: critical value of |z| at that look.
        points: grid of S, shape (m,).
        density: sub-density of S times the grid's quadrature weights, shape (m,).
    """

    t: float = 0.0
    spent: float = 0.0
    bound: float = math.inf
    points: tuple[float, ...] = (0.0,)
    density: tuple[float, ...] = (1.0,)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "t": self.t,
            "spent": self.spent,
            "bound": None if math.isinf(self.bound) else self.bound,
            "points": list(self.points),
            "density": list(self.density),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SequentialState:
        """Read what `as_json` wrote; nothing is the state before the first look."""
        if not data:
            return cls()
        bound = data["bound"]
        return cls(
            t=data["t"],
            spent=data["spent"],
            bound=math.inf if bound is None else bound,
            points=tuple(data["points"]),
            density=tuple(data["density"]),
        )


def take_step(
    state: SequentialState,
    t: float,
    *,
    alpha: float,
    spending: Spending = spend_obrien_fleming,
) -> SequentialState:
    """Spend the alpha due at information fraction t and return the new state with its bound.

    A look that adds less than `MIN_STEP` of the planned information spends nothing: it returns
    the state as it was, and its caller keeps the last bound. Only the look that reaches the planned
    information spends what is left after a step of any size, its bound then good to the grid's
    spacing (0.03).

    Args:
        state: after the look before.
        t: information now, as a fraction of the planned; may exceed 1.
        alpha: two-sided level in (0, 1).
        spending: how much of it is due by t.

    Raises:
        StatisticsError: alpha or t is out of range, or information was lost.
    """
    _check_step(state, t, alpha)
    reaches_the_end = state.t < 1 <= t  # what is left must be spent, however small the step
    if t - state.t < MIN_STEP and not reaches_the_end:
        return state
    step, due = math.sqrt(t - state.t), spending(alpha, t)
    points, density = np.array(state.points), np.array(state.density)
    # What was spent is not given back, whatever rounding or a smaller share of alpha says.
    per_side = max(due - state.spent, 0.0) / 2

    def crossing(bound: float) -> float:
        """Chance to lie above `bound` (a value of z) at this look and nowhere before."""
        return float(density @ special.ndtr((points - bound * math.sqrt(t)) / step))

    bound = _bound_of(crossing, per_side)
    new_points, weights = _grid(min(bound, _EDGE), t)
    kernel = np.exp(-0.5 * ((new_points[:, None] - points[None, :]) / step) ** 2)
    new_density = weights * (kernel @ density) / (step * math.sqrt(2 * math.pi))
    return SequentialState(
        t=t,
        spent=due,
        bound=bound,
        points=tuple(new_points.tolist()),
        density=tuple(new_density.tolist()),
    )


def _check_step(state: SequentialState, t: float, alpha: float) -> None:
    if not 0 < alpha < 1:
        raise StatisticsError(f"alpha == {alpha:g}, must be in (0, 1).")
    if not 0 < t < math.inf:
        raise StatisticsError(f"information fraction == {t:g}, must be positive.")
    # Rounding may take a digit back; units that are taken out of an experiment take more.
    if t < state.t - 1e-12:
        raise StatisticsError(f"information fraction == {t:g}, was {state.t:g}: it cannot shrink.")


def _bound_of(crossing: Callable[[float], float], per_side: float) -> float:
    """Return the value of z above which a chance lies.

    Of early looks so little is due that no float holds its tail: the bound is as good as none.
    """
    if crossing(_FARTHEST) >= per_side:
        return _FARTHEST
    target = math.log(per_side)
    # On the log scale: what is due spans hundreds of orders of magnitude, and 1e-320 is no 0.
    return find_root(lambda b: math.log(max(crossing(b), 1e-320)) - target, 0.0, _FARTHEST, xtol=1e-10)


def _grid(bound: float, t: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Jennison and Turnbull's points for S in ±bound √t, and their Simpson weights."""
    r = GRID
    i = np.arange(1, 6 * r)
    z = np.where(
        i < r,
        -3 - 4 * np.log(r / np.minimum(i, r)),
        np.where(
            i <= 5 * r,
            -3 + 3 * (i - r) / (2 * r),
            3 + 4 * np.log(r / np.maximum(6 * r - i, 1)),
        ),
    )
    inside = z[(z > -bound) & (z < bound)]
    # The bounds themselves are points of the grid, as the density ends there with a jump.
    odd = np.concatenate([[-bound], inside, [bound]])
    points = np.empty(2 * len(odd) - 1)
    points[0::2], points[1::2] = odd, (odd[1:] + odd[:-1]) / 2
    width = np.diff(odd)
    weights = np.zeros(len(points))
    weights[1::2] = 4 * width / 6
    weights[0:-1:2] += width / 6
    weights[2::2] += width / 6
    return points * math.sqrt(t), weights * math.sqrt(t)


def bounds_at(
    fractions: Sequence[float], *, alpha: float, spending: Spending = spend_obrien_fleming
) -> list[float]:
    """Return the critical values of |z| at planned looks.

    Example:
        >>> [round(b, 3) for b in bounds_at([0.2, 0.4, 0.6, 0.8, 1.0], alpha=0.05)]
        [4.877, 3.357, 2.68, 2.29, 2.031]
    """
    state, bounds = SequentialState(), []
    for t in fractions:
        state = take_step(state, t, alpha=alpha, spending=spending)
        bounds.append(state.bound)
    return bounds


def conditional_power(z: float, t: float, *, drift: float, final_bound: float) -> float:
    """Return the chance to cross the final bound upwards, given z at fraction t.

    Under the drift θ, S(1) given S(t) is normal with mean S(t) + θ (1 − t) and variance 1 − t.

    Args:
        z: statistic now.
        t: information fraction, below 1.
        drift: expected z at full information under the alternative.
        final_bound: critical value at full information.
    """
    if t >= 1:
        return float(z >= final_bound)
    rest = 1 - t
    return float(special.ndtr((z * math.sqrt(t) + drift * rest - final_bound) / math.sqrt(rest)))


@dataclass(frozen=True, slots=True)
class Crossing:
    """What becomes of a trial: at which look it ends, and how.

    Attributes:
        upper: chance to cross the upper bound first at each look, shape (looks,).
        lower: the lower bound likewise.
        futile: chance to be stopped between the inner bounds likewise.
    """

    upper: NDArray[np.float64]
    lower: NDArray[np.float64]
    futile: NDArray[np.float64]

    def mean_stop(self, fractions: Sequence[float]) -> float:
        """Return the mean information at which it ends; a trial that never stops ends at the last."""
        ended = self.upper + self.lower + self.futile
        t = np.asarray(fractions)
        return float(ended @ t + (1 - ended.sum()) * t[-1])


def crossing_probabilities(
    fractions: Sequence[float],
    bounds: Sequence[float],
    *,
    drift: float,
    inner: Sequence[float] | None = None,
) -> Crossing:
    """Return where the score process ends under a drift, by numerical integration.

    Assumptions: S(t) is a Brownian motion with drift θ; looks are at the given fractions.

    Args:
        fractions: information at the looks, increasing, shape (looks,).
        bounds: critical values of |z|, shape (looks,).
        drift: θ, the expected z at full information.
        inner: |z| below which a look stops for futility, 0 for never, shape (looks,).

    Reference:
        Armitage, McPherson, Rowe (1969), Repeated significance tests, JRSS A 132 (the recursion).
    """
    points, density, before = np.zeros(1), np.ones(1), 0.0
    ended: list[tuple[float, float, float]] = []
    for k, (t, bound) in enumerate(zip(fractions, bounds, strict=True)):
        step, root = math.sqrt(t - before), math.sqrt(t)
        hole = min(inner[k], bound) if inner is not None else 0.0
        centre = points + drift * (t - before)
        upper = float(density @ special.ndtr((centre - bound * root) / step))
        lower = float(density @ special.ndtr((-bound * root - centre) / step))
        inside = special.ndtr((hole * root - centre) / step) - special.ndtr(
            (-hole * root - centre) / step
        )
        ended.append((upper, lower, float(density @ inside) if hole > 0 else 0.0))
        # Beyond 9 standard errors lies 1e-19 of the mass.
        new, weights = _even_grid(min(bound, 9.0), hole)
        new, weights = new * root, weights * root
        kernel = np.exp(-0.5 * ((new[:, None] - centre[None, :]) / step) ** 2)
        density = weights * (kernel @ density) / (step * math.sqrt(2 * math.pi))
        points, before = new, t
    up, down, futile = (np.array(column) for column in zip(*ended, strict=True))
    return Crossing(up, down, futile)


def _even_grid(bound: float, hole: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return evenly spaced points of z in [−bound, −hole] and [hole, bound] with Simpson's weights."""
    half = 101  # odd, as Simpson's rule wants
    right = np.linspace(hole, bound, half)
    weights = np.full(half, 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    weights *= (bound - hole) / (half - 1) / 3
    return np.concatenate([-right[::-1], right]), np.concatenate([weights, weights])


def classic_constant(looks: int, *, alpha: float, shape: Literal["obf", "pocock"]) -> float:
    """Return the constant C of the classic designs: bounds C √(K / k) (O'Brien-Fleming) or C (Pocock).

    References:
        O'Brien & Fleming (1979), Biometrics 35. Pocock (1977), Biometrika 64.
    """
    fractions = [k / looks for k in range(1, looks + 1)]

    def excess(constant: float) -> float:
        bounds = [constant * (t**-0.5 if shape == "obf" else 1.0) for t in fractions]
        crossing = crossing_probabilities(fractions, bounds, drift=0.0)
        return float(crossing.upper.sum() + crossing.lower.sum()) - alpha

    return find_root(excess, 1.0, 5.0, xtol=1e-8)
