"""Files that commands read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.files import write_columns as write


@pytest.fixture
def units(tmp_path) -> Path:
    """Three groups of 1,000; c converts most; revenue follows what it was before."""
    rng = np.random.default_rng(1)
    group = np.repeat(["a", "b", "c"], 1000)
    before = rng.gamma(2, 5, 3000).round(3)
    return write(
        tmp_path / "units.csv",
        {
            "id": range(3000),
            "group": group,
            "bought": (rng.random(3000) < np.repeat([0.10, 0.12, 0.18], 1000)).astype(int),
            "revenue": (before + rng.normal(0, 3, 3000)).round(3),
            "before": before,
            "country": np.where(np.arange(3000) % 4, "DE", "FR"),
        },
    )
