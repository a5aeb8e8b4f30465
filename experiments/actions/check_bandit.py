"""Refuse a bandit that no shares could be computed for, or that no look could judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.accounts.refused import RefusedError
from experiments.metrics.spec import MetricSpec
from experiments.models import Experiment

if TYPE_CHECKING:
    from experiments.actions.experiment_draft import ExperimentDraft
    from experiments.stats.policy import Policy

RULES = ("always_valid", "exact")
# What is learnt of a user comes when its window has closed: after weeks the traffic has long gone.
MAX_DELAY_SECONDS = 7 * 86_400.0


class CannotRunBanditError(RefusedError):
    """A definition that breaks a rule of bandits; `field` names where."""


def check_bandit(draft: ExperimentDraft, policy: Policy) -> None:
    """Refuse what a bandit cannot do; of every other mode, a floor that only a bandit has.

    Raises:
        CannotRunBanditError: no floor or one that leaves nothing to share out, a rule that does not
            hold while shares follow outcomes, a burn-in as long as the plan, a reward without a mean, a
            metric that ripens late, or settings that need shares that stay.
    """
    if draft.mode != Experiment.Mode.BANDIT:
        _require(
            policy.floor == 0,
            f"floor == {policy.floor:g}, must be 0: mode == '{draft.mode}', and only a bandit has one.",
            "policy",
        )
        return
    _require(
        policy.rule in RULES,
        f"rule == '{policy.rule}', must be one of {list(RULES)} in a bandit: the others are made for "
        "shares that do not follow outcomes.",
        "policy",
    )
    _check_floor(draft, policy)
    _require(
        policy.burn_in_units < policy.planned_units,
        f"burn_in_units == {policy.burn_in_units}, must be less than planned_units == "
        f"{policy.planned_units}: shares change, and epochs end, from the first update on.",
        "policy",
    )
    _check_metrics(draft, policy)
    _check_settings(draft, policy)


def _check_floor(draft: ExperimentDraft, policy: Policy) -> None:
    count = len(draft.variants)
    _require(policy.floor > 0, "floor == 0, must be positive in a bandit.", "policy")
    _require(
        policy.floor * count <= 1,
        f"floor == {policy.floor:g}, must be at most {1 / count:g}: it is the least share of each of "
        f"{count} variants.",
        "policy",
    )
    low = min(draft.variants, key=lambda variant: variant.weight)
    _require(
        low.weight >= policy.floor,
        f"weight of variant '{low.key}' == {low.weight:g}, must be at least the floor of "
        f"{policy.floor:g}.",
        "variants",
    )


def _check_metrics(draft: ExperimentDraft, policy: Policy) -> None:
    for one in draft.metrics:
        spec = MetricSpec.of(one.metric, default_window_seconds=policy.window_seconds)
        _require(
            one.role != "primary" or spec.kind != "quantile",
            f"primary metric '{spec.key}' is a quantile, must have a mean: it is a bandit's reward.",
            "metrics",
        )
        _require(
            spec.complete_after_seconds <= MAX_DELAY_SECONDS,
            f"window of '{spec.key}' ends {spec.complete_after_seconds:g} s after exposure, must be at "
            f"most {MAX_DELAY_SECONDS:g} s in a bandit: it learns from users whose windows have "
            "closed.",
            "metrics",
        )


def _check_settings(draft: ExperimentDraft, policy: Policy) -> None:
    _require(
        not draft.ramp,
        f"ramp == {len(draft.ramp)} steps, must be none: a bandit's shares follow its rewards.",
        "ramp",
    )
    _require(
        not draft.segments,
        f"segments == {list(draft.segments)}, must be none in a bandit.",
        "segments",
    )
    _require(
        draft.hashing == Experiment.Hashing.SHA256,
        f"hashing == '{draft.hashing}', must be '{Experiment.Hashing.SHA256.value}' in a bandit: users "
        "keep their variant, which the server remembers.",
        "hashing",
    )
    _require(
        policy.ship_when == "significant",
        f"ship_when == '{policy.ship_when}', must be 'significant' in a bandit.",
        "policy",
    )


def _require(holds: bool, sentence: str, field: str) -> None:  # noqa: FBT001  private, one line
    if not holds:
        raise CannotRunBanditError(sentence, field=field)
