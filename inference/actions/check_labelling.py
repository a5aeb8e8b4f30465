"""Refuse costs of mistakes that a surface cannot have, before it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.models import Example, Surface
from inference.serving.label_costs import COSTS, CostError, LabelCosts

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_SLICES = 10  # attributes: each is a table on the run's page
MAX_FEATURE = 200  # characters of a feature's name


class SliceError(ValueError):
    """Slices that break a rule; `field` names where."""

    def __init__(self, message: str, *, field: str) -> None:
        """Keep the field beside the message."""
        super().__init__(message)
        self.field = field


def check_labelling(surface: Surface) -> None:
    """Check what a surface says of mistakes.

    Raises:
        CostError: a value breaks a rule, a label is unknown, or the surface labels nothing.
        SliceError: likewise of groups.
    """
    _check_slices(surface)
    costs = LabelCosts.parse(surface.costs, surface.abstain_cost)
    if costs.are_stated and surface.kind != Surface.Kind.CLASSIFY:
        raise CostError(
            f"costs of mistakes, must be none on a surface of kind '{surface.kind}'.", field=COSTS
        )
    if costs.stated:
        costs.require_known(labels_of(surface))


def _check_slices(surface: Surface) -> None:
    names, gap = surface.slices, surface.max_gap
    if (names or gap is not None) and surface.kind != Surface.Kind.CLASSIFY:
        raise SliceError(
            f"slices == {names}, must be none on a surface of kind '{surface.kind}'.", field="slices"
        )
    if len(names) > MAX_SLICES or len(set(names)) < len(names):
        raise SliceError(
            f"slices == {names!r:.80}, must be at most {MAX_SLICES} different features.", field="slices"
        )
    for name in names:
        if not 1 <= len(name) <= MAX_FEATURE:
            raise SliceError(
                f"slice == {name!r:.50}, must be a feature's name of 1 to {MAX_FEATURE} characters.",
                field="slices",
            )
    _check_gap(surface)


def _check_gap(surface: Surface) -> None:
    gap = surface.max_gap
    if gap is not None and not 0 < gap <= 1:  # false of NaN too
        raise SliceError(f"max_gap == {gap:g}, must be in (0, 1].", field="max_gap")
    if gap is not None and not surface.slices:
        raise SliceError(
            f"max_gap == {gap:g}, must be none without `slices` to compare.", field="max_gap"
        )


def labels_of(surface: Surface) -> Collection[str]:
    """Return the declared labels, else those of the loaded examples."""
    if surface.labels or surface.pk is None:
        return list(surface.labels)
    return list(Example.objects.filter(surface=surface).values_list("label", flat=True).distinct())
