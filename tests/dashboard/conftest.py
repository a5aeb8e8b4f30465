"""Fixtures of the pages."""

from __future__ import annotations

import pytest

from experiments.actions.look_at_experiment import look_at_experiment
from tests.support.axe import axe  # noqa: F401  a fixture
from tests.support.builders import QUICK_POLICY, visits


@pytest.fixture
def decided(shop):
    """An experiment that its first look has shipped."""
    experiment = shop.run_experiment(**QUICK_POLICY)
    visits(experiment, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=experiment.pk)
    return experiment
