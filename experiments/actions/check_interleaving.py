"""Refuse an interleaved experiment that could not be served, or that no look could judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from bakeoff.accounts.refused import RefusedError
from experiments.metrics.spec import why_not_items
from inference.models import Surface
from inference.serving.artifact import ArtifactError
from inference.serving.models import open_model

if TYPE_CHECKING:
    from collections.abc import Set

    from experiments.actions.experiment_draft import ExperimentDraft
    from experiments.stats.policy import Policy
    from inference.models import ModelVersion

MIN_VERSIONS, MAX_VERSIONS = 2, 4  # of one slate: of ten places each of four has two or three
RULE = "always_valid"


class CannotInterleaveError(RefusedError):
    """A definition that breaks a rule of interleaving; `field` names where."""


def check_interleaving(draft: ExperimentDraft, policy: Policy) -> None:
    """Refuse what interleaving cannot do.

    Raises:
        CannotInterleaveError: a surface without lists, too many versions or two that are one, versions
            that share no item, unequal shares, or settings that need users in one variant each.
    """
    kind, recommend = draft.surface.kind, Surface.Kind.RECOMMEND
    _require(
        kind == recommend,
        f"mode == 'interleave' on a surface of kind '{kind}', must be on one of kind '{recommend}'.",
        "mode",
    )
    _require(
        policy.rule == RULE,
        f"rule == '{policy.rule}', must be '{RULE}': interleaving is judged by bets.",
        "policy",
    )
    _check_variants(draft)
    _check_settings(draft)
    _check_metric(draft)
    _check_versions(draft)


def _check_variants(draft: ExperimentDraft) -> None:
    count = len(draft.variants)
    _require(
        MIN_VERSIONS <= count <= MAX_VERSIONS,
        f"variants == {count}, must be {MIN_VERSIONS} to {MAX_VERSIONS} where lists are interleaved.",
        "variants",
    )
    weights = [variant.weight for variant in draft.variants]
    _require(
        max(weights) - min(weights) < 1e-3,
        f"weights == {weights}, must be equal: the versions draft by a fair coin.",
        "variants",
    )
    versions = {variant.version.pk for variant in draft.variants if variant.version is not None}
    _require(
        len(versions) == count,
        f"versions == {len(versions)} in {count} variants, must be a different one in each.",
        "variants",
    )
    ruled = [variant.key for variant in draft.variants if variant.rules is not None]
    _require(
        not ruled,
        f"variants with their own rules == {ruled}, must be none: one list has the surface's rules.",
        "variants",
    )


def _check_settings(draft: ExperimentDraft) -> None:
    _require(
        not draft.ramp,
        f"ramp == {len(draft.ramp)} steps, must be none: users of an interleaved experiment see the "
        "control's items too.",
        "ramp",
    )
    _require(
        not draft.segments,
        f"segments == {list(draft.segments)}, must be none in an interleaved experiment.",
        "segments",
    )
    others = [metric.metric.key for metric in draft.metrics if metric.role != "primary"]
    _require(
        not others,
        f"metrics beside the primary == {others}, must be none: nobody is in one variant alone.",
        "metrics",
    )


def _check_metric(draft: ExperimentDraft) -> None:
    """Refuse a metric that does not count what users did with items of the list."""
    metric = next(one.metric for one in draft.metrics if one.role == "primary")
    why = why_not_items(metric)
    _require(not why, why, "metrics")
    _require(
        metric.direction == "increase",
        f"direction of '{metric.key}' == '{metric.direction}', must be 'increase'.",
        "metrics",
    )


def _check_versions(draft: ExperimentDraft) -> None:
    control = next(variant.version for variant in draft.variants if variant.is_control)
    if control is None:
        return
    items = items_of(control)
    for variant in draft.variants:
        if variant.version is not None and not variant.is_control:
            check_shared_items(control, items, variant.version)


def check_shared_items(control: ModelVersion, items: Set[str], version: ModelVersion) -> None:
    """Refuse versions whose catalogues have nothing in common: which is better, no item can say.

    Args:
        control: what the version shares lists with.
        items: of the control; opening an artifact takes long, so its items are read once.
        version: a challenger.

    Raises:
        CannotInterleaveError: they have nothing in common, or the version ranks nothing.
    """
    shared = len(items & items_of(version))
    _require(
        shared > 0,
        f"items that {version.label} shares with {control.label} == 0, must be at least 1: versions of "
        "different catalogues cannot share a list.",
        "variants",
    )


def items_of(version: ModelVersion) -> set[str]:
    """Return the items that a version ranks.

    Raises:
        CannotInterleaveError: its artifact cannot be read, or it ranks none.
    """
    try:
        ranker = open_model(settings.BAKEOFF.artifacts, version.artifact_sha256).ranker
    except ArtifactError as error:
        raise CannotInterleaveError(
            f"{version.label} cannot be read: {error}", field="variants"
        ) from error
    if ranker is None or ranker.order is not None:
        raise CannotInterleaveError(
            f"{version.label} is a list in one order, must rank items for each user.", field="variants"
        )
    return set(ranker.item_ids)


def _require(holds: bool, sentence: str, field: str) -> None:  # noqa: FBT001  private, one line
    if not holds:
        raise CannotInterleaveError(sentence, field=field)
