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
    reallocate,
)
from .conditions import ConditionError, compile_condition
from .hashing import buckets_of, growthbook_bucket
from .memory import NO_MEMORY, Memory, PastExposure, Recall, recall
from .named_groups import named_groups
from .personal import personal_rules

__all__ = [
    "NO_MEMORY",
    "OUTSIDE",
    "AllocationError",
    "Assignment",
    "ConditionError",
    "ExperimentRule",
    "HashRange",
    "Memory",
    "PastExposure",
    "Prerequisite",
    "Recall",
    "Step",
    "Targeting",
    "VariantRule",
    "assign",
    "buckets_of",
    "compile_condition",
    "explain",
    "growthbook_bucket",
    "hashed_variant",
    "named_groups",
    "personal_rules",
    "reallocate",
    "recall",
]
