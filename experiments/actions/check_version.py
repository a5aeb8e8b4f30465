"""Check a version that generates on a data set: beside the champion, before it meets users."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.judge_purse import JudgePurse
from experiments.actions.rate_answer import read_messages
from experiments.models import DataSet, DataSetRow, RowAnswer, VersionCheck, judge_plan_of
from inference.actions.read_prompt import NoPromptError, read_prompt
from inference.judging.assertions import CheckedAnswer, check_all, parse_assertions
from inference.judging.completion import NoCompletionError, ask_version
from inference.judging.generation_gate import GenerationRule, RowResult, judge_generations
from inference.judging.pairwise import PairJudge
from inference.judging.purse import BudgetSpentError
from inference.models import AliasMove, ModelVersion, Surface
from inference.serving.prompts import VariablesError
from inference.serving.templates import TemplateError
from inference.trace_context import TracedThreads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from inference.evaluation.gate import GateResult
    from inference.judging.assertions import Assertion
    from inference.serving.prompts import Prompt

LEASE = timedelta(minutes=30)  # longer than a judge takes for all rows; renewed as versions answer
AT_ONCE = 4  # requests to a provider
BATCH = 20  # rows that a worker which dies asks for again


class CannotCheckError(RefusedError):
    """There is no data set to check on, or the version is being checked on it already."""


def queue_check(*, version: ModelVersion, data_set: DataSet, by: str) -> VersionCheck:
    """Queue a check; a worker makes it at the next tick, or `run_check` at once.

    Raises:
        CannotCheckError: the data set is another surface's, or a check of both waits already.
    """
    if data_set.surface_id != version.surface_id:
        raise CannotCheckError(
            f"data set == '{data_set.key}', must be one of the version's surface.", field="data_set"
        )
    try:
        with transaction.atomic():
            check = _create(version, data_set, by)
            record_audit(
                version.surface.project_id,
                actor=by,
                action="check version",
                subject=f"{version.label} of {version.surface.key}",
                detail={"data_set": data_set.key},
            )
    except IntegrityError as error:
        raise CannotCheckError(
            f"{version.label} is being checked on '{data_set.key}' already.", field=None
        ) from error
    return check


def _create(version: ModelVersion, data_set: DataSet, by: str) -> VersionCheck:
    rival = version.surface.versions.champions().exclude(pk=version.pk).first()
    return VersionCheck.objects.create(
        project_id=data_set.project_id,
        version=version,
        data_set=data_set,
        rival=rival,
        created_by=by,
    )


def waiting_checks() -> QuerySet[VersionCheck]:
    """Return the checks that nobody makes now."""
    free = Q(lease_until=None) | Q(lease_until__lt=timezone.now())
    return VersionCheck.objects.filter(free, state=VersionCheck.State.QUEUED)


def check_by_gate(version: ModelVersion, *, by: str) -> None:
    """Queue the check that each new version of the surface has; nothing where no data set is its gate.

    Until it has ended, the version has passed no gate. In the caller's transaction.
    """
    data_set = DataSet.objects.filter(surface=version.surface_id, is_gate=True).first()
    if data_set is not None:
        version.gate = {}
        version.save(update_fields=["gate"])
        _create(version, data_set, by)  # its audit entry is that of the version


def run_check(*, check: VersionCheck) -> VersionCheck:
    """Let both versions answer, judge, and store the verdict as the version's gate.

    Of two processes one makes it. Made again after a worker died, it asks for what is missing alone.
    """
    if not waiting_checks().filter(pk=check.pk).update(lease_until=timezone.now() + LEASE):
        check.refresh_from_db()
        return check
    try:
        result = _gate(check)
    except (NoPromptError, NoCompletionError, BudgetSpentError) as error:
        return _end(check, VersionCheck.State.FAILED, str(error)[:300])
    state = VersionCheck.State.PASSED if result.passed else VersionCheck.State.REFUSED
    return _end(check, state, "; ".join(result.reasons)[:300], result)


def _gate(check: VersionCheck) -> GateResult:
    rows = list(check.data_set.rows.order_by("pk"))
    ours = _answer_all(check, check.version, rows)
    theirs = _answer_all(check, check.rival, rows) if check.rival is not None else None
    preferences: list[float] = []
    about = {"data_set": check.data_set.key, "rows": len(rows)}
    if check.rival is not None and theirs is not None:
        judge = _pair_judge(check)
        if judge is not None:
            preferences = judge.prefer_all(
                [
                    (read_messages(row.messages), first.text, second.text)
                    for row, first, second in zip(rows, ours, theirs, strict=True)
                    if first.text and second.text
                ]
            )
            about |= {"judge": judge.label, "judge_cost": judge.cost, "judge_failures": judge.failures}
    every = parse_assertions(check.data_set.assertions)
    rule = _rule(check)
    return judge_generations(
        _results(rows, ours, every),
        None if theirs is None else _results(rows, theirs, every),
        preferences,
        rival=check.rival.label if check.rival is not None else "",
        rule=rule,
        about=about | {"accepted": asdict(rule)},
    )


def _answer_all(
    check: VersionCheck, version: ModelVersion, rows: Sequence[DataSetRow]
) -> list[RowAnswer]:
    """Return what a version answers to each row; rows that it has answered are not asked again."""
    prompt = read_prompt(settings.BAKEOFF.artifacts, version)
    stored = {one.row_id: one for one in RowAnswer.objects.filter(version=version, row__in=rows)}
    missing = [row for row in rows if row.pk not in stored]
    project = version.surface.project.slug
    for start in range(0, len(missing), BATCH):
        part = missing[start : start + BATCH]
        with TracedThreads(AT_ONCE) as threads:
            answers = list(threads.map(lambda row: _answer(prompt, project, version, row), part))
        # Erased meanwhile, a row takes no answer; committed by parts, so that little is asked twice.
        left = set(
            DataSetRow.objects.filter(pk__in=[row.pk for row in part]).values_list("pk", flat=True)
        )
        RowAnswer.objects.bulk_create(
            [one for one in answers if one.row_id in left], ignore_conflicts=True
        )
        stored |= {one.row_id: one for one in answers}
        VersionCheck.objects.filter(pk=check.pk).update(lease_until=timezone.now() + LEASE)
    return [stored[row.pk] for row in rows]


def _answer(prompt: Prompt, project: str, version: ModelVersion, row: DataSetRow) -> RowAnswer:
    try:
        completion = ask_version(
            prompt,
            project=project,
            variables={name: row.variables[name] for name in prompt.variables if name in row.variables},
            messages=row.messages,
        )
    except (NoCompletionError, VariablesError, TemplateError) as error:
        # A failure is an answer too: the gate counts rows without one.
        return RowAnswer(row=row, version=version, error=str(error)[:200])
    if not completion.text.strip():
        return RowAnswer(row=row, version=version, error="empty", cost=completion.cost)
    return RowAnswer(
        row=row,
        version=version,
        text=completion.text,
        cost=completion.cost,
        latency_ms=completion.latency_ms,
    )


def _results(
    rows: Sequence[DataSetRow], answers: Sequence[RowAnswer], every: Sequence[Assertion]
) -> list[RowResult]:
    results = []
    for row, answer in zip(rows, answers, strict=True):
        checked = None if answer.error else CheckedAnswer(answer.text, answer.cost, answer.latency_ms)
        rules = (*every, *parse_assertions(row.assertions))
        results.append(
            RowResult(not answer.error, check_all(rules, checked), answer.cost, answer.latency_ms)
        )
    return results


def _pair_judge(check: VersionCheck) -> PairJudge | None:
    plan = judge_plan_of(check.version.surface)
    if plan.judge is None:
        return None
    return PairJudge(
        prompt=read_prompt(settings.BAKEOFF.artifacts, plan.judge),
        label=f"{plan.judge.surface.key}/{plan.judge.label}",
        project=check.version.surface.project.slug,
        rubric=plan.rubric,
        points=plan.points,
        purse=JudgePurse(plan),
    )


def _rule(check: VersionCheck) -> GenerationRule:
    plan = judge_plan_of(check.version.surface)
    return GenerationRule(
        margin=plan.check_margin,
        max_cost_ratio=plan.check_cost_ratio,
        max_latency_ratio=plan.check_latency_ratio,
        min_share=plan.check_min_share,
    )


def _end(
    check: VersionCheck, state: VersionCheck.State, message: str, result: GateResult | None = None
) -> VersionCheck:
    """Store the verdict, once: of two workers the second changes nothing."""
    with transaction.atomic():
        surface = Surface.objects.select_for_update(no_key=True).get(pk=check.version.surface_id)
        ended = VersionCheck.objects.filter(pk=check.pk, state=VersionCheck.State.QUEUED).update(
            state=state,
            message=message,
            result=result.as_json() if result is not None else {},
            ended_at=timezone.now(),
        )
        if ended and result is not None:
            _store_gate(check, result)
            record_audit(
                surface.project_id,
                actor=check.created_by,
                action="end check",
                subject=f"{check.version.label} of {surface.key}",
                detail={"state": state, "message": message},
            )
    check.refresh_from_db()
    return check


def _store_gate(check: VersionCheck, result: GateResult) -> None:
    version = ModelVersion.objects.get(pk=check.version_id)
    version.gate, version.metrics = result.as_json(), result.rows
    version.save(update_fields=["gate", "metrics"])
    waits = version.alias in {ModelVersion.Alias.CANDIDATE, ModelVersion.Alias.CHALLENGER}
    if result.passed or not waits:
        return  # one that serves is not taken away by a check: that is its experiment's or a person's
    AliasMove.objects.create(
        version=version,
        before=version.alias,
        after=ModelVersion.Alias.REJECTED,
        moved_by=check.created_by,
        reason="; ".join(result.reasons),
        evidence={"check": check.pk},
    )
    version.alias = ModelVersion.Alias.REJECTED
    version.save(update_fields=["alias"])
