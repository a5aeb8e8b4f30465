"""Whether an effect differs between segments, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from experiments.reports.code_names import name_of

if TYPE_CHECKING:
    from experiments.stats.shrunken_segments import SegmentDifference


def describe_difference(one: SegmentDifference) -> str:
    """Say whether an attribute's segments differ, and by how much they may.

    No difference shown is not none: the bound says what could still be there.
    """
    words = {
        "attribute": one.attribute,
        "variant": name_of(one.variant),
        "segments": one.segments,
        "p": f"{one.adjusted_p_value:.2g}",
        "spread": f"{one.spread:.3g}",
        "bound": "–" if one.spread_bound is None else f"{one.spread_bound:.3g}",
    }
    if one.differs:
        return (
            _(
                "%(variant)s: the effect differs by %(attribute)s at this analysis (%(segments)d "
                "segments, adjusted p = %(p)s). It spreads by %(spread)s around its mean, and by at "
                "most %(bound)s."
            )
            % words
        )
    if one.spread_bound is None:
        return (
            _(
                "%(variant)s: no difference by %(attribute)s at this analysis (%(segments)d segments, "
                "adjusted p = %(p)s): the segments are even more alike than chance would have them."
            )
            % words
        )
    return (
        _(
            "%(variant)s: no difference shown by %(attribute)s at this analysis (%(segments)d "
            "segments, adjusted p = %(p)s). A spread of at most %(bound)s around its mean is still "
            "possible."
        )
        % words
    )
