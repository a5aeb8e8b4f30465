"""Who gets which variant: pure functions of a unit and a frozen configuration."""

from .allocation import (
    OUTSIDE,
    AllocationError,
    Assignment,
    ExperimentRule,
    HashRange,
    Prerequisite,
    Step,
    Targeting,
    VariantRule,
    assign,
    explain,
    hashed_variant,
    is_whole,
    reallocate,
)
from .conditions import ConditionError, compile_condition
from .hashing import buckets_of, growthbook_bucket
from .memory import NO_MEMORY, Memory, PastExposure, Recall, recall
from .named_groups import named_groups
from .personal import personal_rules
from .running import (
    UNKNOWN_UNIT,
    RunningEpoch,
    RunningExperiment,
    RunningVariant,
    UnitRecord,
    VersionReference,
    decide,
    explain_decision,
)

__all__ = [
    "NO_MEMORY",
    "OUTSIDE",
    "UNKNOWN_UNIT",
    "AllocationError",
    "Assignment",
    "ConditionError",
    "ExperimentRule",
    "HashRange",
    "Memory",
    "PastExposure",
    "Prerequisite",
    "Recall",
    "RunningEpoch",
    "RunningExperiment",
    "RunningVariant",
    "Step",
    "Targeting",
    "UnitRecord",
    "VariantRule",
    "VersionReference",
    "assign",
    "buckets_of",
    "compile_condition",
    "decide",
    "explain",
    "explain_decision",
    "growthbook_bucket",
    "hashed_variant",
    "is_whole",
    "named_groups",
    "personal_rules",
    "reallocate",
    "recall",
]
