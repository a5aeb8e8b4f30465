"""Tables of experiments."""

from experiments.models.analysis import (
    Decision,
    ExposureTotal,
    Look,
    Observation,
    QuantileCount,
    Total,
    TransactionClock,
)
from experiments.models.experiment import Epoch, Experiment, ExperimentMetric, Variant
from experiments.models.metric import Metric
from experiments.models.records import Event, EventId, Exposure, Feedback, QuarantinedExposure, Slate
from experiments.models.reports import ReportShare, Review, digest_of_token
from experiments.models.sharing import Holdout, Layer, SavedGroup, groups_of
from experiments.models.units import ExcludedUnit, Link, Unit

__all__ = [
    "Decision",
    "Epoch",
    "Event",
    "EventId",
    "ExcludedUnit",
    "Experiment",
    "ExperimentMetric",
    "Exposure",
    "ExposureTotal",
    "Feedback",
    "Holdout",
    "Layer",
    "Link",
    "Look",
    "Metric",
    "Observation",
    "QuantileCount",
    "QuarantinedExposure",
    "ReportShare",
    "Review",
    "SavedGroup",
    "Slate",
    "Total",
    "TransactionClock",
    "Unit",
    "Variant",
    "digest_of_token",
    "groups_of",
]
