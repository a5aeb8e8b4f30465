"""Which promotions a surface's champion has in effect, at any time, and what each of them brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.models import Decision, Experiment
from experiments.reports.read_together import find_primary, last_look, read_together
from experiments.stats.cumulative_gain import LogGain, adjusted_sum, combine, fit_prior, shrink_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from experiments.models import Metric
    from experiments.stats.cumulative_gain import Prior
    from inference.models import Surface


@dataclass(frozen=True, slots=True)
class PromotionRecord:
    """A promotion and its gain.

    Attributes:
        decision: that moved the champion.
        measured: what its test found, by the surface's metric; None where none did.
        combined: the same with what its holdback measured.
        adjusted: its posterior.
    """

    decision: Decision
    measured: LogGain | None = None
    combined: LogGain | None = None
    adjusted: LogGain | None = None


@dataclass(frozen=True, slots=True)
class PromotionHistory:
    """The promotions of a surface.

    Attributes:
        records: oldest first.
        moments: from when on which of them are in effect, by their places in `records`.
        of_version: which were in effect when a version became champion last, by its id.
        prior: of the project's effects.
    """

    records: Sequence[PromotionRecord]
    moments: Sequence[tuple[datetime, frozenset[int]]]
    of_version: dict[int, frozenset[int]]
    prior: Prior

    def at(self, moment: datetime) -> frozenset[int]:
        """Return which promotions were in effect at a moment."""
        effective: frozenset[int] = frozenset()
        for since, places in self.moments:
            if since > moment:
                break
            effective = places
        return effective

    def gain(self, weights: Mapping[int, float]) -> LogGain:
        """Return the posterior of a sum of gains.

        Args:
            weights: by places in `records`: 1 of a gain that is added, −1 of one that is taken back.
        """
        known = [
            (combined, weight)
            for place, weight in sorted(weights.items())
            if (combined := self.records[place].combined) is not None
        ]
        return adjusted_sum(self.prior, [gain for gain, _ in known], [weight for _, weight in known])


def read_history(surface: Surface, metric: Metric, prior: Prior) -> PromotionHistory:
    """Read the promotions of a surface.

    A promotion adds to what its predecessor had. A version that becomes champion again takes back
    what came after it: it has what it had. One that nothing tested (by hand, a refit) adds nothing that
    is known.
    """
    promotions = Decision.objects.filter(surface=surface, promoted__isnull=False).order_by("id")
    decisions = list(promotions.select_related("experiment", "promoted", "replaced"))
    tests = {one.experiment.pk: one.experiment for one in decisions if one.experiment is not None}
    read_together(tests.values())
    holdbacks = _holdbacks_of(surface, decisions)
    records: list[PromotionRecord] = []
    moments: list[tuple[datetime, frozenset[int]]] = []
    of_version: dict[int, frozenset[int]] = {}
    effective: frozenset[int] = frozenset()
    for decision in decisions:
        test = tests.get(decision.experiment_id or 0)
        holdback = holdbacks.get(decision.evidence.get("holdback", ""))
        record = _record(decision, metric, prior, test=test, holdback=holdback)
        records.append(record)
        if record.adjusted is not None:
            effective |= {len(records) - 1}
        elif decision.promoted_id in of_version:
            effective = of_version[decision.promoted_id]
        of_version[decision.promoted_id or 0] = effective
        if decision.replaced_id is not None and decision.replaced_id not in of_version:
            of_version[decision.replaced_id] = frozenset()
        moments.append((decision.created_at, effective))
    return PromotionHistory(records, moments, of_version, prior)


def prior_of(project_id: int) -> Prior:
    """Return how the effects of a project's tests that ended are distributed, lost ones included."""
    tests = Experiment.objects.tests().filter(project=project_id, state=Experiment.State.ENDED)
    effects = [effect for test in read_together(tests) if (effect := effect_of(test)) is not None]
    return fit_prior(effects)


def effect_of(experiment: Experiment, variant: str = "") -> LogGain | None:
    """Return a treatment's effect on the primary metric by the last look, positive where it is good.

    Args:
        experiment: with looks or without.
        variant: which treatment; empty: the shipped one, or the one that the last look is about.
    """
    look, primary = last_look(experiment), find_primary(experiment)
    # What is not healthy says nothing: its users are not split as planned.
    if look is None or primary is None or look.action == Decision.Action.HALT:
        return None
    result = look.parsed_result
    rows = result.of_metric(primary.metric.key)
    wanted = variant or experiment.shipped_variant or result.variant
    row = next((one for one in rows if one.variant == wanted), rows[0] if rows else None)
    if row is None or row.lift is None or row.lift_interval is None or row.critical is None:
        return None
    low, high = row.lift_interval
    gain = LogGain.of_interval(low, row.lift, high, critical=row.critical)
    if gain is None or gain.sd <= 0:
        return None
    return gain if primary.metric.direction == "increase" else gain.reversed


def _record(
    decision: Decision,
    metric: Metric,
    prior: Prior,
    *,
    test: Experiment | None,
    holdback: Experiment | None,
) -> PromotionRecord:
    if test is None or decision.action != Decision.Action.SHIP or decision.replaced_id is None:
        return PromotionRecord(decision)
    primary = find_primary(test)
    if primary is None or primary.metric_id != metric.pk:
        return PromotionRecord(decision)
    measured = effect_of(test)
    if measured is None:
        return PromotionRecord(decision)
    # Later users, the same question.
    later = effect_of(holdback) if holdback is not None else None
    combined = combine([measured] if later is None else [measured, later])
    return PromotionRecord(decision, measured, combined, shrink_to(prior, combined))


def _holdbacks_of(surface: Surface, decisions: Sequence[Decision]) -> dict[str, Experiment]:
    """Return the holdbacks of promotions, by their keys."""
    keys = {key for one in decisions if (key := one.evidence.get("holdback"))}
    if not keys:
        return {}
    holdbacks = Experiment.objects.filter(project=surface.project_id, key__in=keys)
    return {one.key: one for one in read_together(holdbacks)}
