"""The index over the items of what a run exports, measured for the units that the run judges by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.serving.index_building import SAMPLED_UNITS, build_indexes
from inference.serving.item_index import MIN_RECALL, RECALL_AT
from inference.serving.keys import MAX_RECENT

if TYPE_CHECKING:
    from inference.runs.ranking_run import RankingRun


def build_and_note_indexes(run: RankingRun, digest: str) -> list[str]:
    """Build what a large version needs; return sentences about what the indexes find.

    Args:
        run: whose judged units' likes are the histories.
        digest: of the artifact.
    """
    units = run.judged[:: max(1, len(run.judged) // SAMPLED_UNITS)]
    histories = [run.split.past[unit].items[::-1][:MAX_RECENT].tolist() for unit in units]
    built = build_indexes(run.plan.place.artifacts, digest, histories=histories)
    return [
        f"an index over {about.items} items finds {about.recall:.4f} of the {RECALL_AT} best"
        + ("." if about.sha256 else f", must be at least {MIN_RECALL}: all items are scored.")
        for about in built.values()
    ]
