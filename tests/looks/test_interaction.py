"""The check between running experiments, on values whose interaction is known."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.models import Exposure, Observation
from experiments.reports.interaction_effect import interaction_effects
from inference.models import Surface
from tests.support import builders


@pytest.mark.parametrize("interaction", [0.0, 1.5])
def test_an_interaction_is_found_where_there_is_one(shop, interaction):
    page = Surface.objects.create(project=shop.project, key="page", kind="flag")
    first, second = builders.experiment(shop, page, "first"), builders.experiment(shop, page, "second")
    rng = np.random.default_rng(0)
    observations, exposures = [], []
    for n in range(1200):
        a, b = rng.integers(2, size=2)
        value = 5 + a + 0.5 * b + interaction * a * b + rng.normal()
        for experiment, taken in ((first, a), (second, b)):
            variant = experiment.variants.all()[int(taken)]
            exposures.append(
                Exposure(
                    project=shop.project,
                    experiment=experiment,
                    variant=variant,
                    epoch=1,
                    unit_id=f"u{n}",
                    exposed_at=builders.now(),
                )
            )
            observations.append(
                Observation(
                    experiment=experiment,
                    metric=shop.metric,
                    variant=variant,
                    epoch=1,
                    unit_id=f"u{n}",
                    exposed_at=builders.now(),
                    value=value,
                    batch=1,
                )
            )
    Exposure.objects.bulk_create(exposures)
    Observation.objects.bulk_create(observations)
    rows = interaction_effects(shop.project.pk)
    assert [(row.experiment, row.other) for row in rows] in (
        [("first", "second"), ("second", "first")],
        [("second", "first"), ("first", "second")],
    )
    for row in rows:
        assert row.units == 1200
        assert row.interval[0] < interaction < row.interval[1]
        assert (row.p_value < 0.001) == bool(interaction)


def test_few_shared_units_say_nothing(shop):
    page = Surface.objects.create(project=shop.project, key="page", kind="flag")
    builders.experiment(shop, page, "first")
    builders.experiment(shop, page, "second")
    assert interaction_effects(shop.project.pk) == []
