"""SQL that the statements of a roll-up share.

What belongs to a row is looked up for each row by itself: in a subquery that the planner may not turn
into a join. A young experiment's statistics say that it has one row, and a plan for one row (a nested
loop that compares every new exposure with every observation) took minutes for 50,000. OFFSET 0 keeps
an EXISTS a subquery; `(xid < …) IS TRUE` keeps a look-up by unit off the index of transaction ids.
"""

from __future__ import annotations

from experiments.sql import TOTALED

SUMS = ", ".join(TOTALED.values())


def add_sums(of: str) -> str:
    """SQL that adds the sums of a row to those of the total `t`."""
    return ", ".join(f"{column} = t.{column} + {of}.{column}" for column in TOTALED.values())


def observation_of(unit: str) -> str:
    """SQL of the unit's one observation of a metric: at most one row."""
    return f"""SELECT * FROM experiments_observation AS one
        WHERE one.experiment_id = %(experiment)s AND one.metric_id = %(metric)s
            AND one.unit_id = {unit} LIMIT 1"""


# The one total that a change belongs to; the change's own columns are of the same names.
TOTAL_OF_CHANGE = """change CROSS JOIN LATERAL (SELECT id FROM experiments_total AS one
        WHERE one.experiment_id = %(experiment)s AND one.metric_id = %(metric)s
            AND one.variant_id = change.variant_id AND one.epoch = change.epoch
            AND one.batch = change.batch AND one.segment = change.segment LIMIT 1) AS of_change
    WHERE t.id = of_change.id"""
# Late values correct a bucket that is there: the units of a change may be negative.
COUNT_BUCKETS = """
    INSERT INTO experiments_quantilecount AS kept
        (experiment_id, metric_id, variant_id, epoch, segment, bucket, units)
    SELECT %(experiment)s, %(metric)s, variant_id, epoch, segment, bucket, sum(units) FROM moved
    GROUP BY variant_id, epoch, segment, bucket
    ON CONFLICT (experiment_id, metric_id, variant_id, epoch, segment, bucket)
        DO UPDATE SET units = kept.units + EXCLUDED.units"""
