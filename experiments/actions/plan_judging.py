"""Say how a surface's answers are judged: by which judge, how many by people, on which scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.models import judge_plan_of
from experiments.models.judgements import MAX_POINTS, MIN_POINTS
from inference.models import ModelVersion, Surface

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from experiments.models import JudgePlan

MAX_RUBRIC = 8000  # it stands in every request to the judge
MAX_DAILY_COST = 1e6
MAX_RATIO = 1000.0  # of cost or latency; more is no limit
MIN_MARGIN = 1e-4  # no number of rows proves a smaller loss
CHECK_SETTINGS = ("check_margin", "check_min_share", "check_cost_ratio", "check_latency_ratio")
SETTINGS = ("judge", "rubric", "points", "judge_share", "label_share", "daily_cost", *CHECK_SETTINGS)


class CannotPlanJudgingError(RefusedError):
    """A setting that breaks a rule; `field` names which."""


def judging_settings(plan: JudgePlan) -> dict[str, Any]:
    """Return the settings as JSON; the judge as `surface/label`."""
    judge = plan.judge
    return {name: getattr(plan, name) for name in SETTINGS} | {
        "judge": f"{judge.surface.key}/{judge.label}" if judge is not None else None
    }


def plan_judging(*, surface: Surface, changes: Mapping[str, Any], by: str) -> JudgePlan:
    """Change the named settings; all others stay as they are.

    Args:
        surface: whose answers.
        changes: values as JSON by setting; the judge as `surface/label`, such as `judges/prompt@1`.
        by: who does it.

    Raises:
        CannotPlanJudgingError: an unknown setting, or a value that breaks its rule.
    """
    with transaction.atomic():
        # Two people may change two settings at once: each reads what the other has written.
        locked = Surface.objects.select_for_update(no_key=True).get(pk=surface.pk)
        plan = judge_plan_of(locked)
        before = judging_settings(plan)
        for name, value in changes.items():
            if name not in _READERS:
                raise CannotPlanJudgingError(
                    f"setting '{name}' is unknown, must be one of {sorted(SETTINGS)}.", field=name
                )
            setattr(plan, name, _READERS[name](locked, name, value))
        after = judging_settings(plan)
        changed = {
            name: [before[name], after[name]] for name in SETTINGS if before[name] != after[name]
        }
        if changed:
            plan.save()
            record_audit(
                locked.project_id,
                actor=by,
                action="plan judging",
                subject=locked.key,
                detail={"changed": changed},
            )
    return plan


def _judge(surface: Surface, name: str, value: Any) -> ModelVersion | None:
    if value in {None, ""}:
        return None
    key, _, label = str(value).partition("/")
    algorithm, _, number = label.rpartition("@")
    found = ModelVersion.objects.filter(
        surface__project=surface.project_id,
        surface__key=key,
        surface__archived_at=None,
        algorithm=algorithm,
        number=int(number) if number.isdecimal() and len(number) < 9 else 0,
    ).first()
    if found is None or found.surface_id == surface.pk:
        raise CannotPlanJudgingError(
            f"judge == '{value!s:.80}', must be a version of another surface, as surface/name@number.",
            field=name,
        )
    return found


def _rubric(_surface: Surface, name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_RUBRIC or "\0" in value:
        raise CannotPlanJudgingError(
            f"{name} == {value!r:.80}, must be a text of at most {MAX_RUBRIC} characters.", field=name
        )
    return value.strip()


def _points(_surface: Surface, name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not MIN_POINTS <= value <= MAX_POINTS:
        raise CannotPlanJudgingError(
            f"{name} == {value!r:.80}, must be a whole number in [{MIN_POINTS}, {MAX_POINTS}].",
            field=name,
        )
    return value


def _number(maximum: float, *, minimum: float = 0.0) -> Callable[[Surface, str, Any], float]:
    def read(_surface: Surface, name: str, value: Any) -> float:
        plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not plain or not minimum <= value <= maximum:
            raise CannotPlanJudgingError(
                f"{name} == {value!r:.80}, must be in [{minimum:g}, {maximum:g}].", field=name
            )
        return float(value)

    return read


_READERS: dict[str, Callable[[Surface, str, Any], Any]] = {
    "judge": _judge,
    "rubric": _rubric,
    "points": _points,
    "judge_share": _number(1.0),
    "label_share": _number(1.0),
    "daily_cost": _number(MAX_DAILY_COST),
    "check_margin": _number(1.0, minimum=MIN_MARGIN),
    "check_min_share": _number(1.0),
    "check_cost_ratio": _number(MAX_RATIO, minimum=1.0),
    "check_latency_ratio": _number(MAX_RATIO, minimum=1.0),
}
