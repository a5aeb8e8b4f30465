"""How far a challenger is in its screening: interleaving between shadow and ramp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Max
from django.utils.translation import gettext as _

from experiments.models import Decision, Experiment, Look
from experiments.reports.autopilot_report import PipelineStage
from experiments.reports.stored_text import show_stored
from experiments.reports.verdict import word_of
from experiments.stats.policy import Policy
from inference.models import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from experiments.models import Variant
    from experiments.reports.autopilot_report import StageState
    from experiments.stats.interleaving import Preference


def is_screening(experiment: Experiment) -> bool:
    """Return whether an experiment is an interleaving that has promoted nothing."""
    return experiment.mode == Experiment.Mode.INTERLEAVE and not experiment.shipped_variant


def last_looks(experiments: Iterable[int]) -> Mapping[int, Look]:
    """Return the last look of each experiment that has one, in one query."""
    looks = Look.objects.filter(experiment__in=list(experiments))
    last = looks.order_by().values("experiment").annotate(last=Max("pk")).values("last")
    return {look.experiment_id: look for look in Look.objects.filter(pk__in=last)}


def screening_stage(
    variant: Variant, version: ModelVersion, look: Look | None, decision: Decision | None
) -> PipelineStage:
    """Return the stage of a version that is or was screened.

    Args:
        variant: of the version, in its newest screening.
        version: the version, with its present alias.
        look: the last of the screening.
        decision: the last on the screening.
    """
    experiment = variant.experiment
    preferences = look.parsed_result.preferences if look is not None else ()
    row = next((one for one in preferences if one.variant == variant.key), None)
    why = look.parsed_result.leaving.get(variant.key) if look is not None else None
    is_rejected = version.alias == ModelVersion.Alias.REJECTED
    if experiment.state != Experiment.State.ENDED and not is_rejected:
        return _running(experiment, row)
    preferred = look.parsed_result.variant if look is not None else None
    state: StageState = "stopped"
    # It left because users prefer the control, or because it failed.
    failed = why and row is not None and not row.prefers_control
    label, detail = _("Failed") if failed else _("Not preferred"), show_stored(why or "")
    if not why:
        state, label = _ended(row, decision, is_preferred=preferred == variant.key)
    return PipelineStage("screening", state, label, detail, experiment.ended_at, experiment)


def _running(experiment: Experiment, row: Preference | None) -> PipelineStage:
    label = _("Running")
    if row is not None and row.preference:
        label = _("Preferred so far") if row.preference > 0 else _("Not preferred so far")
    detail = _("%(units)s of %(planned)s planned users analysed") % {
        "units": f"{row.units if row is not None else 0:,}",
        "planned": f"{Policy.parse(experiment.policy).planned_units:,}",
    }
    return PipelineStage("screening", "now", label, detail, experiment.started_at, experiment)


def _ended(
    row: Preference | None, decision: Decision | None, *, is_preferred: bool
) -> tuple[StageState, str]:
    if decision is not None and decision.action == Decision.Action.HALT:
        return "stopped", word_of(decision.action, is_over=True)  # a version failed: nobody chose
    if decision is not None and decision.action == Decision.Action.PREFER:
        return ("done", _("Preferred")) if is_preferred else ("stopped", _("Not preferred"))
    if decision is None or decision.action == Decision.Action.ROLL_BACK:
        return "stopped", _("Not preferred")
    # Without a verdict, what looked better goes on to its test.
    return "done" if row is not None and row.preference > 0 else "stopped", _("No verdict")
