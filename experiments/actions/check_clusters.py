"""Refuse an experiment that could not be randomised by cluster, or that no look could judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.accounts.refused import RefusedError
from experiments.metrics.spec import MetricSpec
from experiments.models import Experiment
from experiments.stats.clusters import MIN_CLUSTERS
from inference.models import Surface

if TYPE_CHECKING:
    from experiments.actions.define_experiment import ExperimentDraft
    from experiments.stats.policy import Policy

RULE = "fixed"
# Their answers are stored with the request's context, which names the cluster.
KINDS = (Surface.Kind.RECOMMEND, Surface.Kind.CLASSIFY, Surface.Kind.RANK)


class CannotRandomiseClustersError(RefusedError):
    """A definition that breaks a rule of clusters; `field` names where."""


def check_clusters(draft: ExperimentDraft, policy: Policy) -> None:
    """Refuse what clusters cannot do; of every other mode, an attribute that only clusters have.

    Raises:
        CannotRandomiseClustersError: no attribute, a surface whose requests name none, a rule that
            looks more than once, more than two variants, a quantile, or settings of single users.
    """
    if draft.mode != Experiment.Mode.CLUSTER:
        _require(
            not policy.cluster_by,
            f"cluster_by == '{policy.cluster_by}', must be empty: mode == '{draft.mode}', and only "
            "mode 'cluster' has one.",
            "policy",
        )
        return
    _require(
        bool(policy.cluster_by),
        "cluster_by == '', must name the attribute of the request's context that is randomised, such "
        "as 'store'.",
        "policy",
    )
    kind, kinds = draft.surface.kind, [str(one) for one in KINDS]
    _require(
        kind in KINDS,
        f"mode == 'cluster' on a surface of kind '{kind}', must be on one of {kinds}: their requests "
        "name the cluster, and are stored.",
        "mode",
    )
    _check_judgement(draft, policy)
    _check_settings(draft)


def _check_judgement(draft: ExperimentDraft, policy: Policy) -> None:
    _require(
        policy.rule == RULE,
        f"rule == '{policy.rule}', must be '{RULE}' by clusters: they grow while the experiment runs, "
        "and no rule for several looks holds then.",
        "policy",
    )
    _require(
        policy.minimum_nonzero >= MIN_CLUSTERS,
        f"minimum_nonzero == {policy.minimum_nonzero}, must be at least {MIN_CLUSTERS} by clusters.",
        "policy",
    )
    _require(
        policy.ship_when == "significant",
        f"ship_when == '{policy.ship_when}', must be 'significant' by clusters.",
        "policy",
    )
    for one in draft.metrics:
        spec = MetricSpec.of(one.metric, default_window_seconds=policy.window_seconds)
        _require(
            spec.kind != "quantile",
            f"metric '{spec.key}' is a quantile, must be a mean or a ratio: clusters are summed.",
            "metrics",
        )


def _check_settings(draft: ExperimentDraft) -> None:
    count = len(draft.variants)
    _require(count == 2, f"variants == {count}, must be 2 by clusters.", "variants")
    _require(
        not draft.ramp,
        f"ramp == {len(draft.ramp)} steps, must be none: the shares of clusters stay.",
        "ramp",
    )
    _require(
        not draft.segments,
        f"segments == {list(draft.segments)}, must be none by clusters: a segment may hold a few.",
        "segments",
    )
    _require(
        not draft.sticky,
        "sticky == True, must be false by clusters: a user has the variant of the cluster.",
        "sticky",
    )
    sha256 = Experiment.Hashing.SHA256.value
    _require(
        draft.hashing == sha256,
        f"hashing == '{draft.hashing}', must be '{sha256}' by clusters.",
        "hashing",
    )


def _require(holds: bool, sentence: str, field: str) -> None:  # noqa: FBT001  private, one line
    if not holds:
        raise CannotRandomiseClustersError(sentence, field=field)
