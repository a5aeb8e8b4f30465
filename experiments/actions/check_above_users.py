"""What no experiment can have that is randomised above its users: by clusters, or by blocks of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.accounts.refused import RefusedError
from experiments.metrics.spec import MetricSpec
from experiments.models import Experiment
from experiments.stats.clusters import MIN_CLUSTERS

if TYPE_CHECKING:
    from experiments.actions.experiment_draft import ExperimentDraft
    from experiments.stats.policy import Policy

RULE = "fixed"


class CannotRandomiseAboveError(RefusedError):
    """A definition that breaks a rule of clusters or blocks; `field` names where."""


def check_judgement(draft: ExperimentDraft, policy: Policy, *, by: str, why_once: str) -> None:
    """Refuse what no look could judge that sums users to what was randomised.

    Args:
        draft: the experiment to be.
        policy: the draft's, settled.
        by: what is randomised, in the plural.
        why_once: why there is one look alone.

    Raises:
        CannotRandomiseAboveError: another rule than one look, a gate below what the test needs, a bet
            on small effects, or a quantile.
    """
    require(
        policy.rule == RULE, f"rule == '{policy.rule}', must be '{RULE}' by {by}: {why_once}.", "policy"
    )
    require(
        policy.minimum_nonzero >= MIN_CLUSTERS,
        f"minimum_nonzero == {policy.minimum_nonzero}, must be at least {MIN_CLUSTERS} by {by}.",
        "policy",
    )
    require(
        policy.ship_when == "significant",
        f"ship_when == '{policy.ship_when}', must be 'significant' by {by}.",
        "policy",
    )
    for one in draft.metrics:
        spec = MetricSpec.of(one.metric, default_window_seconds=policy.window_seconds)
        require(
            spec.kind != "quantile",
            f"metric '{spec.key}' is a quantile, must be a mean or a ratio: {by} are summed.",
            "metrics",
        )


def check_settings(draft: ExperimentDraft, *, by: str, whose: str) -> None:
    """Refuse settings of single users, and shares that change.

    Args:
        draft: the experiment to be.
        by: what is randomised, in the plural.
        whose: whose variant a user has.

    Raises:
        CannotRandomiseAboveError: more than two variants, a ramp, segments, sticky users, or hashing
            that clients evaluate.
    """
    count = len(draft.variants)
    require(count == 2, f"variants == {count}, must be 2 by {by}.", "variants")
    require(
        not draft.ramp,
        f"ramp == {len(draft.ramp)} steps, must be none: the shares of {by} stay.",
        "ramp",
    )
    require(
        not draft.segments,
        f"segments == {list(draft.segments)}, must be none by {by}: a segment may hold a few.",
        "segments",
    )
    require(
        not draft.sticky,
        f"sticky == True, must be false by {by}: a user has the variant of {whose}.",
        "sticky",
    )
    sha256 = Experiment.Hashing.SHA256.value
    require(
        draft.hashing == sha256,
        f"hashing == '{draft.hashing}', must be '{sha256}' by {by}.",
        "hashing",
    )


def require(holds: bool, sentence: str, field: str) -> None:  # noqa: FBT001  one line
    """Refuse a definition by a sentence, and name where."""
    if not holds:
        raise CannotRandomiseAboveError(sentence, field=field)
