"""Tables of experiments."""

from experiments.models.analysis import (
    Decision,
    ExposureTotal,
    Look,
    Observation,
    QuantileCount,
    Total,
)
from experiments.models.experiment import Epoch, Experiment, ExperimentMetric, Metric, Unit, Variant
from experiments.models.records import Event, Exposure, Feedback, Slate

__all__ = [
    "Decision",
    "Epoch",
    "Event",
    "Experiment",
    "ExperimentMetric",
    "Exposure",
    "ExposureTotal",
    "Feedback",
    "Look",
    "Metric",
    "Observation",
    "QuantileCount",
    "Slate",
    "Total",
    "Unit",
    "Variant",
]
