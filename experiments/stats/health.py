"""Whether the units of an experiment arrive as they should: without that no number means anything.

An experiment halts on units in variants without weight, on a sample ratio that is off, on too many
units seen in two variants, and on variants whose excluded units differ. A mismatch among exposures that
public keys claim halts nothing, as anybody could bring it about; no verdict is given while it lasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.stats.srm import SegmentRatio, check_sample_ratio, explain_mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.stats.look_input import LookInput
    from experiments.stats.srm import SampleRatio


@dataclass(frozen=True, slots=True)
class Health:
    """How the units of an experiment arrive.

    Attributes:
        sample_ratio: whether the split is as planned.
        unhealthy_reason: why the experiment halts, or nothing.
        doubt: why no verdict is given although it runs on, or nothing.
        mismatch: of a split that is off, the segments that explain it.
    """

    sample_ratio: SampleRatio
    unhealthy_reason: str
    doubt: str
    mismatch: Sequence[SegmentRatio]

    @property
    def reason(self) -> str:
        """Why nothing may be concluded, or nothing."""
        return self.unhealthy_reason or self.doubt


def check_health(inputs: LookInput) -> Health:
    """Test the split, and count who was seen in two variants."""
    ratio = check_sample_ratio(
        inputs.exposures,
        alpha=inputs.policy.srm_alpha,
        min_p_before=inputs.min_srm_p,
        one_look=inputs.policy.rule == "fixed",
    )
    unhealthy_reason = _why_unhealthy(inputs, ratio)
    mismatch: list[SegmentRatio] = []
    if not ratio.healthy:
        alpha = inputs.policy.srm_alpha
        mismatch = explain_mismatch(inputs.segment_exposures, ratio.expected, alpha=alpha)
    return Health(
        sample_ratio=ratio,
        unhealthy_reason=unhealthy_reason,
        doubt="" if unhealthy_reason else _why_doubtful(inputs, ratio),
        mismatch=mismatch,
    )


def _why_unhealthy(inputs: LookInput, ratio: SampleRatio) -> str:
    if ratio.leaks:
        return f"units leaked into variants of weight zero: {ratio.leaks}"
    if not ratio.healthy and not _is_claimed(inputs):
        return _mismatch(inputs, ratio)
    units = inputs.exposed_units
    if units and inputs.crossover_units / units > inputs.policy.most_doubled:
        return (
            f"share of units seen in two variants == {inputs.crossover_units / units:.3f}, "
            f"must be at most {inputs.policy.most_doubled:g}"
        )
    return _why_excluded_unequally(inputs)


def _mismatch(inputs: LookInput, ratio: SampleRatio) -> str:
    return (
        f"sample ratio mismatch: p = {ratio.p_value:.2g} < {inputs.policy.srm_alpha:g}, observed "
        f"{_shares(ratio.observed)}, expected {_shares(ratio.expected)}"
    )


def _is_claimed(inputs: LookInput) -> bool:
    """Whether the split is as asked for without the exposures that public keys claim.

    Whoever reads a page has its key, and can claim one variant for units whose hash gives it: such a
    mismatch must not end an experiment. The p-values of earlier looks are not taken along, because
    claims went into them.
    """
    if not any(sum(counts.values()) for counts in inputs.claimed):
        return False
    served = [
        ({key: max(count - claimed.get(key, 0), 0) for key, count in counts.items()}, weights)
        for (counts, weights), claimed in zip(inputs.exposures, inputs.claimed, strict=True)
    ]
    one_look = inputs.policy.rule == "fixed"
    return check_sample_ratio(served, alpha=inputs.policy.srm_alpha, one_look=one_look).healthy


def _why_doubtful(inputs: LookInput, ratio: SampleRatio) -> str:
    """Say why no verdict is given although the experiment goes on."""
    if ratio.healthy:
        return ""
    return (
        f"{_mismatch(inputs, ratio)}: only among exposures that public keys claim, so it runs on and "
        "no verdict is given; send exposures with a secret key, or stop it"
    )


def _why_excluded_unequally(inputs: LookInput) -> str:
    """Say so when a variant makes more of its units look like bots: what is left is no fair half.

    Units of clusters come together, so no count of theirs is a draw.
    """
    if inputs.clusters is not None or not any(sum(counts.values()) for counts, _ in inputs.excluded):
        return ""
    ratio = check_sample_ratio(inputs.excluded, alpha=inputs.policy.srm_alpha)
    if ratio.healthy:
        return ""
    return (
        f"excluded units (bots, internal) differ between variants: p = {ratio.p_value:.2g} < "
        f"{inputs.policy.srm_alpha:g}, observed {_shares(ratio.observed)}, expected "
        f"{_shares(ratio.expected)}"
    )


def _shares(shares: Mapping[str, float]) -> str:
    return " / ".join(f"{key} {share:.1%}" for key, share in shares.items())
