"""Visits of an interleaved experiment: drafted slates and clicks, as the fast lane stores them."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from experiments.ingest.rows import ExposureRow, Rows
from inference.serving.team_draft import draft_slate
from tests.support import builders

# The best of the shop's champion, and of a version with the opposite taste.
OURS, THEIRS = ("i0", "i1", "i2", "i3"), ("i9", "i8", "i7", "i6")


class Visits:
    """Units that get drafted slates and click; their windows have closed."""

    def __init__(self, shop, experiment, *, rankings=(OURS, THEIRS)):
        self.shop, self.experiment, self.rankings = shop, experiment, rankings
        self.variants = list(experiment.variants.values_list("pk", flat=True))
        self.rng, self.rows = Random(5), Rows()
        experiment.started_at = builders.now() - timedelta(hours=2)
        experiment.save(update_fields=["started_at"])
        self.at = experiment.started_at + timedelta(minutes=1)

    def serve(self, unit, *, likes=(), failed=None, later=0.0):
        """Serve a slate and click what the unit likes in it; return the draft."""
        at = self.at + timedelta(seconds=later)
        drafted = draft_slate(self.rankings, 4, rng=self.rng)
        draft = {
            "variants": self.variants,
            "teams": [pick.team for pick in drafted.picks],
            "ranks": [pick.ranks for pick in drafted.picks],
            "rest": drafted.rest,
        }
        if failed is not None:
            draft = {"variants": self.variants, "failed": {str(failed): "timeout"}}  # a variant's id
        items = tuple(pick.item_id for pick in drafted.picks)
        slate = builders.slate(
            self.shop, unit, items, experiment_id=self.experiment.pk, model_version_id=None,
            draft=draft, served_at=at.isoformat(),
        )  # fmt: skip
        self.rows.slates.append(slate)
        self.rows.exposures.append(
            ExposureRow(
                project_id=self.shop.project.pk,
                experiment_id=self.experiment.pk,
                variant_id=self.variants[0],
                epoch=1,
                unit_id=unit,
                unit_type="unit",
                exposed_at=at.isoformat(),
            )
        )
        self.rows.events += [
            builders.event(
                self.shop.project, unit=unit, at=(at + timedelta(seconds=5)).isoformat(),
                item_id=item, recommendation_id=slate.recommendation_id,
            )
            for item in items if item in likes
        ]  # fmt: skip
        return draft

    def commit(self):
        builders.write(self.rows)
        self.rows = Rows()
