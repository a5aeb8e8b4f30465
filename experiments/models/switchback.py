"""What a switchback counts: sums of blocks of time."""

from __future__ import annotations

from django.db import models


class BlockSum(models.Model):
    """One metric's sums over the users of one block of time, once the block is over.

    A user has a value in each block with an answer after the carry-over. Without foreign-key checks, as
    the records that it is computed from (decision 0007).
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    metric = models.ForeignKey(
        "experiments.Metric", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    variant = models.ForeignKey(
        "experiments.Variant",
        null=True,
        on_delete=models.CASCADE,
        db_index=False,
        db_constraint=False,
        help_text="Null: its answers were of two variants, so it is left out.",
    )
    number = models.BigIntegerField(help_text="Blocks since 1970: its start over their length.")
    users = models.PositiveBigIntegerField(help_text="With an answer after the carry-over.")
    value = models.FloatField(help_text="Of users, capped each.")
    denominator = models.FloatField(help_text="Their number, if it is not a ratio.")
    uncapped_value = models.FloatField(help_text="The value without the cap.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "metric", "number"], name="a_block_has_one_sum_per_metric"
            )
        ]

    def __str__(self) -> str:
        return f"block {self.number}: {self.value:g} of {self.users}"
