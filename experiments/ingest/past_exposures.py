"""What a unit met in experiments, read for the fast lane and for people who ask why."""

from __future__ import annotations

# One row per experiment: its id, and the fields of `PastExposure`: the variant that the unit met last,
# the first epoch in which it met the experiment, the last in which it met this variant.
# Parameters: ids of experiments, the unit.
PAST_EXPOSURES = """SELECT DISTINCT ON (met.experiment_id) met.experiment_id, variant.key,
        min(met.epoch) OVER (PARTITION BY met.experiment_id), greatest(met.epoch, met.last_epoch)
    FROM experiments_exposure AS met JOIN experiments_variant AS variant ON variant.id = met.variant_id
    WHERE met.experiment_id = ANY(%s) AND met.unit_id = %s
    ORDER BY met.experiment_id, greatest(met.epoch, met.last_epoch) DESC, met.exposed_at DESC"""
