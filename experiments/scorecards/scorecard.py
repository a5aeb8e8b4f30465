"""A scorecard: totals that came from a file, judged by a rule, look after look, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from experiments.scorecards.unit_file import FileError
from experiments.stats.clusters import MIN_CLUSTERS
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.metric_input import MetricInput
from inference.plurals import counted, verb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.kinds import Direction, Role
    from experiments.scorecards.unit_file import ClusterColumn, FileLook, FileTotals, MetricColumn
    from experiments.stats.look_result import LookResult
    from experiments.stats.policy import Policy


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the totals.

    Attributes:
        policy: the rule; `planned_units` is settled here when it is None.
        control: name of the control.
        metrics: in order; the first one is the primary.
        guardrails: margins of those that are guardrails, by name.
        lower_is_better: names of metrics of which less is better.
        expected: planned share of each variant; None for equal ones.
        planned_units: over all variants; None for those of the file.
        cluster: what was randomised, where it was not the unit.

    Raises:
        FileError: clusters with a rule that counts units.
    """

    policy: Policy
    control: str
    metrics: Sequence[MetricColumn]
    guardrails: Mapping[str, float] = field(default_factory=dict)
    lower_is_better: frozenset[str] = frozenset()
    expected: Mapping[str, float] | None = None
    planned_units: int | None = None
    cluster: ClusterColumn | None = None

    def __post_init__(self) -> None:
        if self.cluster is not None and self.policy.rule == "exact":
            raise FileError(
                f"rule == 'exact' with {self.cluster.option}, must be another: units of a cluster are "
                "alike."
            )

    def role_of(self, metric: str) -> Role:
        """Return a metric's part: the first one decides, whatever else is said of it."""
        if metric == self.metrics[0].name:
            return "primary"
        return "guardrail" if metric in self.guardrails else "secondary"

    def direction_of(self, metric: str) -> Direction:
        """Return which change of a metric is good."""
        return "decrease" if metric in self.lower_is_better else "increase"


@dataclass(frozen=True, slots=True)
class TakenLook:
    """A look and what it says."""

    label: str
    units: int
    result: LookResult


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What a file says.

    Attributes:
        question: what was asked, with everything settled.
        looks: taken until the first verdict; the last one is shown.
        file: the totals, and what was left out of them.
        notes: what a reader must know, in words.
    """

    question: Question
    looks: Sequence[TakenLook]
    file: FileTotals
    notes: Sequence[str]

    @property
    def last(self) -> TakenLook:
        """The look that is shown."""
        return self.looks[-1]


def judge(file: FileTotals, question: Question) -> Scorecard:
    """Take the looks in order, and stop where the rule stops.

    Raises:
        FileError: a variant is not there, or nothing can be said of the primary metric.
        StatisticsError: the rule cannot judge it.
    """
    final = file.looks[-1]
    variants = sorted(final.units)
    if question.control not in variants:
        raise FileError(f"control == '{question.control}', not found; the variants are {variants}.")
    weights = _weights(question, variants)
    treatments = [v for v in weights if v != question.control and weights[v] > 0]
    if not treatments:
        raise FileError(f"variants == {variants}, must be at least two.")
    if question.planned_units is None:
        complete = final.summaries[question.metrics[0].name].values()
        planned = max(sum(totals.n for totals in complete), 2)
        question = replace(question, policy=replace(question.policy, planned_units=planned))
    if question.cluster is not None:
        # As many clusters as the delta method needs are enough: each holds many units.
        gate = min(question.policy.minimum_nonzero, MIN_CLUSTERS)
        question = replace(question, policy=replace(question.policy, minimum_nonzero=gate))
    looks = _take_looks(file, question, treatments, weights)
    result = looks[-1].result
    primary = question.metrics[0].name
    rows = [row for row in result.comparisons if row.metric == primary]
    if all(row.effect is None for row in rows):
        raise FileError(f"metric '{primary}' cannot be compared: {rows[0].why_not}")
    return Scorecard(question, looks, file, _notes(file, question, result))


def _weights(question: Question, variants: Sequence[str]) -> dict[str, float]:
    """Return the planned share of each variant, the control first."""
    order = [question.control, *(v for v in variants if v != question.control)]
    if question.expected is None:
        return dict.fromkeys(order, 1 / len(order))
    if missing := sorted(set(order) - set(question.expected)):
        raise FileError(f"expected shares lack the variant '{missing[0]}', must name {order}.")
    return {v: question.expected[v] for v in [*order, *(set(question.expected) - set(order))]}


def _take_looks(
    file: FileTotals, question: Question, treatments: Sequence[str], weights: Mapping[str, float]
) -> list[TakenLook]:
    taken: list[TakenLook] = []
    inputs = LookInput(
        policy=question.policy,
        control=question.control,
        treatments=treatments,
        metrics=[],
        exposures=[],
        crossover_units=file.crossover_units,
        elapsed_seconds=float("inf"),
        segments={name: [totals] for name, totals in file.segments.items()},
        segment_exposures=file.segment_units,
    )
    primary = question.metrics[0].name
    for look in file.looks:
        result = take_look(
            replace(
                inputs,
                metrics=_metric_inputs(look, question),
                exposures=[(look.units, dict(weights))],
                batches=[look.batch[primary]] if primary in look.batch else [],
            )
        )
        taken.append(TakenLook(look.label, sum(look.units.values()), result))
        if result.action != "keep_running":
            break
        inputs = replace(
            inputs,
            states=result.states,
            crossed=result.crossed,
            min_srm_p=result.sample_ratio.p_value,
        )
    return taken


def _metric_inputs(look: FileLook, question: Question) -> list[MetricInput]:
    return [
        MetricInput(
            key=metric.name,
            # Per cluster, a mean over its units is a sum over a size.
            kind=metric.kind if question.cluster is None else "ratio",
            role=question.role_of(metric.name),
            direction=question.direction_of(metric.name),
            margin=question.guardrails.get(metric.name, 0.0),
            epochs=[look.summaries.get(metric.name, {})],
            quantile=metric.quantile,
            uncapped=[look.uncapped[metric.name]] if metric.name in look.uncapped else (),
        )
        for metric in question.metrics
    ]


def _notes(file: FileTotals, question: Question, result: LookResult) -> list[str]:
    notes = []
    if file.unassigned:
        notes.append(
            f"{counted(file.unassigned, 'row')} without a variant {verb(file.unassigned)} left out."
        )
    notes += _cluster_notes(file, question)
    notes += [
        f"{counted(units, 'unit')} of the variant '{variant}' {verb(units)} left out, as --exclude "
        "asks."
        for variant, units in file.excluded.items()
    ]
    for metric, missing in file.missing.items():
        notes.append(f"Units without a value of '{metric}' are left out of it: {_counts(missing)}.")
    for column, missing in file.imputed.items():
        notes.append(
            f"Units without a value of the covariate '{column}' are kept, and count as 0 in it: "
            f"{_counts(missing)}."
        )
    notes += file.remarks
    if question.expected is None and not result.sample_ratio.healthy:
        notes.append("Equal shares were expected; say --expected if others were planned.")
    notes += [
        f"The split is off within {row.segment}: {row.counts}, p = {row.p_value:.2g}."
        for row in result.mismatch[:3]
    ]
    for comparison in result.comparisons:
        lift = comparison.effect.lift if comparison.effect else None
        if lift is not None and abs(lift) > 0.5 and comparison.metric == question.metrics[0].name:
            notes.append(
                f"A lift of {lift:+.0%} ('{comparison.variant}') is unusual: check the data first."
            )
    return notes


def _cluster_notes(file: FileTotals, question: Question) -> list[str]:
    """Say what was counted, and which of them stand in two variants."""
    units = "units" if question.cluster is None else question.cluster.word
    notes = []
    if file.crossover_units:
        notes.append(f"{file.crossover_units} {units} in two variants are left out.")
    if file.clustered:
        notes.append(
            f"Counted by {units}, which were randomised: {_counts(file.looks[-1].units)}; they hold "
            f"{_counts(file.clustered)} units."
        )
    return notes


def _counts(units: Mapping[str, int]) -> str:
    return ", ".join(f"{variant} {count}" for variant, count in units.items())
