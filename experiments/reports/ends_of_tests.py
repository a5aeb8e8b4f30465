"""How tests ended: by their last decision, and whether what was shipped is a change at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Exists, F, OuterRef
from django.db.models.fields.json import KT

from experiments.models import Decision, Look, Variant

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from django.db.models import QuerySet

SHIP = "ship"
NO_WINNER = "stop_inconclusive"


def read_ends(decisions: QuerySet[Decision]) -> dict[int, tuple[str, datetime]]:
    """Return the last decision of each test, and when it was made.

    A test that shipped its control has no winner: a person stayed with what is there.

    Args:
        decisions: on tests.
    """
    is_control = Variant.objects.filter(
        experiment=OuterRef("experiment"), is_control=True, key=OuterRef("experiment__shipped_variant")
    )
    rows = decisions.annotate(of_control=Exists(is_control)).order_by("id")
    return {
        test: (NO_WINNER if action == SHIP and of_control else action, at)
        for test, action, of_control, at in rows.values_list(
            "experiment_id", "action", "of_control", "created_at"
        )
        if test is not None
    }


def shipped_by_verdict(tests: Collection[int]) -> set[int]:
    """Return which of some tests shipped the variant of a verdict to ship.

    The others were shipped by a person, whatever the evidence.
    """
    looks = Look.objects.filter(experiment__in=tests, action=SHIP).alias(named=KT("result__variant"))
    return set(
        looks.filter(named=F("experiment__shipped_variant")).values_list("experiment", flat=True)
    )
