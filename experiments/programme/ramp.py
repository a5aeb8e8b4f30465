"""Read how a ramp stands: from its epochs, the users that came, the last look, and a person's hold.

A step with `units` is left by evidence: its minimum time has passed since its epoch began, and so many
users came into the treatment in that epoch that its class of harm would have shown. One without is left
by the clock since the start, as ramps were until 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.programme.ramp_types import RampNeed, RampState, RampStepState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from experiments.models import Epoch, Experiment, ExperimentMetric, Look
    from experiments.programme.ramp_types import StepState
    from experiments.stats.comparison import Comparison

ENDING_ACTIONS = frozenset(
    {"halt", "roll_back"}
)  # of the last look: it ends, and the ramp waits for that
EQUAL_SHARES = 1e-9  # allocations that differ by the rounding of a product are one


@dataclass(frozen=True, slots=True)
class _Ramp:
    """What a ramp is read from.

    Attributes:
        experiment: that runs.
        now: the time.
        epochs: in their order.
        users: that came into the treatment, by epoch; of several treatments, into the one with fewest.
        treatment_share: of all users who get the treatment, at an allocation of 1.
    """

    experiment: Experiment
    now: datetime
    epochs: Sequence[Epoch]
    users: Mapping[int, int]
    treatment_share: float

    def step_of(self, allocation: float) -> list[Epoch]:
        """Return the epochs in which a step lasted."""
        return [epoch for epoch in self.epochs if abs(epoch.allocation - allocation) < EQUAL_SHARES]


def read_ramp(experiment: Experiment, now: datetime) -> RampState | None:
    """Return how the ramp of a running experiment stands; None where it has none."""
    epochs = list(experiment.epochs.all())
    if not experiment.ramp or not epochs:
        return None
    ramp = _Ramp(experiment, now, epochs, _users(experiment), _treatment_share(experiment, epochs[-1]))
    following = next_step(experiment, now)
    needs = _needs(ramp, following) if following is not None else ()
    held = any(not need.holds and need.kind not in {"time", "users"} for need in needs)
    return RampState(
        steps=_steps(ramp, held=held),
        needs=needs,
        next_share=following["allocation"] * ramp.treatment_share if following is not None else None,
        hold=experiment.ramp_hold,
    )


def next_step(experiment: Experiment, now: datetime) -> Mapping[str, Any] | None:
    """Return the step that comes next: by the clock the latest that is due, by evidence the first."""
    ahead: list[dict[str, Any]] = [
        step for step in experiment.ramp if step["allocation"] > experiment.allocation + EQUAL_SHARES
    ]
    if not ahead or experiment.started_at is None:
        return None
    if "units" in ahead[0]:
        return ahead[0]
    run = (now - experiment.started_at).total_seconds()
    due = [step for step in ahead if step["after_seconds"] <= run]
    return due[-1] if due else ahead[0]


def _users(experiment: Experiment) -> dict[int, int]:
    """Return how many users came into the treatment per epoch."""
    treatments = {
        variant.pk
        for variant in experiment.variants.all()
        if not variant.is_control and variant.weight > 0
    }
    counts: dict[int, dict[int, int]] = {}
    for total in experiment.exposure_totals.filter(segment="", variant_id__in=treatments):
        units = max(total.units - total.crossover_units, 0)
        counts.setdefault(total.epoch, {})[total.variant_id] = units
    return {
        epoch: min(by_variant.get(variant, 0) for variant in treatments)
        for epoch, by_variant in counts.items()
    }


def _treatment_share(experiment: Experiment, epoch: Epoch) -> float:
    control = experiment.control.key
    treated = [weight for key, weight in epoch.weights.items() if key != control and weight > 0]
    width = experiment.slot_high - experiment.slot_low if experiment.layer_id is not None else 1.0
    return min(treated, default=0.0) * width


def _steps(ramp: _Ramp, *, held: bool) -> tuple[RampStepState, ...]:
    """Return the steps; each is left by what the step after it asks for."""
    experiment = ramp.experiment
    allocations = [ramp.epochs[0].allocation, *(step["allocation"] for step in experiment.ramp)]
    leaving: list[Mapping[str, Any]] = [*experiment.ramp, {}]
    reached = [a for a in allocations if a <= experiment.allocation + EQUAL_SHARES]
    current = len(reached) - 1
    steps = []
    for place, (allocation, leave) in enumerate(zip(allocations, leaving, strict=True)):
        epochs = ramp.step_of(allocation)
        state: StepState = "done" if place < current else "ahead"
        if place == current:
            state = "held" if held else "current"
        steps.append(
            RampStepState(
                share=allocation * ramp.treatment_share,
                state=state,
                harm=leave.get("harm", ""),
                required_users=leave.get("units"),
                users=sum(ramp.users.get(epoch.number, 0) for epoch in epochs),
                minimum_seconds=leave.get("after_seconds", 0.0),
                started_at=epochs[0].started_at if epochs else None,
            )
        )
    return tuple(steps)


def _needs(ramp: _Ramp, step: Mapping[str, Any]) -> tuple[RampNeed, ...]:
    experiment = ramp.experiment
    look = experiment.looks.last()
    needs = [_time(ramp, step)]
    if "units" in step:
        needs.append(_users_need(ramp, step["units"]))
        needs += _guardrails(experiment, look)
    if look is not None and look.action in ENDING_ACTIONS:
        needs.append(RampNeed("look", holds=False, sentence=f"analysis {look.number}: {look.reason}"))
    if not experiment.enabled:
        needs.append(RampNeed("switched_off", holds=False, sentence="the experiment is switched off"))
    if experiment.ramp_hold:
        needs.append(RampNeed("person", holds=False, sentence=experiment.ramp_hold))
    return tuple(needs)


def _time(ramp: _Ramp, step: Mapping[str, Any]) -> RampNeed:
    by_evidence = "units" in step
    since = ramp.epochs[-1].started_at if by_evidence else ramp.experiment.started_at
    passed = (ramp.now - since).total_seconds() if since is not None else 0.0
    required = float(step["after_seconds"])
    return RampNeed(
        "time",
        holds=passed >= required,
        sentence=f"{duration(required)} {'at this step' if by_evidence else 'since the start'}",
        required=required,
        actual=passed,
    )


def _users_need(ramp: _Ramp, required: int) -> RampNeed:
    # Of the present epoch: a step by hand, or a treatment that left, begins another one.
    users = ramp.users.get(ramp.epochs[-1].number, 0)
    return RampNeed(
        "users",
        holds=users >= required,
        sentence=f"{required:,} users in the treatment",
        required=required,
        actual=users,
    )


def _guardrails(experiment: Experiment, look: Look | None) -> list[RampNeed]:
    metrics = list(experiment.metrics.select_related("metric").filter(role="guardrail"))
    if not metrics:
        return []
    rows = look.parsed_result.comparisons if look is not None else ()
    running = {variant.key for variant in experiment.variants.all() if variant.weight > 0}
    return [
        _guardrail(
            metric, [row for row in rows if row.metric == metric.metric.key and row.variant in running]
        )
        for metric in metrics
    ]


def _guardrail(metric: ExperimentMetric, rows: Sequence[Comparison]) -> RampNeed:
    """Hold where a loss has shown that could be beyond the margin.

    Not wherever a loss beyond it is possible: early in a ramp it always is. An interval that excludes
    no loss and reaches beyond the margin is what a person would wait for, and it resolves itself: it
    becomes narrower until its end is within the margin, or the guardrail is harmed and rolls back.
    """
    losses = [loss for row in rows if (loss := _loss_interval(metric, row)) is not None]
    worst = max((high for _, high in losses), default=None)
    beyond = any(low > 0 and high > metric.margin for low, high in losses)
    harmed = any(row.harmed for row in rows)
    safe = bool(rows) and all(row.safe for row in rows)
    return RampNeed(
        "guardrail",
        holds=safe or not (beyond or harmed),
        sentence=f"guardrail '{metric.metric}' within {metric.margin:.0%}",
        subject=metric.metric.key,
        required=metric.margin,
        actual=worst,
    )


def _loss_interval(metric: ExperimentMetric, row: Comparison) -> tuple[float, float] | None:
    """Return the interval of the relative loss: of what must not grow, the lift."""
    if row.lift_interval is None:
        return None
    low, high = row.lift_interval
    return (low, high) if metric.metric.direction == "decrease" else (-high, -low)


def duration(seconds: float) -> str:
    """Return a time in words: "24 hours", "90 seconds"."""
    for unit, length in (("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= 2 * length or seconds == length:
            count = seconds / length
            return f"{count:.3g} {unit}{'s' if count != 1 else ''}"
    return f"{seconds:.3g} seconds"


def next_step_sentence(state: RampState) -> str:
    """Return what the next step needs: "next step after 40 users or 1 hour, whichever is later"."""
    needs = {need.kind: need for need in state.needs}
    time, users = needs.get("time"), needs.get("users")
    if time is None:
        return ""
    length = duration(time.required or 0.0)
    if users is None:
        return f"next step {length} after the start"
    return f"next step after {users.required:,.0f} users or {length}, whichever is later"
