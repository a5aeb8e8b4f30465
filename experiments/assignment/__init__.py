"""Who gets which variant: pure functions of a unit and a frozen configuration."""

from experiments.assignment.allocation import Assignment, ExperimentRule, VariantRule, assign
from experiments.assignment.bulk import assign_many
from experiments.assignment.hashing import bucket_of, buckets_of

__all__ = [
    "Assignment",
    "ExperimentRule",
    "VariantRule",
    "assign",
    "assign_many",
    "bucket_of",
    "buckets_of",
]
