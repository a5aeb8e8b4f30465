"""Where a function of one number crosses zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PRECISION = 4 * 2.0**-52  # relative: the finest that Brent's method takes


def find_root(
    function: Callable[[float], float],
    low: float,
    high: float,
    *,
    xtol: float,
    rtol: float = PRECISION,
) -> float:
    """Return a root by Brent's method.

    Args:
        function: continuous, with opposite signs at both ends.
        low: where the search begins.
        high: where it ends.
        xtol: absolute precision.
        rtol: relative precision.

    Raises:
        ValueError: the signs at the ends are equal.
    """
    # A fifth of what a process imports at its start, and most never look for a root.
    from scipy.optimize import brentq  # noqa: PLC0415

    return float(brentq(function, low, high, xtol=xtol, rtol=rtol))
