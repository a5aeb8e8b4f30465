"""Refuse an experiment that could not be randomised by cluster, or that no look could judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.actions.check_above_users import check_judgement, check_settings, require
from experiments.models import Experiment
from inference.models import Surface

if TYPE_CHECKING:
    from experiments.actions.experiment_draft import ExperimentDraft
    from experiments.stats.policy import Policy

# Their answers are stored with the request's context, which names the cluster.
KINDS = (Surface.Kind.RECOMMEND, Surface.Kind.CLASSIFY, Surface.Kind.RANK, Surface.Kind.GENERATE)
# What stands beside the request's context where a text is generated, under these names.
TEXT_NAMES = ("messages", "variables", "answer", "shortened", "redacted", "not_stored")


def check_clusters(draft: ExperimentDraft, policy: Policy) -> None:
    """Refuse what clusters cannot do; of every other mode, an attribute that only clusters have.

    Raises:
        CannotRandomiseAboveError: no attribute, or one of a name that texts have; a surface whose
            requests name none, a rule that looks more than once, more than two variants, a quantile, or
            settings of single users.
    """
    if draft.mode != Experiment.Mode.CLUSTER:
        require(
            not policy.cluster_by,
            f"cluster_by == '{policy.cluster_by}', must be empty: mode == '{draft.mode}', and only "
            "mode 'cluster' has one.",
            "policy",
        )
        return
    require(
        bool(policy.cluster_by),
        "cluster_by == '', must name the attribute of the request's context that is randomised, such "
        "as 'store'.",
        "policy",
    )
    kind, kinds = draft.surface.kind, [str(one) for one in KINDS]
    require(
        kind in KINDS,
        f"mode == 'cluster' on a surface of kind '{kind}', must be on one of {kinds}: their requests "
        "name the cluster, and are stored.",
        "mode",
    )
    require(
        kind != Surface.Kind.GENERATE or policy.cluster_by not in TEXT_NAMES,
        f"cluster_by == '{policy.cluster_by}' on a surface of kind '{kind}', must be none of "
        f"{list(TEXT_NAMES)}: texts are stored under these names.",
        "policy",
    )
    why_once = "they grow while the experiment runs, and no rule for several looks holds then"
    check_judgement(draft, policy, by="clusters", why_once=why_once)
    check_settings(draft, by="clusters", whose="the cluster")
