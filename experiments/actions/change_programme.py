"""Change the programme of a surface: by which rules its challengers are tested, shipped and watched."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.create_serving_metrics import create_serving_metrics
from experiments.actions.propose import ProposalDraft, propose
from experiments.bounds import MAX_BREAKER_ALPHA, MAX_COUNT
from experiments.models import Metric, Programme, Proposal, programme_of
from experiments.models.programme import REQUIRED_APPROVALS
from experiments.programme.safeguards import weakened_settings
from experiments.programme.settings import SETTINGS, settings_of
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_RAMP_STEPS = 20  # each is an epoch, and every look reads the totals of every epoch
MAX_STEP_SECONDS = 90 * 86_400.0
MAX_TREATMENT_SHARE = 0.5  # the control has as much: variants keep equal weights
MAX_GUARDRAILS = 20  # each is judged in every look, and by the breaker every few seconds
MAX_MARGIN = 10.0
MAX_HOLDBACK_SHARE = 0.25  # twice it is compared, and tests need more than the other half
MAX_DAYS = 365.0
MAX_SCREENED = 3  # challengers beside the champion in one list


class CannotChangeProgrammeError(RefusedError):
    """A setting that breaks a rule; `field` names which."""


class ChangeAwaitsApprovalError(RefusedError):
    """A change that was proposed instead: a second person must approve it."""

    code = "needs_approval"


def change_programme(
    *,
    surface: Surface,
    changes: Mapping[str, Any],
    by: str,
    person: str = "",
    approvals: Sequence[str] = (),
) -> Programme:
    """Change the named settings; all others stay as they are.

    Where two people approve, a change that guards less is proposed as a whole, with the approval of who
    asked for it.

    Args:
        surface: whose programme.
        changes: values as JSON by setting; the primary metric by its key, or None.
        by: who does it, for the audit trail.
        person: whose word it is, where two people approve; empty: `by`.
        approvals: the people who have approved the change, where it was proposed.

    Raises:
        CannotChangeProgrammeError: an unknown setting, or a value that breaks its rule.
        ChangeAwaitsApprovalError: two people must approve; it is proposed.
    """
    with transaction.atomic():
        # Two people may change two settings at once: each reads what the other has written. The row of
        # the surface is there before its programme is, and a start holds it too.
        locked = Surface.objects.select_for_update(no_key=True).get(pk=surface.pk)
        if why := locked.archived_sentence:
            raise CannotChangeProgrammeError(why)
        programme = programme_of(locked)
        # So that their margins can be set, and they be the primary, before the first experiment.
        create_serving_metrics(locked.project, locked.kind)
        before = settings_of(programme)
        for name, value in changes.items():
            _set(programme, name, value)
        _check_together(programme)
        after = settings_of(programme)
        changed = [name for name in SETTINGS if before[name] != after[name]]
        if not changed:
            return programme
        detail: dict[str, Any] = {"changed": {name: [before[name], after[name]] for name in changed}}
        weaker = weakened_settings(before, after, kind=locked.kind)
        needed = REQUIRED_APPROVALS[before["approval"]]
        if not weaker or needed < 2 or len(set(approvals)) >= needed:
            programme.save()
            record_audit(
                locked.project_id,
                actor=by,
                action="change programme",
                subject=locked.key,
                detail=detail | ({"approvals": list(approvals)} if approvals else {}),
            )
            return programme
        proposal = propose(_draft(locked, detail, weaker, by=by, person=person or by))
    raise ChangeAwaitsApprovalError(
        f"{', '.join(weaker)} of surface '{locked.key}' would guard users less: a second person must "
        f"approve proposal {proposal.pk}."
    )


def _draft(
    surface: Surface, detail: Mapping[str, Any], weaker: Sequence[str], *, by: str, person: str
) -> ProposalDraft:
    return ProposalDraft(
        surface=surface,
        kind=Proposal.Kind.SETTINGS,
        reason=f"would guard users less: {', '.join(weaker)}",
        evidence=detail,
        by=by,
        approved_by=person,
    )


def _set(programme: Programme, name: str, value: Any) -> None:
    reader = _READERS.get(name)
    if reader is None:
        raise CannotChangeProgrammeError(
            f"setting '{name}' is unknown, must be one of {sorted(SETTINGS)}.", field=name
        )
    setattr(programme, name, reader(programme, name, value))


def _refuse(name: str, value: Any, rule: str) -> CannotChangeProgrammeError:
    return CannotChangeProgrammeError(f"{name} == {value!r:.80}, must be {rule}.", field=name)


def _number(name: str, value: Any, low: float, high: float, *, below: bool = False) -> float:
    """Return a number in [low, high], or in [low, high) where it must stay below."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    fits = plain and math.isfinite(value) and low <= value <= high and not (below and value == high)
    if not fits:
        raise CannotChangeProgrammeError(
            f"{name} == {value!r:.80}, must be a number in [{low:g}, {high:g}{')' if below else ']'}.",
            field=name.partition("[")[0],
        )
    return float(value)


def _metric(programme: Programme, name: str, key: Any) -> Metric:
    """Return a metric of the surface's own project by its key."""
    metrics = Metric.objects.filter(project=programme.surface.project_id)
    metric = metrics.filter(key=key).first() if isinstance(key, str) else None
    if metric is not None and (why := metric.archived_sentence):
        raise CannotChangeProgrammeError(why, field=name.partition("[")[0])
    if metric is None:
        known = sorted(metrics.unarchived().values_list("key", flat=True))
        raise CannotChangeProgrammeError(
            f"{name} == {key!r:.80}, must be a metric of this project: one of {known}.",
            field=name.partition("[")[0],
        )
    return metric


def _primary(programme: Programme, name: str, value: Any) -> Metric | None:
    return None if value is None or value == "" else _metric(programme, name, value)


def _rows(
    name: str,
    value: Any,
    fields: frozenset[str],
    high: int,
    *,
    optional: frozenset[str] = frozenset(),
) -> Sequence[Mapping[str, Any]]:
    """Return a list of at most `high` objects that have these fields, and perhaps the optional ones."""
    if not isinstance(value, list) or len(value) > high:
        size = f"{len(value)} of them" if isinstance(value, list) else f"{value!r:.80}"
        raise CannotChangeProgrammeError(
            f"{name} == {size}, must be a list of at most {high}.", field=name
        )
    for place, row in enumerate(value):
        if not isinstance(row, dict) or row.keys() - optional != fields:
            raise CannotChangeProgrammeError(
                f"{name}[{place}] == {row!r:.80}, must have {' and '.join(sorted(fields))}.", field=name
            )
    return value


def _guardrails(programme: Programme, name: str, value: Any) -> list[dict[str, Any]]:
    rows = []
    for place, row in enumerate(_rows(name, value, frozenset({"metric", "margin"}), MAX_GUARDRAILS)):
        metric = _metric(programme, f"{name}[{place}].metric", row["metric"])
        margin = _number(f"{name}[{place}].margin", row["margin"], 0.0, MAX_MARGIN)
        rows.append({"metric": metric.key, "margin": margin})
    keys = [row["metric"] for row in rows]
    if len(set(keys)) < len(keys):
        raise _refuse(name, keys, "different metrics: each has one margin")
    return rows


def _ramp(_: Programme, name: str, value: Any) -> list[dict[str, float]]:
    fields, optional = frozenset({"share", "minimum_seconds"}), frozenset({"units"})
    rows = _rows(name, value, fields, MAX_RAMP_STEPS, optional=optional)
    if not rows:
        raise _refuse(name, value, f"1 to {MAX_RAMP_STEPS} steps")
    steps, last = [], 0.0
    for place, row in enumerate(rows):
        share = _number(f"{name}[{place}].share", row["share"], 0.0, MAX_TREATMENT_SHARE)
        if share <= last:
            raise CannotChangeProgrammeError(
                f"{name}[{place}].share == {share:g}, must be above {last:g}: steps rise.", field=name
            )
        seconds = _number(
            f"{name}[{place}].minimum_seconds", row["minimum_seconds"], 0.0, MAX_STEP_SECONDS
        )
        step = {"share": share, "minimum_seconds": seconds}
        if row.get("units") is not None:
            step["units"] = int(_number(f"{name}[{place}].units", row["units"], 0.0, MAX_COUNT))
        steps.append(step)
        last = share
    return steps


def _holdback_share(_: Programme, name: str, value: Any) -> float:
    return _number(name, value, 0.0, MAX_HOLDBACK_SHARE, below=True)


def _days(_: Programme, name: str, value: Any) -> float:
    return _number(name, value, 0.0, MAX_DAYS)


def _breaker_alpha(_: Programme, name: str, value: Any) -> float:
    return _number(name, value, 0.0, MAX_BREAKER_ALPHA)


def _interleave_first(programme: Programme, name: str, value: Any) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 0 <= value <= MAX_SCREENED:
        raise _refuse(name, value, f"a whole number in [0, {MAX_SCREENED}]")
    kind = programme.surface.kind
    if value and kind != Surface.Kind.RECOMMEND:
        raise CannotChangeProgrammeError(
            f"{name} == {value} on a surface of kind '{kind}', must be 0: lists alone are interleaved.",
            field=name,
        )
    return int(value)


def _word(words: Sequence[str]) -> Callable[[Programme, str, Any], str]:
    def read(_: Programme, name: str, value: Any) -> str:
        if value not in words:
            raise _refuse(name, value, f"one of {list(words)}")
        return str(value)

    return read


def _paused(_: Programme, name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _refuse(name, value, "true or false")
    return value


_READERS: Mapping[str, Callable[[Programme, str, Any], Any]] = {
    "primary_metric": _primary,
    "guardrails": _guardrails,
    "ramp": _ramp,
    "ship_when": _word(["", *Programme.ShipWhen.values]),
    "holdback_share": _holdback_share,
    "holdback_days": _days,
    "cooldown_days": _days,
    "approval": _word(Programme.Approval.values),
    "breaker_alpha": _breaker_alpha,
    "interleave_first": _interleave_first,
    "refresh": _word(Programme.Refresh.values),
    "paused": _paused,
}


def _check_together(programme: Programme) -> None:
    primary = programme.primary_metric
    if primary is None:
        return
    if any(guardrail.metric == primary.key for guardrail in programme.parsed_guardrails):
        raise CannotChangeProgrammeError(
            f"guardrails == '{primary.key}', must be another metric than the primary one, which is "
            "watched for losses anyway.",
            field="guardrails",
        )
