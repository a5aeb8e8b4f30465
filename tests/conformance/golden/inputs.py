"""What every method reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Inputs = Mapping[str, Any]
Output = dict[str, Any]


def normal_p(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))


def level(inputs: Inputs) -> float:
    return inputs["alpha"] * (2 if inputs.get("sides", 2) == 1 else 1)


def first(inputs: Inputs, *names: str, default: Any = None) -> Any:
    """Return the first of several names that the inputs use."""
    return next((inputs[name] for name in names if name in inputs), default)
