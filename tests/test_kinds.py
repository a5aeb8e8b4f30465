"""Words that are shared: the choices of tables are the values of `experiments.kinds`."""

from __future__ import annotations

from typing import get_args

import pytest

from experiments import kinds
from experiments.assignment.allocation import Hashing
from experiments.models import Decision, Experiment, ExperimentMetric, Feedback, Metric


@pytest.mark.parametrize(
    ("choices", "values"),
    [
        (Metric.Kind, kinds.METRIC_KINDS),
        (Metric.Value, kinds.VALUE_KINDS),
        (Metric.Covariate, kinds.COVARIATE_KINDS),
        (Metric.Direction, kinds.DIRECTIONS),
        (ExperimentMetric.Role, kinds.ROLES),
        (Feedback.Kind, kinds.FEEDBACK_KINDS),
        (Feedback.State, kinds.FEEDBACK_STATES),
        (Experiment.Hashing, get_args(Hashing)),
        # A person's, or the loop's; and what holdbacks say.
        (Decision.Action, (*kinds.ACTIONS, "promote", "confirm", "lost")),
        (Experiment.Purpose, kinds.PURPOSES),
    ],
)
def test_tables_know_the_same_words(choices, values):
    assert set(choices.values) == set(values)
