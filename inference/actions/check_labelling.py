"""Refuse costs of mistakes that a surface cannot have, before it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.models import Example, Surface
from inference.serving.label_costs import COSTS, CostError, LabelCosts

if TYPE_CHECKING:
    from collections.abc import Collection


def check_labelling(surface: Surface) -> None:
    """Check what a surface says of mistakes.

    Raises:
        CostError: a value breaks a rule, a label is unknown, or the surface labels nothing.
    """
    costs = LabelCosts.parse(surface.costs, surface.abstain_cost)
    if costs.are_stated and surface.kind != Surface.Kind.CLASSIFY:
        raise CostError(
            f"costs of mistakes, must be none on a surface of kind '{surface.kind}'.", field=COSTS
        )
    if costs.stated:
        costs.require_known(_labels_of(surface))


def _labels_of(surface: Surface) -> Collection[str]:
    """Return the declared labels, else those of the loaded examples."""
    if surface.labels or surface.pk is None:
        return list(surface.labels)
    return list(Example.objects.filter(surface=surface).values_list("label", flat=True).distinct())
