"""Which buckets belong to which variation."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from .hashing import growthbook_bucket

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Range = tuple[float, float]
MIN_WEIGHT_SUM, MAX_WEIGHT_SUM = 0.99, 1.01  # as the SDKs tolerate


def in_namespace(value: str, namespace: Sequence[Any]) -> bool:
    """Whether a value lies in a range of a namespace: (name, from, to)."""
    name, low, high = namespace[:3]
    bucket = growthbook_bucket(f"__{name}", value, 1)
    return bucket is not None and bool(low <= bucket < high)


def equal_weights(count: int) -> list[float]:
    """Return as many equal weights."""
    return [1 / count] * count if count > 0 else []


def bucket_ranges(
    count: int, coverage: float | None = None, weights: Sequence[float] | None = None
) -> list[Range]:
    """Return the range of buckets of each variation.

    Args:
        count: of variations.
        coverage: share of each variation's range that is used.
        weights: shares that sum to 1, or equal ones are used.
    """
    share = min(max(1.0 if coverage is None else coverage, 0.0), 1.0)
    used = usable_weights(count, weights)
    starts = accumulate(used[:-1], initial=0.0) if used else ()
    return [(start, start + share * weight) for start, weight in zip(starts, used, strict=True)]


def choose_variation(bucket: float, ranges: Sequence[Sequence[float]]) -> int:
    """Return the index of the range that holds a bucket, or -1."""
    return next((i for i, (low, high) in enumerate(ranges) if low <= bucket < high), -1)


def ranges_of(experiment: Mapping[str, Any]) -> Sequence[Sequence[float]]:
    """Return the range of buckets of each variation of an experiment."""
    count = len(experiment["variations"])
    return experiment.get("ranges") or bucket_ranges(
        count, experiment.get("coverage"), experiment.get("weights")
    )


def are_weights(weights: Any, count: int) -> bool:
    """Whether a payload's value is a list of `count` weights that sum to 1, or nearly."""
    return (
        isinstance(weights, list | tuple)
        and len(weights) == count
        and all(isinstance(w, int | float) and not isinstance(w, bool) and w >= 0 for w in weights)
        and MIN_WEIGHT_SUM <= sum(weights) <= MAX_WEIGHT_SUM
    )


def usable_weights(count: int, weights: Any) -> list[float]:
    """Return the weights of a payload, or equal ones where they are malformed."""
    return list(weights) if are_weights(weights, count) else equal_weights(count)
