"""What units said, as labelled data to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.models import Feedback

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = (
    "recommendation_id",
    "unit_id",
    "item_id",
    "kind",
    "value",
    "text",
    "answer",
    "tags",
    "model",
    "position",
    "propensity",
    "received_at",
)


def labels_of(project_id: int, kinds: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield each unit's last words that count and that may be learnt from, oldest first.

    Args:
        project_id: whose feedback.
        kinds: of which kinds; None for all.
    """
    found = Feedback.objects.counted().filter(project=project_id, trainable=True)
    if kinds is not None:
        found = found.filter(kind__in=kinds)
    for row in found.select_related("model_version").order_by("id").iterator(chunk_size=2000):
        yield {
            **{name: getattr(row, name) for name in COLUMNS if name != "model"},
            "recommendation_id": str(row.recommendation_id),
            "model": row.model_version.label if row.model_version else None,
        }
