"""Visits of a switchback: answers and clicks in blocks of time that are over."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from uuid import UUID

from experiments.ingest.rows import Rows
from experiments.models import Experiment
from experiments.sql import min_uuid7
from experiments.stats.clusters import MIN_CLUSTERS
from tests.support import builders

LENGTH, GUARD, COUNT = 300.0, 60.0, 2 * MIN_CLUSTERS
POLICY = {
    "block_seconds": LENGTH, "carry_over_seconds": GUARD, "planned_units": COUNT,
    "minimum_run_seconds": 0.0, "twyman_limit": 0.0,
}  # fmt: skip
# Of blocks, each twice: blocks of the two variants are alike.
LEVELS = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


class Blocks:
    """Blocks that are over, of an experiment that began just before the first of them."""

    def __init__(self, shop, experiment, count=COUNT):
        self.shop, self.experiment, self.rows = shop, experiment, Rows()
        self.first = int(builders.now().timestamp() // LENGTH) - count
        self.variants = {one.key: one for one in experiment.variants.select_related("experiment")}
        started = self.at(-1, LENGTH - 30)
        experiment.epochs.update(started_at=started)
        Experiment.objects.filter(pk=experiment.pk).update(started_at=started)
        self.numbers = range(count)

    def at(self, block, seconds):
        """Return a moment of a block, counted from the first."""
        return datetime.fromtimestamp((self.first + block) * LENGTH + seconds, UTC)

    def key(self, block):
        """Return the variant of a block: they take turns, so that each has as many."""
        return ("control", "treatment")[block % 2]

    def serve(self, unit, block, seconds, *, key=""):
        """Add an answer; return its id."""
        variant, at = self.variants[key or self.key(block)], self.at(block, seconds).isoformat()
        number = min_uuid7(self.at(block, seconds)).int | random.getrandbits(64)
        slate = builders.slate(
            self.shop, unit, experiment_id=self.experiment.pk, variant_id=variant.pk, served_at=at,
            recommendation_id=str(UUID(int=number)),
        )  # fmt: skip
        self.rows.slates.append(slate)
        self.rows.exposures.append(builders.exposure(variant, unit=unit, at=at))
        return slate.recommendation_id

    def click(self, unit, block, seconds, **fields):
        """Add an event."""
        at = self.at(block, seconds).isoformat()
        self.rows.events.append(builders.event(self.shop.project, unit=unit, at=at, **fields))

    def visit(self, levels, *, users=3, lift=0):
        """Let the same users come in each block; those of block n click levels[n] times each."""
        for block in self.numbers:
            for user in range(users):
                self.serve(f"u{user}", block, 100 + user)
                more = lift if self.key(block) == "treatment" else 0
                for n in range(levels[block % len(levels)] + more + user % 2):
                    self.click(f"u{user}", block, 120 + n)
        return self.write()

    def write(self):
        builders.write(self.rows)
        self.rows = Rows()
        return self
