"""What a correction corrects: the text that was labelled, where, and what the model answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.models import Feedback, Slate

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ReviewedAnswer:
    """An answer of a surface that labels texts, to who reviews its correction.

    Attributes:
        surface: which labelled it.
        text: that was labelled; empty where it was not stored.
        answered: the model's decision; empty where it left the text to a person.
        features: what was known besides.
    """

    surface: str
    text: str
    answered: str
    features: Mapping[str, Any] = field(default_factory=dict)


def answer_of(feedback: Feedback | None) -> ReviewedAnswer | None:
    """Return what a correction is about; None for other feedback, and once the answer is deleted."""
    if feedback is None or feedback.kind != Feedback.Kind.CORRECTION or not feedback.recommendation_id:
        return None
    slates = Slate.objects.filter(
        project=feedback.project_id, recommendation_id=feedback.recommendation_id
    )
    slate = slates.select_related("surface").first()
    if slate is None or slate.surface.kind != slate.surface.Kind.CLASSIFY:
        return None
    best = str(slate.slots[0][0]) if slate.slots else ""
    decision = slate.context.get("decision") or {"label": best}
    return ReviewedAnswer(
        surface=slate.surface.key,
        text=str(slate.context.get("text") or ""),
        answered=str(decision.get("label") or ""),
        features=slate.context.get("features") or {},
    )
