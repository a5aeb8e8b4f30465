"""Visits of an experiment that is randomised by cluster."""

from __future__ import annotations

from experiments.ingest.rows import Rows
from tests.support import builders


def visit(shop, experiment, stores, *, users=6, lift=0, name="store"):
    """Commit visits of five minutes ago: users of store n click stores[n] times, every other once more."""
    at, rows = builders.minutes_ago(5), Rows()
    for variant in experiment.variants.select_related("experiment"):
        for n, level in enumerate(stores):
            for user in range(users):
                unit = f"{variant.key}-{n}-{user}"
                rows.slates.append(
                    builders.slate(
                        shop, unit, experiment_id=experiment.pk, variant_id=variant.pk, served_at=at,
                        context={name: f"{variant.key}-{n}"},
                    )
                )  # fmt: skip
                rows.exposures.append(builders.exposure(variant, unit=unit, at=at))
                clicks = level + (lift if variant.key == "treatment" else 0) + user % 2
                rows.events += [
                    builders.event(experiment.project, unit=unit, at=at, event_id=f"{unit}-{one}")
                    for one in range(clicks)
                ]
    builders.write(rows)
