"""A policy's run, free of Django: split by time, fit, judge off-policy, fit on all, gate.

What is held out are the last decisions. Of those with all actions known, the policy's value is its own
expected reward, corrected by what was taken, weighted by its chance of that over the logged propensity
(doubly robust, inference/evaluation/off_policy.py). The gate refuses what is worse than what was
served for certain: whether it is better, its experiment says. Where too few decisions were what the
policy would do otherwise, nothing is refused, and `off_policy` says why it was not judged: such a
version does not become the first champion by itself. An apprentice must predict the default action
often enough.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.algorithms import policies
from inference.evaluation.gate import GateResult, GateRule, Serving, cost_reasons
from inference.evaluation.off_policy import (
    FEW_CHANGES,
    OffPolicyError,
    changes_of,
    doubly_robust_difference,
    refuse_without_support,
    weighted_value,
)
from inference.plurals import counted
from inference.runs.outcome import RunError, RunResult
from inference.serving.action_set import ActionSet
from inference.serving.artifact import artifact_bytes, save_artifact
from inference.serving.choice import chances_of
from inference.serving.linear_policy import LinearPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from inference.runs.outcome import RunPlan, RunProgress
    from inference.serving.rank_settings import RankSettings
    from inference.training.decisions import Decisions

HELD_OUT = 0.2  # of the decisions, the last ones
MIN_DECISIONS = 200
MIN_JUDGED = 20  # held-out decisions with all actions: an apprentice is judged by them alone
MIN_EFFECTIVE = 20.0  # of them, weighted: the interval is Student's with as many degrees of freedom
# A choice takes a third of a millisecond; a worker that shares its cores must not refuse it for theirs.
RULE = GateRule(primary="reward", guardrails=(), margin=0.0, most_latency_ms=200.0)


def policy_and_judge(
    plan: RunPlan, rows: Decisions, progress: RunProgress, *, settings: RankSettings
) -> RunResult:
    """Train a policy and put it through the gate.

    Args:
        plan: what is trained.
        rows: the snapshot.
        progress: receives the share done.
        settings: of the surface.

    Raises:
        RunError: too few decisions.
    """
    imitates = settings.apprentice > 0 and plan.champion is None
    usable = rows.rows(rows.sampled) if imitates else rows
    if len(usable) < MIN_DECISIONS:
        what = "decisions with all actions" if imitates else "decisions"
        why = f"{what} == {len(usable)}, must be at least {MIN_DECISIONS}."
        raise RunError(" ".join([why, *rows.notes]))
    cut = round(len(usable) * (1 - HELD_OUT))
    learnt, held_out = (usable.rows(part) for part in np.split(np.arange(len(usable)), [cut]))
    policy = policies()[plan.recipe.algorithm]
    progress.report(0.0, "training: fitting the earlier decisions")
    options = plan.options(plan.recipe, plan.seed, len(learnt), progress.span(0.0, 0.5))
    draft = policy.fit(learnt, options, imitates=imitates)
    judged = _digest(plan, draft)
    progress.report(0.5, "judging")
    draft_policy = LinearPolicy.load(plan.place.artifacts, judged)
    judged_rows, notes = _readable(draft_policy, held_out.rows(held_out.sampled))
    log = _weigh(draft_policy, judged_rows, settings, plan.seed)
    gate = _of_apprentice(log, settings) if imitates else _gate(log)
    gate = replace(gate, about={**gate.about, "notes": [*gate.about.get("notes", ()), *notes]})
    progress.report(0.7, "training: fitting all decisions")
    options = plan.options(plan.recipe, plan.seed, len(usable), progress.span(0.7, 1.0))
    digest = _digest(plan, policy.fit(usable, options, imitates=imitates))
    return RunResult(digest, _served(gate, plan.place.artifacts, digest, judged_rows, len(learnt)))


def _digest(plan: RunPlan, draft: Any) -> str:
    about = {**draft.about, **plan.manifest}
    return save_artifact(plan.place.artifacts, replace(draft, about=about))


def _readable(policy: LinearPolicy, rows: Decisions) -> tuple[Decisions, list[str]]:
    """Return the decisions that serving would not refuse to the policy, and what is said of others."""
    why = [policy.space.why_not(_actions_of(rows, i)) for i in range(len(rows))]
    refused = [one for one in why if one]
    if not refused:
        return rows, []
    note = f"{counted(len(refused), 'decision', 'was', 'were')} not judged: {refused[0]}."
    return rows.rows(np.flatnonzero([not one for one in why])), [note]


@dataclass(frozen=True, slots=True)
class _Log:
    """Held-out decisions as a policy sees them, in columns of length n.

    Attributes:
        logged: propensity of what was taken.
        wanted: the policy's chance of it, with the surface's floors.
        model: what the policy expects to earn.
        predicted: what it expects of the action that was taken.
        reward: what that earned.
        match: whether the policy's first choice is the default action.
        counts: for how many decisions each stands, of which most are stored without all actions.
    """

    logged: NDArray[np.float64]
    wanted: NDArray[np.float64]
    model: NDArray[np.float64]
    predicted: NDArray[np.float64]
    reward: NDArray[np.float64]
    match: NDArray[np.float64]
    counts: NDArray[np.float64]


def _weigh(policy: LinearPolicy, rows: Decisions, settings: RankSettings, seed: int) -> _Log:
    """Ask a policy about decisions, all of them with all actions."""
    rng = np.random.default_rng(seed)
    seen = np.zeros((4, len(rows)))
    for i in range(len(rows)):
        actions = _actions_of(rows, i)
        ids = list(actions.ids)
        default, taken = ids.index(rows.default[i]), ids.index(rows.chosen[i])
        rewards, shares = policy.prefer(actions, rng)
        chances = chances_of(shares, default, settings)
        expected = rewards.clip(0.0, 1.0)  # a line knows no bounds, rewards do
        seen[:, i] = chances[taken], chances @ expected, expected[taken], np.argmax(shares) == default
    wanted, model, predicted, match = seen
    reward = np.array(rows.reward, dtype=float)
    logged = np.array(rows.propensity, dtype=float)
    counts = 1 / np.array(rows.stored) if rows.stored else np.ones(len(rows))
    return _Log(logged, wanted, model, predicted, reward, match, counts)


def _gate(log: _Log) -> GateResult:
    """Judge a policy by what it would have earned."""
    table, reasons, notes = _rows_of(log), [], []
    value: dict[str, Any]
    try:
        value, table["reward"] = _value_of(log)
    except OffPolicyError as error:
        value = {"refused": str(error)}
        notes.append(f"the policy's value was not judged: {error}")
    high = table.get("reward", {}).get("interval", [0.0, 0.0])[1]
    if high < 0:
        reasons.append(
            f"reward is lower than that of what was served by {-high:.4f} at least, must not "
            "be lower for certain"
        )
    about = {"off_policy": {"decisions": len(log.reward), **value}, "notes": notes}
    return replace(_verdict(log, table), passed=not reasons, reasons=reasons, about=about)


def _rows_of(log: _Log) -> dict[str, dict[str, Any]]:
    if not len(log.match):
        return {}
    return {"match": {"challenger": float(np.average(log.match, weights=log.counts))}}


def _verdict(log: _Log, table: dict[str, dict[str, Any]]) -> GateResult:
    return GateResult(
        passed=True,
        superior=bool(table.get("reward", {}).get("interval", [0])[0] > 0),
        reasons=[],
        units=len(log.reward),
        rows=table,
        seeds=[],
        rule=RULE,
        rival="what was served",
    )


def _value_of(log: _Log) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the policy's value, and its row of the gate's table.

    Raises:
        OffPolicyError: too few decisions were what the policy would do.
    """
    if len(log.reward) < MIN_JUDGED:
        raise OffPolicyError(
            f"held-out decisions with all actions == {len(log.reward)}, must be at least {MIN_JUDGED}."
        )
    # What could not have been otherwise (no exploration, an apprentice) tells nothing of other choices.
    open_ = log.logged < 1
    refuse_without_support(float(open_.sum()), minimum=MIN_EFFECTIVE)
    logged, wanted, model, predicted, reward, counts = (
        one[open_] for one in (log.logged, log.wanted, log.model, log.predicted, log.reward, log.counts)
    )
    counts = counts / counts.mean()
    weighted = weighted_value(logged, counts * wanted, reward)
    weights = wanted / logged
    changes = changes_of(weights, counts)
    if changes.share > FEW_CHANGES:
        refuse_without_support(changes.effective_size, minimum=MIN_EFFECTIVE)
        weighted = weighted._replace(effective_size=changes.effective_size)
    value = doubly_robust_difference(weights, model, predicted, reward, counts)
    row = {
        "challenger": value.estimate,
        "champion": value.earned,
        "difference": value.estimate - value.earned,
        "interval": list(value.interval),
    }
    return {
        **weighted._asdict(),
        **value._asdict(),
        "dm": float(np.average(model, weights=counts)),
    }, row


def _actions_of(rows: Decisions, index: int) -> ActionSet:
    actions = rows.actions[index]
    assert actions is not None  # noqa: S101  rows were picked by that
    return ActionSet.from_json(actions, rows.context[index])


def _of_apprentice(log: _Log, settings: RankSettings) -> GateResult:
    """Refuse an apprentice that does not predict the default action often enough."""
    gate = _verdict(log, _rows_of(log))
    if len(log.match) < MIN_JUDGED:
        return gate.refused_for(
            f"held-out decisions == {len(log.match)}, must be at least {MIN_JUDGED}"
        )
    match = float(np.average(log.match, weights=log.counts))
    if match < settings.apprentice:
        return gate.refused_for(
            f"match with the default action == {match:.3f}, must be at least {settings.apprentice:g}"
        )
    return gate


def _served(gate: GateResult, artifacts: Path, digest: str, rows: Decisions, learnt: int) -> GateResult:
    """Return the verdict with what serving the artifact costs."""
    policy, rng, times = LinearPolicy.load(artifacts, digest), np.random.default_rng(0), []
    rows, _ = _readable(policy, rows.rows(np.arange(min(len(rows), 200))))
    for i in range(len(rows)):
        actions = _actions_of(rows, i)
        start = time.perf_counter()
        policy.prefer(actions, rng)
        times.append(1000 * (time.perf_counter() - start))
    latency = float(np.quantile(times, 0.95)) if times else 0.0
    serving = Serving(latency, artifact_bytes(artifacts, digest))
    reasons = [*gate.reasons, *cost_reasons(serving, gate.rule)]
    table: Mapping[str, Any] = {
        **gate.rows,
        "latency_p95_ms": {"challenger": latency},
        "bytes": {"challenger": serving.bytes},
    }
    about = {**gate.about, "window": {"learnt": learnt, "held_out": gate.units}}
    return replace(gate, rows=dict(table), reasons=reasons, passed=not reasons, about=about)
