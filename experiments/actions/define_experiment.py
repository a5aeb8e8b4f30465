"""Define an experiment: a draft with its variants, metrics and policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from bakeoff.accounts.actors import PLATFORM
from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.check_above_users import CannotRandomiseAboveError
from experiments.actions.check_assignment import (
    CannotAssignError,
    check_condition,
    check_forced,
    check_prerequisites,
    check_ramp,
    check_slot,
)
from experiments.actions.check_bandit import CannotRunBanditError, check_bandit
from experiments.actions.check_clusters import check_clusters
from experiments.actions.check_interleaving import CannotInterleaveError, check_interleaving
from experiments.actions.check_switchback import check_switchback
from experiments.assignment import is_whole
from experiments.bounds import MAX_BREAKER_ALPHA, BoundsError, check, check_whole_numbers
from experiments.kinds import ABOVE_USERS
from experiments.metrics.labels import check_tags
from experiments.metrics.spec import JUDGE_SCORE, RATING, MetricError, MetricSpec
from experiments.models import Experiment, ExperimentMetric
from experiments.salts import new_salt
from experiments.stats.policy import Policy, PolicyError
from experiments.stats.rules import require_kind
from experiments.stats.totals import StatisticsError
from inference.models import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.actions.experiment_draft import (
        ExperimentDraft,
        ExperimentMetricDraft,
        VariantDraft,
    )


# The column's width.
MAX_EXPERIMENT_NAME = 200
UNWATCHED = ABOVE_USERS | {Experiment.Mode.INTERLEAVE}
# Each is compared in every look, and shown in every report.
MAX_SEGMENTS = 10


class CannotDefineError(RefusedError):
    """A definition that breaks a rule; `field` names where."""


def define_experiment(draft: ExperimentDraft, *, by: str = "") -> Experiment:
    """Write the draft.

    Args:
        draft: what is tested.
        by: who defines it; empty: its owner.

    Raises:
        CannotDefineError: as of `check_draft`, or the key is taken.
    """
    check_draft(draft)
    try:
        return _write(draft, by)
    except IntegrityError as error:
        raise key_is_taken(draft.key) from error


def key_is_taken(key: str) -> CannotDefineError:
    """Return the refusal of a key that another experiment has."""
    return CannotDefineError(f"experiment == '{key}', exists already in this project.", field="key")


def check_draft(draft: ExperimentDraft) -> None:
    """Refuse a draft that could not run.

    Raises:
        CannotDefineError: a name, policy, weight, allocation or key that breaks its rule, a version
            of another surface, or one that its gate refused and nobody answers for.
    """
    _check_unarchived(draft)
    check_name(draft.name)
    check_tags_of(draft.tags)
    try:
        policy = Policy.parse(draft.settled_policy)
    except PolicyError as error:
        raise CannotDefineError(str(error), field="policy") from error
    if not 0 < draft.allocation <= 1:
        raise CannotDefineError(
            f"allocation == {draft.allocation:g}, must be in (0, 1].", field="allocation"
        )
    if not 0 <= draft.breaker_alpha <= MAX_BREAKER_ALPHA:
        raise CannotDefineError(
            f"breaker_alpha == {draft.breaker_alpha:g}, must be in [0, {MAX_BREAKER_ALPHA:g}] "
            "(0: no breaker).",
            field="breaker_alpha",
        )
    total = sum(variant.weight for variant in draft.variants)
    if not is_whole(total) or any(variant.weight < 0 for variant in draft.variants):
        raise CannotDefineError(f"sum of weights == {total:g}, must be 1.", field="variants")
    _check_parts(draft)
    for variant in draft.variants:
        _check_version(draft, variant)
        _check_value(variant)
        _check_rules(draft, variant)
    _check_metrics(draft, policy)
    _check_assignment(draft)
    _check_mode(draft, policy)
    if len(draft.segments) > MAX_SEGMENTS or not all(0 < len(name) <= 39 for name in draft.segments):
        raise CannotDefineError(
            f"segments == {list(draft.segments)}, must be at most {MAX_SEGMENTS} names of attributes.",
            field="segments",
        )


def _check_unarchived(draft: ExperimentDraft) -> None:
    if why := draft.surface.archived_sentence:
        raise CannotDefineError(why, field="surface")
    for one in draft.metrics:
        if why := one.metric.archived_sentence:
            raise CannotDefineError(why, field="metrics")


def _check_mode(draft: ExperimentDraft, policy: Policy) -> None:
    if draft.mode not in Experiment.Mode.values:
        raise CannotDefineError(
            f"mode == '{draft.mode}', must be one of {Experiment.Mode.values}.", field="mode"
        )
    try:
        check_bandit(draft, policy)
        check_clusters(draft, policy)
        check_switchback(draft, policy)
        if draft.is_interleaved:
            check_interleaving(draft, policy)
    except (
        CannotInterleaveError,
        CannotRandomiseAboveError,
        CannotRunBanditError,
    ) as error:
        raise CannotDefineError(str(error), field=error.field) from error


def check_name(name: str) -> None:
    """Refuse a name that is too long.

    Raises:
        CannotDefineError: it is.
    """
    if len(name) > MAX_EXPERIMENT_NAME:
        raise CannotDefineError(
            f"name == {len(name)} characters, must be at most {MAX_EXPERIMENT_NAME}.", field="name"
        )


def check_tags_of(tags: Sequence[str]) -> None:
    """Refuse tags of an experiment that no list could show.

    Raises:
        CannotDefineError: they are too many, repeated or too long, or hold a comma.
    """
    try:
        check_tags(list(tags))
    except BoundsError as error:
        raise CannotDefineError(str(error), field="tags") from error


def _check_parts(draft: ExperimentDraft) -> None:
    """Refuse variants or metrics that stand there twice, and two that want the place of one."""
    keys = [variant.key for variant in draft.variants]
    if len(set(keys)) < len(keys):
        raise CannotDefineError(f"variants == {keys}, must have different keys.", field="variants")
    controls = sum(variant.is_control for variant in draft.variants)
    if controls != 1:
        rule = f"controls == {controls}, must be 1: one variant has `is_control: true`."
        raise CannotDefineError(rule, field="variants")
    keys = [metric.metric.key for metric in draft.metrics]
    if len(set(keys)) < len(keys):
        raise CannotDefineError(
            f"metrics == {keys}, must be different: each has one role.", field="metrics"
        )
    primaries = sum(metric.role == ExperimentMetric.Role.PRIMARY for metric in draft.metrics)
    if primaries != 1:
        raise CannotDefineError(f"primary metrics == {primaries}, must be 1.", field="metrics")


def _check_metrics(draft: ExperimentDraft, policy: Policy) -> None:
    """Refuse what no look could judge: a wrong kind, a window longer than the run, a hopeless gate."""
    used = [variant.weight for variant in draft.variants if variant.weight > 0]
    for metric in draft.metrics:
        try:
            spec = MetricSpec.of(metric.metric, default_window_seconds=policy.window_seconds)
            if metric.role == ExperimentMetric.Role.PRIMARY:
                require_kind(policy, spec.kind)
                _require_people(spec)
                policy.require_attainable(spec.kind, min(used))
        except MetricError as error:
            raise CannotDefineError(
                f"metric '{metric.metric.key}': {error}", field="metrics"
            ) from error
        except (PolicyError, StatisticsError) as error:
            raise CannotDefineError(str(error), field="policy") from error
        run = policy.required_run_seconds
        if run and spec.complete_after_seconds > run:
            raise CannotDefineError(
                f"metric '{spec.key}': window ends {spec.complete_after_seconds:g} s after exposure, "
                f"must be at most the run of {run:g} s (policy.minimum_run_seconds).",
                field="metrics",
            )


def _require_people(spec: MetricSpec) -> None:
    """Refuse to let a judge alone decide: its interval holds for the judge, not for people (0057).

    Raises:
        MetricError: the metric counts a judge's scores.
    """
    if spec.reads_judge:
        raise MetricError(
            f"role == 'primary', must be guardrail or secondary: {JUDGE_SCORE} is what a judge says. "
            f"{RATING}, what people say of a random sample, may decide.",
            field="metrics",
        )


def _check_assignment(draft: ExperimentDraft) -> None:
    try:
        check_condition(draft.surface.project_id, draft.condition)
        check_prerequisites(draft.surface, draft.key, draft.hashing, draft.prerequisites)
        check_slot(draft.layer, *draft.slot)
        check_forced(draft.forced_units, [variant.key for variant in draft.variants])
        check_ramp(draft.allocation, draft.ramp)
    except CannotAssignError as error:
        raise CannotDefineError(str(error), field=error.field) from error
    if draft.hashing not in Experiment.Hashing.values:
        raise CannotDefineError(
            f"hashing == '{draft.hashing}', must be one of {Experiment.Hashing.values}.",
            field="hashing",
        )


def _check_value(variant: VariantDraft) -> None:
    """Refuse what is no flag's value in OpenFeature, and what no database can hold."""
    if not (variant.value is None or isinstance(variant.value, bool | int | float | str | dict)):
        raise CannotDefineError(
            f"value of variant '{variant.key}' == {variant.value!r}, must be true, false, a number, a "
            "text or an object.",
            field="variants",
        )
    try:
        check(variant.value, f"value of variant '{variant.key}'")
        check_whole_numbers(variant.value, f"value of variant '{variant.key}'")
    except BoundsError as error:
        raise CannotDefineError(str(error), field="variants") from error


def _check_rules(draft: ExperimentDraft, variant: VariantDraft) -> None:
    if variant.rules is not None and variant.rules.surface_id != draft.surface.pk:
        raise CannotDefineError(
            f"rules of variant '{variant.key}' belong to surface '{variant.rules.surface}', must be of "
            f"'{draft.surface}'.",
            field="variants",
        )


def _check_version(draft: ExperimentDraft, variant: VariantDraft) -> None:
    if variant.version is None:
        if draft.exclusive:
            raise CannotDefineError(
                f"variant '{variant.key}' has no model, must have one on a surface of kind "
                f"'{draft.surface.kind}'.",
                field="variants",
            )
        return
    if variant.version.surface_id != draft.surface.pk:
        raise CannotDefineError(
            f"{variant.version.label} belongs to surface '{variant.version.surface}'.",
            field="variants",
        )
    refused = variant.version.alias == ModelVersion.Alias.REJECTED
    if refused and not draft.against_gate:
        raise CannotDefineError(
            f"{variant.version.label} {_why_rejected(variant.version)}; against_gate must be true to "
            "put it before users.",
            field="against_gate",
        )


def _why_rejected(version: ModelVersion) -> str:
    """Say what rejected a version: its gate, or a test that it lost."""
    if not version.passed_gate:
        return "was refused by its gate"
    move = version.moves.filter(after=ModelVersion.Alias.REJECTED).last()
    if move is None:
        return "passed its gate and was rejected later"
    test = move.evidence.get("experiment")
    where = f"lost experiment '{test}'" if test else "was rejected"
    return f"passed its gate and {where} ({move.reason.removesuffix('.')})"


def columns_of(draft: ExperimentDraft) -> dict[str, Any]:
    """Return a draft as values of the experiment's columns; variants and metrics are other rows."""
    return {
        "surface": draft.surface,
        "key": draft.key,
        "name": draft.name,
        "tags": list(draft.tags),
        "hypothesis": draft.hypothesis,
        "allocation": draft.allocation,
        "policy": draft.settled_policy,
        "segments": list(draft.segments),
        "against_gate": draft.against_gate,
        "hashing": draft.hashing,
        "exclusive": draft.exclusive,
        "layer": draft.layer,
        "slot_low": draft.slot[0],
        "slot_high": draft.slot[1],
        "condition": dict(draft.condition),
        "prerequisites": [dict(one) for one in draft.prerequisites],
        "forced_units": dict(draft.forced_units),
        # A bandit's shares change all the time, and its users keep their variant.
        "sticky": draft.sticky or draft.mode == Experiment.Mode.BANDIT,
        "ramp": [dict(step) for step in draft.ramp],
        # The breaker compares arms by their units: nobody is in one, or units are no draws.
        "breaker_alpha": 0.0 if draft.mode in UNWATCHED else draft.breaker_alpha,
        "purpose": draft.purpose,
        "mode": draft.mode,
        "ends_at": draft.ends_at,
    }


@transaction.atomic
def _write(draft: ExperimentDraft, by: str) -> Experiment:
    experiment = Experiment.objects.create(
        project=draft.surface.project,
        owner=draft.owner,
        salt=draft.salt or new_salt(),
        **columns_of(draft),
    )
    for variant in draft.variants:
        write_variant(experiment, variant)
    for metric in draft.metrics:
        write_metric(experiment, metric)
    record_audit(
        experiment.project_id,
        actor=by or draft.owner or PLATFORM,
        action="define",
        subject=experiment.key,
    )
    return experiment


def write_variant(experiment: Experiment, draft: VariantDraft) -> None:
    """Write a variant, or bring the one of its key up to date: its row stays."""
    experiment.variants.update_or_create(
        key=draft.key,
        defaults={
            "is_control": draft.is_control,
            "weight": draft.weight,
            "model_version": draft.version,
            "value": draft.value,
            "rules": draft.rules,
        },
    )


def write_metric(experiment: Experiment, draft: ExperimentMetricDraft) -> None:
    """Write a metric's part, or bring it up to date: its row stays."""
    experiment.metrics.update_or_create(
        metric=draft.metric,
        defaults={
            "role": draft.role,
            "margin": draft.margin,
            "margin_floor": draft.margin_floor,
        },
    )
