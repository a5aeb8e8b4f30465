"""Tables of experiments."""

from experiments.models.analysis import (
    BreakerCount,
    Decision,
    ExposureTotal,
    Look,
    Observation,
    QuantileCount,
    Total,
    TransactionClock,
)
from experiments.models.archive import ArchivedMonth
from experiments.models.comments import Comment
from experiments.models.data_sets import DataSet, DataSetRow, RowAnswer, VersionCheck
from experiments.models.epoch import Epoch
from experiments.models.experiment import Experiment, ExperimentMetric, Variant
from experiments.models.exports import DataExport
from experiments.models.interleaving import InterleavedUnit, Interleaving
from experiments.models.judgements import (
    AnswerRating,
    Judgement,
    JudgePlan,
    SampledAnswer,
    judge_plan_of,
)
from experiments.models.label_tasks import LabelOpinion, LabelTask
from experiments.models.metric import Metric
from experiments.models.pictures import VariantPicture
from experiments.models.programme import Guardrail, Programme, RampStep, programme_of
from experiments.models.proposal import Approval, Challenger, Proposal
from experiments.models.records import Event, EventId, Exposure, Feedback, QuarantinedExposure, Slate
from experiments.models.reports import ReportShare, Review, digest_of_token
from experiments.models.rule_versions import RuleVersion
from experiments.models.sharing import Holdout, Layer, SavedGroup, groups_of
from experiments.models.surveys import Survey
from experiments.models.switchback import BlockSum
from experiments.models.themes import Theme, ThemedText, ThemeReading, current_themes
from experiments.models.units import ExcludedUnit, Link, SegmentsAtStart, Unit

__all__ = [
    "AnswerRating",
    "Approval",
    "ArchivedMonth",
    "BlockSum",
    "BreakerCount",
    "Challenger",
    "Comment",
    "DataExport",
    "DataSet",
    "DataSetRow",
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
    "Guardrail",
    "Holdout",
    "InterleavedUnit",
    "Interleaving",
    "JudgePlan",
    "Judgement",
    "LabelOpinion",
    "LabelTask",
    "Layer",
    "Link",
    "Look",
    "Metric",
    "Observation",
    "Programme",
    "Proposal",
    "QuantileCount",
    "QuarantinedExposure",
    "RampStep",
    "ReportShare",
    "Review",
    "RowAnswer",
    "RuleVersion",
    "SampledAnswer",
    "SavedGroup",
    "SegmentsAtStart",
    "Slate",
    "Survey",
    "Theme",
    "ThemeReading",
    "ThemedText",
    "Total",
    "TransactionClock",
    "Unit",
    "Variant",
    "VariantPicture",
    "VersionCheck",
    "current_themes",
    "digest_of_token",
    "groups_of",
    "judge_plan_of",
    "programme_of",
]
