"""What an interleaved experiment says at a glance: whom users prefer, and by how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from experiments.reports.percentages import NOISE, percent
from experiments.reports.read_together import primary_of, variants_of
from experiments.reports.stored_text import join_sentences
from experiments.reports.tile import Tile

if TYPE_CHECKING:
    from experiments.models import Experiment
    from experiments.reports.experiment_report import ExperimentReport
    from experiments.stats.interleaving import Preference
    from experiments.stats.look_result import LookResult


def preference_about(result: LookResult) -> Preference | None:
    """Return the preference that a verdict is about: of its variant, else the largest."""
    about = [one for one in result.preferences if one.variant == result.variant]
    return max(about or result.preferences, key=lambda one: one.preference, default=None)


def describe_preference(experiment: Experiment, one: Preference) -> str:
    """Return whom users prefer, for people: by how many clicks, and by how many users."""
    variants = variants_of(experiment)
    values = {
        "version": next(str(row.model_version) for row in variants if row.key == one.variant),
        "control": next(str(row.model_version) for row in variants if row.is_control),
        "metric": str(primary_of(experiment).metric),
        "change": percent(abs(one.lift or 0.0)).lstrip("+"),
        "wins": f"{one.wins:,}",
        "losses": f"{one.losses:,}",
        "ties": f"{one.ties:,}",
    }
    counts = _("By user: %(wins)s for %(version)s, %(losses)s for %(control)s, %(ties)s for neither.")
    return join_sentences(_direction(one) % values, counts % values)


def _direction(one: Preference) -> str:
    if one.is_contradicted:
        return _("Two checks of %(version)s against %(control)s contradict each other.")
    if not one.decides:
        return _("No clear preference between %(version)s and %(control)s.")
    if not one.is_reliable and one.preference > 0:
        return _(
            "Lists of %(version)s bring slightly more %(metric)s than those of %(control)s, too few "
            "for interleaving to tell how many."
        )
    if not one.is_reliable:
        return _(
            "Lists of %(version)s bring slightly fewer %(metric)s than those of %(control)s, too few "
            "for interleaving to tell how many."
        )
    if one.preference > 0:
        return _(
            "Lists of %(version)s bring about %(change)s more %(metric)s than those of %(control)s."
        )
    return _("Lists of %(version)s bring about %(change)s fewer %(metric)s than those of %(control)s.")


def _signed(value: float) -> str:
    """Return clicks with a sign, as percentages of other tiles have it."""
    # Credit that cancels out leaves the noise of adding floats in any order: 0, not −9e−18.
    return f"{value if abs(value) >= NOISE else 0.0:+.2g}".replace("-", "−")


def describe_preference_tile(report: ExperimentReport) -> Tile:
    """Return the tile of how much users prefer a version, with the interval that decides."""
    title = _("Preference, in %(metric)s") % {"metric": report.verdict.metric}
    one = preference_about(report.look.parsed_result) if report.look is not None else None
    if one is None:
        return Tile(title, _("No results yet"))
    change, low, high = map(_signed, (one.preference, *one.interval))
    ends = _("%(low)s to %(high)s") % {"low": low, "high": high}
    if one.check_objects:
        return Tile(
            title, _("Contradictory"), [_("Clicks and users point to different versions")], "wait"
        )
    if not one.decides:
        lines = [_("%(change)s, but it could be %(ends)s") % {"change": change, "ends": ends}]
        return Tile(title, _("No clear preference"), [*lines, report.interval_name])
    is_better = one.preference > 0
    line = (_("Better: %(ends)s") if is_better else _("Worse: %(ends)s")) % {"ends": ends}
    return Tile(title, change, [line, report.interval_name], "good" if is_better else "bad")
