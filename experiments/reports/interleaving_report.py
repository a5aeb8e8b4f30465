"""What an interleaved experiment shows: preferences, in words and as numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from experiments.reports.percentages import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Experiment, Look
    from experiments.stats.interleaving import Preference

CLOSE = 1e-9  # of a preference that is none: rounding has no side


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """One version against the control.

    Attributes:
        variant: key of its variant.
        model: label of its version.
        sentence: whom users prefer, in words of pages.
        units: complete users.
        preference: weighted clicks per user, version less control.
        interval: of it, valid at any time.
        lift: counterfactual clicks, relative; None without any.
        p_value: anytime-valid.
        wins, losses, ties: users by team credit.
        sign_p_value: of the fixed sign test.
        is_reliable: whether the lift is large enough for its sign to be trusted.
    """

    variant: str
    model: str
    sentence: str
    units: int
    preference: float
    interval: tuple[float, float]
    lift: float | None
    p_value: float
    wins: int
    losses: int
    ties: int
    sign_p_value: float
    is_reliable: bool


@dataclass(frozen=True, slots=True)
class InterleavingReport:
    """What the panel shows.

    Attributes:
        rows: of the versions, in their order.
        recommendations: that complete users got.
        failed: how often a version, or the control, had no part in one.
        decay: exponent of the examination curve.
    """

    rows: Sequence[PreferenceRow]
    recommendations: int
    failed: int
    decay: float

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)


def interleaving_report_of(experiment: Experiment, look: Look | None) -> InterleavingReport | None:
    """Return what the last look says; None before it, and of an experiment that splits users."""
    interleaved = look.parsed_inputs.interleaved if look is not None else None
    if look is None or interleaved is None:
        return None
    labels = {
        variant.key: str(variant.model_version)
        for variant in experiment.variants.select_related("model_version")
    }
    return InterleavingReport(
        rows=[_row(one, labels) for one in look.parsed_result.preferences],
        recommendations=interleaved.slates,
        # Where two versions fail in one recommendation, it counts for each.
        failed=(interleaved.failed_by_any or 0) + sum(interleaved.failed.values()),
        decay=interleaved.decay,
    )


def _row(one: Preference, labels: dict[str, str]) -> PreferenceRow:
    return PreferenceRow(
        variant=one.variant,
        model=labels.get(one.variant, ""),
        sentence=_sentence(one, labels.get(one.variant, one.variant)),
        units=one.units,
        preference=one.preference,
        interval=one.interval,
        lift=one.lift,
        p_value=one.p_value,
        wins=one.wins,
        losses=one.losses,
        ties=one.ties,
        sign_p_value=one.sign_p_value,
        is_reliable=one.is_reliable,
    )


def _sentence(one: Preference, label: str) -> str:
    if one.is_contradicted:
        return _("The two checks of %(name)s contradict each other: no verdict.") % {"name": label}
    if not one.decides:
        return _("No preference between %(name)s and the control is shown yet.") % {"name": label}
    lift = percent(one.lift) if one.lift is not None else "–"
    values = {"name": label, "lift": lift}
    if one.preference > CLOSE:
        text = _("Users prefer %(name)s to the control: about %(lift)s clicks.") % values
    else:
        text = _("Users prefer the control to %(name)s: about %(lift)s clicks.") % values
    if one.is_reliable:
        return text
    return text + " " + _("Below 2%, the sign of interleaving and that of a test may differ.")
