"""How a version in shadow compares with what was served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Avg, Count, Q

from inference.plurals import counted

if TYPE_CHECKING:
    from inference.models import ModelVersion


@dataclass(frozen=True, slots=True)
class ShadowSummary:
    """Means over its answers.

    Attributes:
        answers: how many requests it answered, or failed to.
        errors: how many it failed to.
        overlap: share of the served items that it would have shown too.
        correlation: Spearman's, of both models' scores.
        latency_ms: of scoring, mean.
    """

    answers: int
    errors: int
    overlap: float | None
    correlation: float | None
    latency_ms: float | None

    def __str__(self) -> str:
        if not self.answers:
            return ""
        parts = [counted(self.answers, "answer"), counted(self.errors, "error")]
        if self.overlap is not None:
            parts.append(f"overlap {self.overlap:.2f}")
        if self.correlation is not None:
            parts.append(f"rank correlation {self.correlation:.2f}")
        if self.latency_ms is not None:
            parts.append(f"{self.latency_ms:.1f} ms")
        return ", ".join(parts)


def summarise_shadow(version: ModelVersion) -> ShadowSummary:
    """Summarise what a version answered in shadow."""
    totals = version.shadow_answers.aggregate(
        answers=Count("id"),
        errors=Count("id", filter=~Q(error="")),
        overlap=Avg("overlap"),
        correlation=Avg("correlation"),
        latency_ms=Avg("latency_ms", filter=Q(error="")),
    )
    return ShadowSummary(**totals)
