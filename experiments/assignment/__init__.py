"""Who gets which variant: pure functions of a unit and a frozen configuration."""

from .allocation import (
    OUTSIDE,
    AllocationError,
    Assignment,
    ExperimentRule,
    Prerequisite,
    Span,
    Step,
    Targeting,
    VariantRule,
    assign,
    explain,
    hashed_variant,
    lay_out,
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
    "Memory",
    "PastExposure",
    "Prerequisite",
    "Recall",
    "Span",
    "Step",
    "Targeting",
    "VariantRule",
    "assign",
    "buckets_of",
    "compile_condition",
    "explain",
    "growthbook_bucket",
    "hashed_variant",
    "lay_out",
    "named_groups",
    "personal_rules",
    "recall",
]
