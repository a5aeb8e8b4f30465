"""Change a draft field by field, or discard it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from django.db import IntegrityError, transaction

from bakeoff.accounts.audit import record_audit
from experiments.actions.define_experiment import (
    check_draft,
    columns_of,
    key_is_taken,
    write_metric,
    write_variant,
)
from experiments.actions.draft_test import breaker_tests
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.models import Experiment
from experiments.programme.harm import HARM_CLASSES, required_users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class DraftChangedError(Exception):
    """Somebody else changed the draft since its editor read it."""


def draft_of(experiment: Experiment) -> ExperimentDraft:
    """Return a stored draft as it was defined: every field, also those that a form does not show."""
    return ExperimentDraft(
        surface=experiment.surface,
        key=experiment.key,
        name=experiment.name,
        tags=experiment.tags,
        hypothesis=experiment.hypothesis,
        owner=experiment.owner,
        salt=experiment.salt,
        variants=[
            VariantDraft(v.key, v.model_version, v.weight, v.is_control, v.value, v.rules)
            for v in experiment.variants.select_related("model_version", "rules")
        ],
        metrics=[
            ExperimentMetricDraft(metric.metric, metric.role, metric.margin, metric.margin_floor)
            for metric in experiment.metrics.select_related("metric")
        ],
        allocation=experiment.allocation,
        policy=experiment.policy,
        segments=experiment.segments,
        against_gate=experiment.against_gate,
        hashing=experiment.hashing,
        layer=experiment.layer,
        slot=(experiment.slot_low, experiment.slot_high),
        condition=experiment.condition,
        prerequisites=experiment.prerequisites,
        forced_units=experiment.forced_units,
        sticky=experiment.sticky,
        ramp=experiment.ramp,
        breaker_alpha=experiment.breaker_alpha,
        mode=experiment.mode,
    )


def fingerprint_of(draft: ExperimentDraft) -> str:
    """Return a hash of a draft's content, by which an editor's stale copy is recognised."""
    content = _as_json(draft)
    # What was hashed before there was a mode, or a tag, must hash the same now.
    if not draft.tags:
        del content["tags"]
    if draft.mode == Experiment.Mode.SPLIT:
        del content["mode"]
    try:
        written = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a whole number beyond 64 bits: old drafts have them, an edit puts them right
        written = json.dumps(content, sort_keys=True).encode()
    return hashlib.sha256(written).hexdigest()[:32]


def edit_draft(
    *,
    experiment: Experiment,
    edit: Callable[[ExperimentDraft], ExperimentDraft],
    by: str,
    read_as: str = "",
) -> Experiment:
    """Change a draft; what `edit` leaves alone stays as it is, row by row.

    Args:
        experiment: the draft.
        edit: gets the stored draft, returns it with the fields that change.
        by: who.
        read_as: fingerprint of the draft that the editor saw; empty: whatever is stored is changed.

    Raises:
        WrongStateError: it was started.
        DraftChangedError: it is not what the editor saw.
        CannotDefineError: the outcome breaks a rule; nothing is changed.
    """
    with transaction.atomic():
        # The row lock makes two editors, or an editor and a start, follow each other.
        locked = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
        locked.require(Experiment.State.DRAFT)
        before = draft_of(locked)
        if read_as and read_as != fingerprint_of(before):
            raise DraftChangedError(f"draft '{locked.key}' was changed by somebody else meanwhile")
        after = _with_ramp_of(before, edit(before))
        check_draft(after)
        changes = _changes(before, after)
        if not changes:
            return locked
        # A savepoint: the outer transaction still records nothing, and ends well, after a taken key.
        try:
            with transaction.atomic():
                _write_changes(locked, before, after)
        except IntegrityError as error:
            raise key_is_taken(after.key) from error
        record_audit(
            locked.project_id, actor=by, action="edit", subject=locked.key, detail={"changed": changes}
        )
    return locked


def _with_ramp_of(before: ExperimentDraft, after: ExperimentDraft) -> ExperimentDraft:
    """Return an edited draft with the users that each step of its ramp needs by now.

    More tests share the breaker's level where a guardrail was added, so a harm shows after more users.
    Users that a person stated are no such numbers, and stay.
    """
    old, new = ((breaker_tests(one.metrics), one.breaker_alpha) for one in (before, after))
    if old == new or after.ramp != before.ramp:
        return after
    return replace(after, ramp=[_step_of(step, old, new) for step in after.ramp])


def _step_of(
    step: Mapping[str, Any], old: tuple[int, float], new: tuple[int, float]
) -> Mapping[str, Any]:
    harm = next((one for one in HARM_CLASSES if one.name == step.get("harm")), None)
    if harm is None:
        return step
    before, after = (required_users(harm, alpha=alpha, tests=tests) for tests, alpha in (old, new))
    return {**step, "units": after} if step.get("units") == before else step


def discard_draft(*, experiment: Experiment, by: str) -> None:
    """Delete a draft; it has no data.

    Raises:
        WrongStateError: it was started.
    """
    with transaction.atomic():
        # Against a start: what runs is not deleted.
        locked = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
        locked.require(Experiment.State.DRAFT)
        detail = {"draft": _as_json(draft_of(locked))}
        record_audit(locked.project_id, actor=by, action="discard", subject=locked.key, detail=detail)
        locked.delete()


def _as_json(draft: ExperimentDraft) -> dict[str, Any]:
    """Return a draft as the audit trail shows it: keys and labels in place of rows."""
    columns = columns_of(draft)
    return {
        **columns,
        "surface": draft.surface.key,
        "layer": draft.layer.key if draft.layer is not None else None,
        "variants": {
            v.key: [
                v.is_control,
                v.weight,
                v.version.label if v.version else None,
                v.value,
                *([v.rules.number] if v.rules is not None else []),
            ]
            for v in draft.variants
        },
        "metrics": {
            metric.metric.key: [str(metric.role), metric.margin, metric.margin_floor]
            for metric in draft.metrics
        },
    }


def _changes(before: ExperimentDraft, after: ExperimentDraft) -> dict[str, list[Any]]:
    """Return what differs: field → [before, after]."""
    old, new = _as_json(before), _as_json(after)
    return {name: [old[name], new[name]] for name in new if old[name] != new[name]}


def _write_changes(experiment: Experiment, before: ExperimentDraft, after: ExperimentDraft) -> None:
    old, new = columns_of(before), columns_of(after)
    changed = [name for name in new if old[name] != new[name]]
    for name in changed:
        setattr(experiment, name, new[name])
    experiment.save(update_fields=changed)
    # One control and one primary metric are unique indexes, checked row by row: the
    # old one gives its place up before the new one takes it.
    experiment.variants.exclude(key__in=[v.key for v in after.variants]).delete()
    for variant in sorted(after.variants, key=lambda v: v.is_control):
        if variant not in before.variants:
            write_variant(experiment, variant)
    experiment.metrics.exclude(metric__in=[metric.metric for metric in after.metrics]).delete()
    for metric in sorted(after.metrics, key=lambda metric: metric.role == "primary"):
        if metric not in before.metrics:
            write_metric(experiment, metric)
